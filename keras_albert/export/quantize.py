"""Weights below 8 bits, by `ai-edge-quantizer`.

A layer that is applied N times repeats the rounding error of its weights N
times, so that what each part of the model is stored in was chosen on trained
models: `benchmarks/quantization.py` prints the table of choices.
"""

import contextlib
import io
import re
from collections.abc import Mapping

from keras_albert.export import flatbuffer

# Bits of each part's weights, by channel. Activations are float between the
# operators, and are quantized to 8 bits where they meet the weights.
INT4 = {
    "embedding": 4,
    "attention": 4,
    "feed_forward": 4,
    "other": 8,  # The pooler and the heads: small, and applied once.
}


def quantize_weights(content, backbone, bits: Mapping[str, int] = INT4):
    """Quantizes the matrices of a LiteRT file, part by part.

    Args:
        content: bytes of a float32 `.tflite` file.
        backbone: the `AlbertBackbone` in it.
        bits: 4 or 8 for each part, see `INT4`.

    Returns:
        bytes of the file.

    Raises:
        ImportError: if `ai-edge-quantizer` is not installed.
    """
    try:
        from ai_edge_quantizer import qtyping, quantizer
    except ImportError as error:
        raise ImportError(
            "Weights of 4 bits are made by `ai-edge-quantizer`, which is not "
            "installed. Install it: `pip install keras-albert[export]`."
        ) from error
    operators = qtyping.TFLOperationName
    quantizing = quantizer.Quantizer(bytearray(content))
    quantizing.add_dynamic_config(
        ".*", operators.EMBEDDING_LOOKUP, num_bits=bits["embedding"]
    )
    for output, part in _products(content, backbone):
        quantizing.add_dynamic_config(
            f"^{re.escape(output)};?$",
            operators.FULLY_CONNECTED,
            num_bits=bits[part],
        )
    # One of its progress bars cannot be turned off.
    with contextlib.redirect_stderr(io.StringIO()):
        result = quantizing.quantize(
            enable_progress_bar=False, enable_progress_report=False
        )
    return flatbuffer.pack(flatbuffer.unpack(bytes(result.quantized_model)))


def _products(content, backbone):
    """The products with constant matrices: output's name, part of the model."""
    from tensorflow.lite.python import schema_py_generated as schema

    width, inner = backbone.hidden_dim, backbone.intermediate_dim
    parts = {
        (width, inner): "feed_forward",
        (inner, width): "feed_forward",
        (width, width): "attention",
        (backbone.vocabulary_size, backbone.embedding_dim): "embedding",
    }
    model = schema.Model.GetRootAs(content)
    for index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(index)
        for place in range(graph.OperatorsLength()):
            operator = graph.Operators(place)
            code = model.OperatorCodes(operator.OpcodeIndex())
            if code.BuiltinCode() != schema.BuiltinOperator.FULLY_CONNECTED:
                continue
            name = graph.Tensors(operator.Outputs(0)).Name().decode()
            weights = graph.Tensors(operator.Inputs(1))
            part = parts.get(tuple(weights.ShapeAsNumpy()), "other")
            if name.startswith("pooled_dense"):
                part = "other"
            yield name, part
