"""ALBERT for Keras 3: from raw text to a phone-ready file.

The public names below are loaded on first use (PEP 562): `import
keras_albert` alone loads neither Keras nor TensorFlow. Keras nevertheless
finds them in the `.keras` files that it loads, see `registration`.
"""

import importlib

from keras_albert import registration
from keras_albert.version import __version__

_PUBLIC_NAMES = {
    "AlbertBackbone": "keras_albert.models.backbone",
    "AlbertMaskedLM": "keras_albert.tasks.masked_lm",
    "AlbertMaskedLMPreprocessor": "keras_albert.preprocessing.masked_lm",
    "AlbertMultipleChoice": "keras_albert.tasks.multiple_choice",
    "AlbertMultipleChoicePreprocessor": (
        "keras_albert.preprocessing.multiple_choice"
    ),
    "AlbertPretrainer": "keras_albert.tasks.pretrainer",
    "AlbertPretrainerPreprocessor": "keras_albert.preprocessing.pretrainer",
    "AlbertQuestionAnswerer": "keras_albert.tasks.question_answerer",
    "AlbertQuestionAnswererPreprocessor": (
        "keras_albert.preprocessing.question_answerer"
    ),
    "AlbertSentenceExtractor": "keras_albert.tasks.sentence_extractor",
    "AlbertSentenceExtractorPreprocessor": (
        "keras_albert.preprocessing.sentence_extractor"
    ),
    "AlbertTextClassifier": "keras_albert.tasks.text_classifier",
    "AlbertTextClassifierPreprocessor": (
        "keras_albert.preprocessing.text_classifier"
    ),
    "AlbertTextEmbedder": "keras_albert.tasks.text_embedder",
    "AlbertTextEmbedderPreprocessor": (
        "keras_albert.preprocessing.text_embedder"
    ),
    "AlbertTokenClassifier": "keras_albert.tasks.token_classifier",
    "AlbertTokenClassifierPreprocessor": (
        "keras_albert.preprocessing.token_classifier"
    ),
    "AlbertTokenizer": "keras_albert.preprocessing.tokenizer",
}
_PUBLIC_MODULES = ("export",)

__all__ = ["__version__", *sorted((*_PUBLIC_NAMES, *_PUBLIC_MODULES))]

registration.register_with_keras(_PUBLIC_NAMES)


def __getattr__(name: str):
    if name in _PUBLIC_NAMES:
        value = getattr(importlib.import_module(_PUBLIC_NAMES[name]), name)
        globals()[name] = value
        return value
    if name in _PUBLIC_MODULES:
        return importlib.import_module(f"keras_albert.{name}")
    raise AttributeError(f"module 'keras_albert' has no attribute {name!r}")


def __dir__():
    return __all__
