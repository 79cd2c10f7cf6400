"""The tasks. Importing this registers every class of the package."""

from keras_albert.tasks.masked_lm import AlbertMaskedLM
from keras_albert.tasks.multiple_choice import AlbertMultipleChoice
from keras_albert.tasks.pretrainer import AlbertPretrainer
from keras_albert.tasks.question_answerer import AlbertQuestionAnswerer
from keras_albert.tasks.sentence_extractor import AlbertSentenceExtractor
from keras_albert.tasks.text_classifier import AlbertTextClassifier
from keras_albert.tasks.text_embedder import AlbertTextEmbedder
from keras_albert.tasks.token_classifier import AlbertTokenClassifier

__all__ = [
    "AlbertMaskedLM",
    "AlbertMultipleChoice",
    "AlbertPretrainer",
    "AlbertQuestionAnswerer",
    "AlbertSentenceExtractor",
    "AlbertTextClassifier",
    "AlbertTextEmbedder",
    "AlbertTokenClassifier",
]
