"""Any ALBERT checkpoint into any other library's format."""

import dataclasses
import os
import warnings

from keras_albert.checkpoints import (
    google,
    huggingface,
    huggingface_tokenizer,
    keras_hub,
    wordpiece,
)
from keras_albert.checkpoints.checkpoint import backbone_of, untrained_weights
from keras_albert.checkpoints.reading import SHARD_INDEX
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.presets.loading import (
    PRESET_FILES,
    TOKENIZER_FILE,
    bytes_of,
    open_foreign,
)
from keras_albert.presets.registry import local_preset_folder
from keras_albert.presets.saving import whole_folder
from keras_albert.tasks.comparison import (
    keras_outputs,
    largest_difference,
    random_inputs,
    transformers_outputs,
)
from keras_albert.tasks.loading import class_of, load_preset

FORMATS = ("huggingface", "keras_hub", "preset")
_REPLACED = (
    *PRESET_FILES,
    SHARD_INDEX,
    "model.safetensors",
    "model.safetensors.index.json",
    "special_tokens_map.json",
    "added_tokens.json",
    huggingface_tokenizer.SENTENCEPIECE_FILE,
    huggingface_tokenizer.CONFIG_FILE,
    wordpiece.VOCABULARY_FILE,
)


@dataclasses.dataclass
class Conversion:
    """What `convert` did.

    Attributes:
        source: string, the format that was read.
        model: string, the class of the model.
        read: dictionary from our weight paths to the source's names.
        written: dictionary from our weight paths to the result's names.
        fresh: list of our weight paths that the source does not have.
        ignored: dictionary from source names to the reason to leave them.
        tokenizer: string, what became of the tokenizer.
        difference: float or `None`, the largest |Δ| between the outputs of
            source and result, each computed by its own library.
        compared: string, which libraries were compared, or why none.
    """

    source: str
    model: str
    read: dict
    written: dict
    fresh: list
    ignored: dict
    tokenizer: str
    difference: float | None
    compared: str


def convert(source, output, to):
    """Converts a checkpoint, and compares the outputs of both sides.

    Args:
        source: whatever `from_preset` takes.
        output: string or path, the folder to write.
        to: `"huggingface"`, `"keras_hub"` or `"preset"`.

    Returns:
        A `Conversion`.

    Raises:
        ValueError: if the source is damaged, or the format has no such model.
    """
    if to not in FORMATS:
        raise ValueError(f"`to` must be one of {FORMATS}. Received: {to!r}.")
    if google.is_google(output):
        raise ValueError(
            "The output must not be a folder of Google's original, which "
            f"would be read in place of the result. {os.fspath(output)!r} "
            f"holds `{google.CONFIG_FILE}`; choose another folder."
        )
    folder = local_preset_folder(source)
    checkpoint = open_foreign(folder)
    tokenizer, tokenizer_note = _tokenizer(folder, checkpoint, to)
    with warnings.catch_warnings():
        # Fresh weights are reported with the rest.
        warnings.simplefilter("ignore", UserWarning)
        model = _load(folder, checkpoint, tokenizer)
    inputs = random_inputs(model)
    needs = bytes_of(model) + (bytes_of(tokenizer) if tokenizer else 0)
    with whole_folder(output, replaces=_REPLACED, needs=needs) as partial:
        written = _write(model, tokenizer, partial, to)
        expected, left = _source_outputs(folder, checkpoint, model, inputs)
        received, right = _result_outputs(partial, to, model, inputs)
    # What no library trained may differ.
    fresh = list(checkpoint.report.fresh) if checkpoint else []
    untrained = fresh or untrained_weights(backbone_of(model))
    skipped = ("pooled_output",) if untrained else ()
    difference = None
    if expected is not None and received is not None:
        difference = largest_difference(received, expected, skipped)
    return Conversion(
        source=checkpoint.format_name if checkpoint else "preset",
        model=type(model).__name__,
        read=checkpoint.report.written
        if checkpoint
        else {v.path: v.path for v in model.weights},
        written=written,
        fresh=fresh,
        ignored=checkpoint.report.ignored if checkpoint else {},
        tokenizer=tokenizer_note,
        difference=difference,
        compared=f"{left}, {right}",
    )


def _tokenizer(folder, checkpoint, to):
    is_ours = os.path.isfile(os.path.join(folder, TOKENIZER_FILE))
    if checkpoint is None and not is_ours:
        return None, "none in the source; the result has none either"
    try:
        tokenizer = AlbertTokenizer.from_preset(folder)
    except ValueError as error:
        return None, f"none in the result: {error}"
    if to == "keras_hub" and not hasattr(tokenizer, "proto"):
        return None, "none in the result: KerasHub's is SentencePiece only"
    return tokenizer, "converted"


def _load(folder, checkpoint, tokenizer):
    if checkpoint is None:
        return load_preset(folder)
    class_ = class_of(checkpoint)
    if class_ is AlbertBackbone:
        return class_.from_checkpoint(checkpoint)
    preprocessor = None
    if tokenizer is not None:
        preprocessor = class_.foreign_preprocessor(folder)
    return class_.from_checkpoint(checkpoint, preprocessor=preprocessor)


def _write(model, tokenizer, folder, to):
    if to == "huggingface":
        written = huggingface.write(model, folder)
        if tokenizer is not None:
            huggingface_tokenizer.write_tokenizer(tokenizer, folder)
        return written
    if to == "keras_hub":
        return _write_keras_hub(model, tokenizer, folder)
    model.save_to_preset(folder)
    if tokenizer is not None and getattr(model, "preprocessor", None) is None:
        tokenizer.save_to_preset(folder)
    return {v.path: v.path for v in model.weights}


def _write_keras_hub(model, tokenizer, folder):
    import keras_nlp

    result, written = keras_hub.write_instance(model)
    result.save_to_preset(folder)
    if tokenizer is None:
        return written
    theirs = keras_nlp.models.AlbertTokenizer(proto=tokenizer.proto)
    if type(model).__name__ == "AlbertTextClassifier":
        theirs = keras_nlp.models.AlbertTextClassifierPreprocessor(
            theirs,
            sequence_length=min(512, model.backbone.max_sequence_length),
        )
    theirs.save_to_preset(folder)
    return written


def _source_outputs(folder, checkpoint, model, inputs):
    if checkpoint is None:
        return keras_outputs(model, inputs), "source in keras_albert"
    if checkpoint.format_name == "Hugging Face":
        outputs = transformers_outputs(folder, checkpoint.task, inputs)
        if outputs is not None:
            return outputs, "source in transformers"
        return None, "transformers or torch is not installed"
    if checkpoint.format_name == "KerasHub":
        instance = keras_hub.load_instance(folder)
        return keras_outputs(instance, inputs), "source in keras_nlp"
    return (
        keras_outputs(model, inputs),
        "source as read by keras_albert, since the original runs on "
        "TensorFlow 1 only",
    )


def _result_outputs(folder, to, model, inputs):
    task = type(model).__name__ if backbone_of(model) is not model else None
    if to == "huggingface":
        outputs = transformers_outputs(folder, task, inputs)
        if outputs is None:
            return None, "transformers or torch is not installed"
        return outputs, "result in transformers"
    if to == "keras_hub":
        instance = keras_hub.load_instance(folder)
        return keras_outputs(instance, inputs), "result in keras_nlp"
    return keras_outputs(load_preset(folder), inputs), "result in keras_albert"
