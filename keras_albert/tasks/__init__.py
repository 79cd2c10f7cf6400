"""The tasks. Importing this registers every class of the package."""

from keras_albert.tasks.text_classifier import AlbertTextClassifier

__all__ = ["AlbertTextClassifier"]
