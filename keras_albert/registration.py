"""Tells Keras of classes that are not imported yet.

`keras.models.load_model` only finds registered classes, and a class registers
itself when its module is imported, which `import keras_albert` does not do.
Until then a stand-in is registered in its name, which imports the class when
Keras first makes an instance of it.
"""

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Mapping

# Found in saved models beside the public classes.
_OTHERS = {
    "AlbertEmbeddings": "keras_albert.layers.embeddings",
    "AlbertEncoderLayer": "keras_albert.layers.encoder",
    "AlbertLAMB": "keras_albert.optimizers.lamb",
    "AlbertMaskedLMHead": "keras_albert.layers.heads",
    "AttentionProbabilities": "keras_albert.layers.encoder",
    "ContrastiveLoss": "keras_albert.tasks.pair_losses",
    "CosineLoss": "keras_albert.tasks.pair_losses",
    "FlattenChoices": "keras_albert.layers.heads",
    "AlbertWordPieceTokenizer": "keras_albert.preprocessing.wordpiece",
    "GroupChoices": "keras_albert.layers.heads",
    "MatthewsCorrelation": "keras_albert.metrics.matthews",
    "PearsonCorrelation": "keras_albert.metrics.pearson",
    "SentenceCrossentropy": "keras_albert.tasks.sentence_extractor",
    "SentencePooling": "keras_albert.layers.heads",
    "WarmupLinearDecay": "keras_albert.optimizers.schedules",
    "WarmupPolynomialDecay": "keras_albert.optimizers.schedules",
    "SparseF1Score": "keras_albert.metrics.f1",
    "SpearmanCorrelation": "keras_albert.metrics.spearman",
}


def register_with_keras(modules: Mapping[str, str]) -> None:
    """Registers classes with Keras: now, or as soon as it is imported.

    Args:
        modules: The name of each class, and the module that it is in.
    """
    classes = {**modules, **_OTHERS}
    if "keras" in sys.modules:
        _register(classes)
    else:
        sys.meta_path.insert(0, _WhenKerasIsImported(classes))


def _register(classes):
    from keras.saving import get_custom_objects

    for name, module in classes.items():
        get_custom_objects().setdefault(
            f"keras_albert>{name}", _stand_in(name, module)
        )


def _stand_in(name, module):
    def from_config(config):
        class_ = getattr(importlib.import_module(module), name)
        return class_.from_config(config)

    return type(name, (), {"from_config": staticmethod(from_config)})


class _WhenKerasIsImported(importlib.abc.MetaPathFinder):
    """Finds Keras as Python does, and registers when it is loaded."""

    def __init__(self, classes):
        self.classes = classes

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            _register(self.classes)

        spec.loader.exec_module = exec_module
        return spec
