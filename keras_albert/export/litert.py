"""LiteRT (TensorFlow Lite) files in which the shared layer is there once."""

import json
import os
import sys
import tempfile

import keras

from keras_albert.export.tensorflow_process import (
    is_plain_tensorflow,
    is_quantized,
    preset_of,
    run_module,
)
from keras_albert.tasks.loading import load_preset

# The order of the inputs in a file.
INPUT_NAMES = ("token_ids", "segment_ids", "padding_mask")
LAYOUTS = ("rolled",)
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

    With the layout `"rolled"` each group of shared layers is the body of one
    `WHILE` loop, so that its weights are in the file once and are packed in
    memory once. Only builtin operators are used. The file has one signature,
    `serving_default`:

    - inputs, in this order, `token_ids`, `segment_ids` and `padding_mask`
      (1 for tokens), `(batch, sequence)` int32;
    - output of a classifier `probabilities`, `(batch, num_classes)` float32:
      softmax, sigmoid, or the score of a regression;
    - outputs of a backbone `sequence_output`, `pooled_output`, its own.

    The conversion takes place on TensorFlow: in this process when the model
    runs on it, else in another one, from a saved preset.

    Args:
        model: a task, an `AlbertBackbone`, or a preset of one of them.
        path: string or path of the file.
        layout: `"rolled"`.
        sequence_length: int or `None`. `None` takes texts of any length up
            to the positions in one file, and any batch; an int fixes the
            inputs to `(1, sequence_length)`.
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
        write_whole(path, convert_rolled(model, **options))
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


def convert_rolled(model, sequence_length=None, quantization=None):
    """Converts a model on the TensorFlow backend, in this process.

    Args:
        model: a task or an `AlbertBackbone`, in float32.
        sequence_length: see `to_litert`.
        quantization: see `to_litert`.

    Returns:
        bytes, the content of a `.tflite` file.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _save_rolled(model, folder, sequence_length)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantization is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return in_documented_order(converter.convert())


def in_documented_order(content: bytes) -> bytes:
    """Puts the inputs of a file in the order of `INPUT_NAMES`.

    The converter leaves them in any order, and runtimes that go by position
    would take segments for tokens without a word.

    Args:
        content: the content of a `.tflite` file with one signature.

    Returns:
        The same with its inputs in order.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    buffer = bytearray(content)
    model = schema.Model.GetRootAs(buffer)
    signature = model.SignatureDefs(0)
    tensors = {}
    for index in range(signature.InputsLength()):
        entry = signature.Inputs(index)
        tensors[entry.Name().decode()] = entry.TensorIndex()
    # A view of the buffer, so that this writes into it.
    inputs = model.Subgraphs(signature.SubgraphIndex()).InputsAsNumpy()
    inputs[:] = [tensors[name] for name in INPUT_NAMES]
    return bytes(buffer)


def _save_rolled(model, folder, sequence_length):
    import tensorflow as tf

    from keras_albert.models.rolled import rolled_outputs

    backbone = getattr(model, "backbone", model)
    shape = [None, None] if sequence_length is None else [1, sequence_length]

    def compute(token_ids, segment_ids, padding_mask):
        outputs = rolled_outputs(
            backbone,
            {
                "token_ids": token_ids,
                "segment_ids": segment_ids,
                "padding_mask": padding_mask,
            },
            embed_tokens=_embedding_lookup(backbone),
        )
        if model is not backbone:
            outputs = model.inference_outputs(outputs)
        return {name: tf.identity(x, name) for name, x in outputs.items()}

    module = tf.Module()
    # Variables alone: a module that tracks a Keras model cannot be saved.
    module.weights = [variable.value for variable in model.variables]
    module.compute = tf.function(
        compute,
        input_signature=[
            tf.TensorSpec(shape, "int32", name=name) for name in INPUT_NAMES
        ],
    )
    tf.saved_model.save(module, folder, signatures=module.compute)


def _embedding_lookup(backbone):
    """A lookup that becomes EMBEDDING_LOOKUP, which reads int8 tables."""
    import tensorflow as tf

    table = backbone.token_embedding.embeddings.value

    @tf.function(experimental_implements="embedding_matmul")
    def lookup(table, ids):
        return tf.gather(table, ids)

    def embed_tokens(token_ids):
        rows = lookup(table, tf.reshape(token_ids, [-1]))
        shape = tf.shape(token_ids)
        return tf.reshape(rows, [shape[0], shape[1], backbone.embedding_dim])

    return embed_tokens


def _main(folder, path, options):
    options = json.loads(options)
    model = load_preset(folder, dtype="float32")
    check_exportable(model, options["sequence_length"])
    write_whole(path, convert_rolled(model, **options))


if __name__ == "__main__":
    _main(*sys.argv[1:])
