"""LiteRT (TensorFlow Lite) files in which the shared layer is there once."""

import json
import os
import sys

import keras

from keras_albert.export.litert_conversion import INPUT_NAMES, convert
from keras_albert.export.tensorflow_process import (
    is_plain_tensorflow,
    is_quantized,
    preset_of,
    run_module,
)
from keras_albert.tasks.loading import load_preset

__all__ = ["INPUT_NAMES", "to_litert"]

LAYOUTS = ("rolled", "unrolled")
QUANTIZATIONS = (None, "float16", "int8")


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

    The file has one signature, `serving_default`:

    - inputs, in this order, `token_ids`, `segment_ids` and `padding_mask`
      (1 for tokens), `(batch, sequence)` int32; for a model that predicts
      tokens, `mask_positions`, `(batch, masks)` int32, too;
    - outputs, float32:

    | model | outputs |
    |---|---|
    | text classifier | `probabilities`, `(batch, num_classes)` |
    | token classifier | `probabilities`, `(batch, sequence, num_classes)` |
    | question answerer | `end_logits`, `start_logits`, `(batch, sequence)` |
    | masked LM | `logits`, `(batch, masks, vocabulary_size)` |
    | pretrainer, backbone | as the model names its own |

    The conversion takes place on TensorFlow: in this process when the model
    runs on it, else in another one, from a saved preset.

    Probabilities are softmax, sigmoid of a classifier of several labels, and
    the score itself of a regression.

    Args:
        model: a task, an `AlbertBackbone`, or a preset of one of them.
        path: string or path of the file.
        layout: `"rolled"` or `"unrolled"`.
        sequence_length: int or `None`. An int fixes the inputs to
            `(1, sequence_length)`, and `mask_positions` to `(1, 1)`. `None`
            leaves the length open in a rolled file; an unrolled one then
            takes 128 tokens, a question answerer's 384, or as many as the
            preprocessor and the positions allow.
        inputs: `"ids"`.
        quantization: `None`; `"float16"`, which halves the file, while
            the runtime unpacks the weights and needs more memory than
            without; or `"int8"` (weights, and activations while they meet
            them), a quarter of the file and a third of the memory.

    Returns:
        The path, a string.

    Raises:
        ValueError: if an argument or the model does not allow the export.
        OSError: if the file cannot be written.
        RuntimeError: if the conversion fails.
    """
    path = os.fspath(path)
    options = {
        "layout": layout,
        "sequence_length": sequence_length,
        "quantization": quantization,
    }
    _check_choice("layout", layout, LAYOUTS)
    _check_choice("inputs", inputs, ("ids",))
    _check_choice("quantization", quantization, QUANTIZATIONS)
    if isinstance(model, keras.Model):
        check_exportable(model, sequence_length)
    check_writable(path)
    if is_plain_tensorflow(model):
        write_whole(path, convert(model, **options))
        return path
    with preset_of(model) as folder:
        run_module(__name__, folder, path, json.dumps(options))
    return path


def _check_choice(name, value, choices):
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
    if is_quantized(model):
        raise ValueError(
            "The model must have float weights. It was quantized with "
            "`model.quantize`; export the float model with "
            "`quantization='int8'` instead."
        )
    positions = backbone.max_sequence_length
    if sequence_length is not None and not 1 <= sequence_length <= positions:
        raise ValueError(
            "`sequence_length` must lie between 1 and the model's "
            f"{positions} positions. Received: {sequence_length}."
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


def _main(folder, path, options):
    options = json.loads(options)
    model = load_preset(folder, dtype="float32")
    check_exportable(model, options["sequence_length"])
    write_whole(path, convert(model, **options))


if __name__ == "__main__":
    _main(*sys.argv[1:])
