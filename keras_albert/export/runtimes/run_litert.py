"""Runs a `.tflite` file in LiteRT; see `measure.py`."""

import mmap
import os

import flatbuffers
import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema
from measure import serve, shape_of


def load(artifact, threads):
    """Opens a file; see `measure.serve`."""
    interpreter = _interpreter(artifact, threads)
    runners = {
        name: interpreter.get_signature_runner(name)
        for name in interpreter.get_signature_list()
    }
    signatures = {
        name: {
            "inputs": {
                key: shape_of(detail["shape_signature"])
                for key, detail in runner.get_input_details().items()
            },
            "outputs": list(runner.get_output_details()),
        }
        for name, runner in runners.items()
    }

    def run(signature, inputs):
        given = {
            name: np.array([text.encode() for text in value], dtype=object)
            if isinstance(value, list)
            else value
            for name, value in inputs.items()
        }
        return runners[signature](**given)

    return signatures, run


def _interpreter(artifact, threads):
    if not _has_text_operators(artifact):
        # Not allocated yet: what is made for one token stays in memory
        # beside what is made for the length of the first text.
        return litert.Interpreter(artifact, num_threads=threads)
    # A file with the tokenizer inside; it needs one more library.
    from tensorflow.lite.python.interpreter import InterpreterWithCustomOps
    from tensorflow_text import tflite_registrar

    return InterpreterWithCustomOps(
        tflite_registrar.SELECT_TFTEXT_OPS,
        model_path=artifact,
        num_threads=threads,
    )


def _has_text_operators(artifact):
    with open(artifact, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b"TFText>") >= 0


def start():
    """Runs a product of two matrices, which brings the runtime to life.

    Its code and its threads are then in memory, and are not taken for what
    the artifact needs.
    """
    size = 64
    shape = [size, size]
    values = np.ones(shape, "float32")

    def tensor(name, buffer=0):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, shape, buffer
        tensor.type = schema.TensorType.FLOAT32
        return tensor

    weights = schema.BufferT()
    weights.data = values.view("uint8").ravel()
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.deprecatedBuiltinCode = code.builtinCode
    product = schema.OperatorT()
    product.inputs, product.outputs = [0, 1, -1], [2]
    product.builtinOptions = schema.FullyConnectedOptionsT()
    product.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    graph = schema.SubGraphT()
    graph.tensors = [tensor("x"), tensor("weights", 1), tensor("y")]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [product]
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT(), weights]
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = litert.Interpreter(
        model_content=bytes(builder.Output()), num_threads=2
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, values)
    interpreter.invoke()


if __name__ == "__main__":
    start()
    serve(load)
