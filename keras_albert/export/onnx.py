"""ONNX files, by way of TensorFlow."""

import contextlib
import json
import logging
import os
import sys
import tempfile

import keras

from keras_albert.export.litert import (
    check_choice,
    check_exportable,
    check_writable,
    write_whole,
)
from keras_albert.export.litert_conversion import INPUT_NAMES, input_names
from keras_albert.export.onnx_graph import (
    capture_loop_invariants,
    name_dimensions,
    share_transposed,
    sort_nodes,
)
from keras_albert.export.tensorflow_process import (
    inference_outputs,
    is_plain_tensorflow,
    preset_of,
    run_module,
)
from keras_albert.tasks.loading import load_preset

LAYOUTS = ("unrolled", "rolled")
QUANTIZATIONS = (None, "int8")
OPSET = 17


def to_onnx(
    model: keras.Model | str | os.PathLike,
    path: str | os.PathLike,
    *,
    layout: str = "unrolled",
    sequence_length: int | None = None,
    quantization: str | None = None,
) -> str:
    """Writes an `.onnx` file, by tf2onnx.

    Inputs `token_ids`, `segment_ids` and `padding_mask`, int32, of the
    dimensions `batch` and `sequence`, both open; of a model that predicts
    tokens `mask_positions`, too, of `batch` and `masks`. Outputs as
    `to_litert` documents them. The weights are stored once.

    Args:
        model: a task, an `AlbertBackbone`, or a preset of one of them.
        path: string or path of the file.
        layout: `"unrolled"`, each application of a layer written out, which
            ONNX Runtime runs fastest, or `"rolled"`, each group of layers
            the body of one `Loop`, which is converted in a fraction of the
            time and makes the smaller graph.
        sequence_length: int or `None`. An int fixes `sequence`; with a
            preprocessor it is at least 4, to hold two texts.
        quantization: `None`, or `"int8"`: weights in 8 bits, and activations
            while they meet them. Weights of products take 7 of the bits, a
            scale a column: with all 8, sums overflow on processors with AVX2
            and without VNNI (onnxruntime#11701).

    Returns:
        The path, a string.

    Raises:
        ValueError: if an argument or the model does not allow the export.
        ImportError: if `onnxruntime`, which quantizes, is not installed.
        OSError: if the file cannot be written.
        RuntimeError: if the conversion fails.
    """
    path = os.fspath(path)
    check_choice("layout", layout, LAYOUTS)
    check_choice("quantization", quantization, QUANTIZATIONS)
    options = {
        "layout": layout,
        "sequence_length": sequence_length,
        "quantization": quantization,
    }
    if isinstance(model, keras.Model):
        check_exportable(model, sequence_length)
    check_writable(path)
    if is_plain_tensorflow(model):
        write_whole(path, convert(model, **options))
        return path
    with preset_of(model) as preset:
        run_module(__name__, preset, path, json.dumps(options))
    return path


def convert(
    model, layout="unrolled", sequence_length=None, quantization=None
) -> bytes:
    """Converts a model on the TensorFlow backend, in this process.

    Args:
        model: a task or an `AlbertBackbone`, in float32.
        layout: see `to_onnx`.
        sequence_length: see `to_onnx`.
        quantization: see `to_onnx`.

    Returns:
        bytes, the content of an `.onnx` file.
    """
    import tensorflow as tf
    import tf2onnx

    names = input_names(model)

    def compute(*tensors):
        outputs = inference_outputs(
            model, dict(zip(names, tensors, strict=True)), layout
        )
        return {name: tf.identity(x, name) for name, x in outputs.items()}

    lengths = dict.fromkeys(INPUT_NAMES, sequence_length)
    signature = [
        tf.TensorSpec([None, lengths.get(name)], "int32", name=name)
        for name in names
    ]
    with _without_copies():
        proto, _ = tf2onnx.convert.from_function(
            tf.function(compute, input_signature=signature),
            input_signature=signature,
            opset=OPSET,
        )
    capture_loop_invariants(proto.graph)
    name_dimensions(proto.graph)
    if quantization == "int8":
        return quantize(proto)
    share_transposed(proto.graph)
    return proto.SerializeToString()


def quantize(proto) -> bytes:
    """Stores the matrices of a graph in 8 bits.

    Args:
        proto: an `onnx.ModelProto`.

    Returns:
        bytes, the content of an `.onnx` file.

    Raises:
        ImportError: if `onnxruntime` is not installed.
    """
    import onnx

    try:
        from onnxruntime import quantization
    except ImportError as error:
        raise ImportError(
            "`quantization='int8'` needs `onnxruntime`. Install it with `pip "
            "install keras-albert[export]`."
        ) from error
    with tempfile.TemporaryDirectory() as folder, _without_warnings():
        table = os.path.join(folder, "table.onnx")
        whole = os.path.join(folder, "whole.onnx")
        # Rows that are looked up meet no products, so that they can have all
        # of the bits.
        quantization.quantize_dynamic(
            proto,
            table,
            op_types_to_quantize=["Gather"],
            weight_type=quantization.QuantType.QUInt8,
        )
        quantization.quantize_dynamic(
            table,
            whole,
            op_types_to_quantize=["MatMul"],
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            # The bodies of loops.
            extra_options={"EnableSubgraph": True},
        )
        quantized = onnx.load(whole)
    name_dimensions(quantized.graph)
    # The quantizer does not see what the bodies of loops read.
    sort_nodes(quantized.graph)
    return quantized.SerializeToString()


@contextlib.contextmanager
def _without_copies():
    """Has tf2onnx not keep a copy of the graph before each optimization.

    It falls back on that when one fails. The copies, of all weights, take
    most of the time, and a failure is better told.
    """
    name = "TF2ONNX_CATCH_ERRORS"
    before = os.environ.get(name)
    os.environ[name] = "FALSE"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _without_warnings():
    """Drops the advice to infer shapes first, which changes nothing here."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


def _main(preset, path, options):
    options = json.loads(options)
    model = load_preset(preset, dtype="float32")
    check_exportable(model, options["sequence_length"])
    write_whole(path, convert(model, **options))


if __name__ == "__main__":
    _main(*sys.argv[1:])
