"""LiteRT (TensorFlow Lite) files in which the shared layer is there once."""

import json
import os
import sys

import keras
import numpy as np

from keras_albert.export import litert_conversion
from keras_albert.export.litert_conversion import (
    INPUT_NAMES,
    ids_signatures,
    in_documented_order,
    input_names,
    model_inputs,
    named_outputs,
    output_names,
    unrolled_length,
)
from keras_albert.export.litert_text import text_signatures
from keras_albert.export.quantize import quantize_weights
from keras_albert.export.tasks_metadata import add_tasks_metadata
from keras_albert.export.tensorflow_process import (
    is_plain_tensorflow,
    is_quantized,
    preset_of,
    run_module,
)
from keras_albert.preprocessing.text_classifier import (
    AlbertTextClassifierPreprocessor,
)
from keras_albert.tasks.loading import load_preset

__all__ = ["INPUT_NAMES", "to_litert"]

LAYOUTS = ("rolled", "unrolled")
INPUTS = ("ids", "text")
QUANTIZATIONS = (None, "float16", "int8", "int4")


def to_litert(
    model: keras.Model | str | os.PathLike,
    path: str | os.PathLike,
    *,
    layout: str = "rolled",
    sequence_length: int | None = None,
    inputs: str = "ids",
    quantization: str | None = None,
) -> str:
    """Writes a `.tflite` file that stock LiteRT runtimes load.

    Two layouts, both of builtin operators only, with the weights in the file
    once:

    - `"rolled"`: each group of shared layers is the body of one `WHILE`
      loop, so that its weights are packed in memory once, too. Takes any
      length and any batch.
    - `"unrolled"`: each application is written out, of one text of a fixed
      length, for runtimes that take one subgraph only: MediaPipe and
      delegates. When the model has a tokenizer, the file carries the
      metadata of MediaPipe and the Task Library, with vocabulary and labels.

    With `inputs="ids"` the file has one signature, `serving_default`, whose
    inputs are, in this order, `token_ids`, `segment_ids` and `padding_mask`
    (1 for tokens), `(batch, sequence)` int32; of a model that predicts
    tokens `mask_positions`, `(batch, masks)` int32, too.

    With `inputs="text"` tokenizer and packing are inside: `serving_default`
    takes `text`, the signature `pair` takes `text` and `pair`, each a string
    of shape `(1,)`, UTF-8. Texts are cut as the preprocessor cuts them, and
    not padded. Each text takes one operator of tensorflow-text
    (`tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS`), which runtimes
    must be built with; the others are builtin.

    Outputs are float32:

    | model | outputs |
    |---|---|
    | text classifier | `probabilities`, `(batch, num_classes)` |
    | token classifier | `probabilities`, `(batch, sequence, num_classes)` |
    | question answerer | `end_logits`, `start_logits`, `(batch, sequence)` |
    | text embedder | `embeddings`, `(batch, hidden_dim)` |
    | sentence extractor | `sentence_logits`, `(batch, sequence)` |
    | masked LM | `logits`, `(batch, masks, vocabulary_size)` |
    | pretrainer, backbone | as the model names its own |

    Probabilities are softmax, sigmoid of a classifier of several labels, and
    the score itself of a regression.

    MediaPipe lower-cases ASCII letters before it tokenizes, whatever the
    vocabulary, and ends a text at a NUL character.

    The conversion takes place on TensorFlow: in this process when the model
    runs on it, else in another one, from a saved preset.

    Args:
        model: a task, an `AlbertBackbone`, or a preset of one of them.
        path: string or path of the file.
        layout: `"rolled"` or `"unrolled"`.
        sequence_length: int or `None`. An int fixes the inputs to
            `(1, sequence_length)`, and `mask_positions` to `(1, 1)`; texts
            are cut to it; with a preprocessor it is at least 4, to hold two
            texts. `None` leaves the length open in a rolled file; an
            unrolled one then takes 128 tokens, a question answerer's 384, or
            as many as the preprocessor and the positions allow.
        inputs: `"ids"` or `"text"`.
        quantization: how the weights are stored. `None`: float32.
            `"float16"` halves the file, while the runtime unpacks the
            weights and needs more memory than without. `"int8"`: a quarter
            of the file and less memory; products are computed in 8 bits.
            `"int4"`: the token table and the layers in 4 bits, pooler and
            head in 8; a seventh of the file. It needs `ai-edge-quantizer`.

    Returns:
        The path, a string.

    Raises:
        ValueError: if an argument or the model does not allow the export.
        ImportError: if a package is missing that the arguments need.
        OSError: if the file cannot be written.
        RuntimeError: if the conversion fails.
    """
    path = os.fspath(path)
    options = {
        "layout": layout,
        "sequence_length": sequence_length,
        "inputs": inputs,
        "quantization": quantization,
    }
    check_choice("layout", layout, LAYOUTS)
    check_choice("inputs", inputs, INPUTS)
    check_choice("quantization", quantization, QUANTIZATIONS)
    if layout == "unrolled" and inputs == "text":
        raise ValueError(
            "`inputs='text'` needs the layout 'rolled'. Received: "
            "layout='unrolled'; files of that layout carry the vocabulary "
            "for MediaPipe, which takes texts."
        )
    if isinstance(model, keras.Model):
        check_exportable(model, sequence_length)
        check_takes_texts(model, inputs)
    check_writable(path)
    if is_plain_tensorflow(model):
        write_whole(path, convert(model, **options))
        return path
    with preset_of(model) as folder:
        run_module(__name__, folder, path, json.dumps(options))
    return path


def check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, choices))}. "
            f"Received: {value!r}."
        )


def check_exportable(model, sequence_length):
    """Raises ValueError when a model cannot be exported."""
    backbone = getattr(model, "backbone", model)
    if not hasattr(backbone, "transformer_layers"):
        raise ValueError(
            "The model must be an AlbertBackbone or a task on one. Received: "
            f"{type(model).__name__}."
        )
    if model is not backbone and not hasattr(model, "inference_outputs"):
        raise ValueError(
            "The model must be a task that can be exported: one that tells "
            "by `inference_outputs` what a file gives. Received: an "
            f"{type(model).__name__}, which does not; export its backbone."
        )
    preprocessor = getattr(model, "preprocessor", None)
    aside = preprocessor._flatten_layers() if preprocessor else ()
    aside = {id(layer) for layer in aside}
    unbuilt = [
        layer.name
        for layer in model._flatten_layers(include_self=False)
        if not layer.built and id(layer) not in aside
    ]
    if unbuilt:
        raise ValueError(
            "All layers of the model must be built. Those named "
            f"{', '.join(unbuilt)} are not; call the model once."
        )
    labels = getattr(model, "labels", None)
    if labels is not None and len(labels) != model.num_classes:
        raise ValueError(
            "`labels` must name each class once. The model has "
            f"{len(labels)} labels for {model.num_classes} classes."
        )
    if is_quantized(model):
        raise ValueError(
            "The model must have float weights. It was quantized with "
            "`model.quantize`; export the float model with "
            "`quantization='int8'` instead."
        )
    if model is not backbone:
        _check_head(model)
    positions = backbone.max_sequence_length
    if sequence_length is None:
        return
    if (
        type(sequence_length) is not int
        or not 1 <= sequence_length <= positions
    ):
        raise ValueError(
            "`sequence_length` must be an integer between 1 and the model's "
            f"{positions} positions. Received: {sequence_length!r}."
        )
    if preprocessor and sequence_length < 4:
        raise ValueError(
            "`sequence_length` must be at least 4 tokens, to hold two texts "
            f"and the special tokens. Received: {sequence_length}."
        )


def _check_head(model):
    """Raises ValueError unless a file would compute what the model does."""
    inputs = {
        key: keras.ops.ones((1, 2), dtype="int32") for key in input_names(model)
    }
    expected = model(model_inputs(model, inputs), training=False)
    expected = named_outputs(model, expected)
    encoded = model.backbone(inputs, training=False)
    received = model.inference_outputs(encoded, inputs)
    for key in received:
        wanted, came = (
            keras.ops.convert_to_numpy(keras.ops.cast(x[key], "float32"))
            for x in (expected, received)
        )
        # Wide enough for half precision; another head is far off.
        if not np.allclose(wanted, came, rtol=0.05, atol=0.02):
            raise ValueError(
                f"The model must have the head of {type(model).__name__}. It "
                "computes other "
                f"`{key}` than that from its backbone's output: a custom "
                "head needs a class of its own, with `inference_outputs`."
            )


def check_takes_texts(model, inputs):
    """Raises ValueError when texts are wanted of a model that takes none."""
    if inputs != "text":
        return
    preprocessor = getattr(model, "preprocessor", None)
    if not isinstance(preprocessor, AlbertTextClassifierPreprocessor):
        raise ValueError(
            "`inputs='text'` needs a model with a preprocessor of one or two "
            f"texts, and its tokenizer. This {type(model).__name__} has "
            "none; export it with `inputs='ids'`."
        )


def check_writable(path: str) -> None:
    """Raises OSError unless a file can be written at a path."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"The output must be a file. Received: {path!r}, a folder."
        )
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"The folder of the output must exist. {folder!r} does not; make "
            "it first."
        )
    if not os.access(folder, os.W_OK):
        raise PermissionError(
            f"The folder of the output must be writable. {folder!r} is not."
        )


def write_whole(path: str, content: bytes) -> None:
    """Writes a file under another name and renames it when it is whole.

    Args:
        path: string.
        content: bytes.

    Raises:
        OSError: if the file cannot be written.
    """
    temporary = f"{path}.{os.getpid()}.partial"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            f"Could not write {path!r}: {error}. Nothing was left there."
        ) from error
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def convert(
    model,
    layout="rolled",
    sequence_length=None,
    inputs="ids",
    quantization=None,
):
    """Converts a model on the TensorFlow backend, in this process.

    Args:
        model: a task or an `AlbertBackbone`, in float32.
        layout: see `to_litert`.
        sequence_length: see `to_litert`.
        inputs: see `to_litert`.
        quantization: see `to_litert`.

    Returns:
        bytes, the content of a `.tflite` file.
    """
    preprocessor = getattr(model, "preprocessor", None)
    if inputs == "text":
        signatures = text_signatures(
            model, sequence_length or preprocessor.sequence_length
        )
    else:
        if layout == "unrolled" and sequence_length is None:
            sequence_length = unrolled_length(model)
        signatures = ids_signatures(model, layout, sequence_length)
    by_converter = None if quantization == "int4" else quantization
    content = litert_conversion.convert(signatures, by_converter)
    if quantization == "int4":
        backbone = getattr(model, "backbone", model)
        content = quantize_weights(content, backbone)
    content = in_documented_order(content)
    tokenizer = getattr(preprocessor, "tokenizer", None)
    if layout == "unrolled" and tokenizer is not None:
        content = add_tasks_metadata(
            content,
            name=type(model).__name__,
            outputs=output_names(content),
            vocabulary=tokenizer.proto,
            labels=getattr(model, "labels", None),
        )
    return content


def _main(folder, path, options):
    options = json.loads(options)
    model = load_preset(folder, dtype="float32")
    check_exportable(model, options["sequence_length"])
    check_takes_texts(model, options["inputs"])
    write_whole(path, convert(model, **options))


if __name__ == "__main__":
    _main(*sys.argv[1:])
