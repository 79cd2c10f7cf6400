"""ONNX files, by way of TensorFlow."""

import os
import sys

import keras

from keras_albert.export.litert import (
    INPUT_NAMES,
    check_exportable,
    check_writable,
    write_whole,
)
from keras_albert.export.tensorflow_process import (
    is_plain_tensorflow,
    preset_of,
    run_module,
)
from keras_albert.tasks.loading import load_preset

OPSET = 17


def to_onnx(
    model: keras.Model | str | os.PathLike, path: str | os.PathLike
) -> str:
    """Writes an `.onnx` file, by tf2onnx.

    Inputs `token_ids`, `segment_ids` and `padding_mask`, `(batch, sequence)`
    int32 of any batch and length, under these names; outputs as `to_litert`
    documents them. The layers are written out, their weights stored once.

    Args:
        model: a task, an `AlbertBackbone`, or a preset of one of them.
        path: string or path of the file.

    Returns:
        The path, a string.

    Raises:
        ValueError: if the model cannot be exported.
        OSError: if the file cannot be written.
        RuntimeError: if the conversion fails.
    """
    path = os.fspath(path)
    if isinstance(model, keras.Model):
        check_exportable(model, None)
    check_writable(path)
    if is_plain_tensorflow(model):
        write_whole(path, convert(model))
        return path
    with preset_of(model) as preset:
        run_module(__name__, preset, path)
    return path


def convert(model):
    """Converts a model on the TensorFlow backend, in this process.

    Args:
        model: a task or an `AlbertBackbone`, in float32.

    Returns:
        bytes, the content of an `.onnx` file.
    """
    import tensorflow as tf
    import tf2onnx

    backbone = getattr(model, "backbone", model)

    def compute(token_ids, segment_ids, padding_mask):
        outputs = backbone(
            {
                "token_ids": token_ids,
                "segment_ids": segment_ids,
                "padding_mask": padding_mask,
            },
            training=False,
        )
        if model is not backbone:
            outputs = model.inference_outputs(outputs)
        return {name: tf.identity(x, name) for name, x in outputs.items()}

    signature = [
        tf.TensorSpec([None, None], "int32", name=name) for name in INPUT_NAMES
    ]
    proto, _ = tf2onnx.convert.from_function(
        tf.function(compute, input_signature=signature),
        input_signature=signature,
        opset=OPSET,
    )
    _name_dimensions(proto.graph)
    return proto.SerializeToString()


def _name_dimensions(graph):
    """Gives the open dimensions names that people can read."""
    for value in (*graph.input, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        for dimension, name in zip(
            dimensions, ("batch", "sequence"), strict=False
        ):
            if not dimension.dim_value:
                dimension.dim_param = name
    # Shapes in between still speak of the old names.
    del graph.value_info[:]


def _main(preset, path):
    model = load_preset(preset, dtype="float32")
    check_exportable(model, None)
    write_whole(path, convert(model))


if __name__ == "__main__":
    _main(*sys.argv[1:])
