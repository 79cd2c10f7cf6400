"""The model that fine-tuning starts from."""

import os

import keras

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.models.sizes import DEFAULT_SIZES
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.training.fine_tune import check_recipe

DEFAULT_PRESET = "albert_tiny_en"
DEFAULT_DROPOUT = 0.1


def make_task(
    task_class,
    *,
    preset=None,
    vocabulary=None,
    sizes=None,
    max_length=None,
    dropout=None,
    lora_rank=None,
    seed=0,
    preprocessor=None,
    **arguments,
):
    """A task with a fresh head, to be trained.

    Args:
        task_class: class of the task.
        preset: string, the model to start from; `albert_tiny_en` by default.
        vocabulary: path of a SentencePiece model, to start from random
            weights instead.
        sizes: dictionary of `AlbertBackbone` arguments, with `vocabulary`;
            `DEFAULT_SIZES` for those that are left out.
        max_length: int, tokens of the longest sequence; longer texts are cut
            off, or split where the task does so. The number of positions by
            default.
        dropout: float, for all of the backbone. The preset's by default.
        lora_rank: int, trains adapters of this rank and the head alone.
        seed: int, of random weights and of dropout.
        preprocessor: dictionary of further arguments of the task's
            preprocessor.
        **arguments: further arguments of the task.

    Returns:
        An instance of `task_class`.

    Raises:
        ValueError: if the arguments contradict each other.
        OSError: if there is no such vocabulary.
    """
    check_recipe(seed=seed)
    keras.utils.set_random_seed(seed)
    if vocabulary is None:
        backbone, tokenizer = _from_preset(preset, sizes, dropout)
    else:
        backbone, tokenizer = _from_scratch(preset, vocabulary, sizes, dropout)
    if max_length is None:
        max_length = backbone.max_sequence_length
    task = task_class(
        backbone,
        preprocessor=task_class.preprocessor_cls(
            tokenizer, sequence_length=max_length, **(preprocessor or {})
        ),
        **arguments,
    )
    if lora_rank is not None:
        task.backbone.enable_lora(lora_rank)
    return task


def load_tokenizer(preset=None, vocabulary=None):
    """The tokenizer that a model starts with.

    Args:
        preset: string, anything that `from_preset` takes; `albert_tiny_en`
            by default.
        vocabulary: path of a SentencePiece model, instead of a preset.

    Returns:
        An `AlbertTokenizer`.

    Raises:
        ValueError: if there is no such preset, or the vocabulary cannot be
            used.
        OSError: if there is no such vocabulary.
    """
    if vocabulary is None:
        preset = DEFAULT_PRESET if preset is None else preset
        return AlbertTokenizer.from_preset(preset)
    if not os.path.isfile(vocabulary):
        raise FileNotFoundError(
            "The vocabulary must be the file of a SentencePiece model. "
            f"There is no file {vocabulary}; check the path."
        )
    try:
        return AlbertTokenizer(os.fspath(vocabulary))
    except ValueError as error:
        raise ValueError(
            f"The vocabulary {vocabulary} cannot be used: {error}"
        ) from error


def _from_preset(preset, sizes, dropout):
    if sizes:
        raise ValueError(
            "Sizes must come with a `vocabulary`, for a model from scratch. "
            f"Received: {', '.join(sizes)} without one; name a SentencePiece "
            "model, or leave them out."
        )
    preset = DEFAULT_PRESET if preset is None else preset
    rates = {}
    if dropout is not None:
        rates = {"dropout": dropout, "attention_dropout": dropout}
    return (
        AlbertBackbone.from_preset(preset, **rates),
        load_tokenizer(preset),
    )


def _from_scratch(preset, vocabulary, sizes, dropout):
    if preset is not None:
        raise ValueError(
            "A model must start from a `preset`, or from scratch with a "
            f"`vocabulary`. Received both: {preset}, {vocabulary}."
        )
    tokenizer = load_tokenizer(vocabulary=vocabulary)
    dropout = DEFAULT_DROPOUT if dropout is None else dropout
    backbone = AlbertBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        dropout=dropout,
        attention_dropout=dropout,
        **{**DEFAULT_SIZES, **(sizes or {})},
    )
    return backbone, tokenizer
