"""Runs a `.tflite` file in LiteRT; see `measure.py`."""

import sys

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from measure import measure


def weight_types(artifact):
    """The types of a file's tensors; the interpreter shows int4 as int8."""
    with open(artifact, "rb") as file:
        model = schema.Model.GetRootAs(file.read())
    names = {value: name for name, value in vars(schema.TensorType).items()}
    graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    types = {
        graph.Tensors(i).Type()
        for graph in graphs
        for i in range(graph.TensorsLength())
    }
    return sorted(names[value].lower() for value in types)


def load(artifact, threads):
    """Opens a file; see `measure.measure`."""
    interpreter = Interpreter(artifact, num_threads=threads)
    runner = interpreter.get_signature_runner("serving_default")
    fixed = runner.get_input_details()["token_ids"]["shape_signature"][1]

    def run(**inputs):
        tokens = inputs["token_ids"].shape[1]
        missing = max(0, int(fixed) - tokens)
        if not missing:
            return runner(**inputs)
        for name in ("token_ids", "segment_ids", "padding_mask"):
            inputs[name] = np.pad(inputs[name], ((0, 0), (0, missing)))
        return {
            name: x[:, :tokens] if is_per_token(name, x) else x
            for name, x in runner(**inputs).items()
        }

    def is_per_token(name, output):
        return output.ndim == 3 or name in ("start_logits", "end_logits")

    def details():
        return {"dtypes": weight_types(artifact)}

    return run, details


if __name__ == "__main__":
    measure(load, *sys.argv[1:])
