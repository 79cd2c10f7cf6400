"""Runs a `.tflite` file in LiteRT; see `measure.py`."""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from measure import measure


def load(artifact, threads):
    """Opens a file; see `measure.measure`."""
    interpreter = Interpreter(artifact, num_threads=threads)
    run = interpreter.get_signature_runner("serving_default")

    def details():
        dtypes = {
            np.dtype(tensor["dtype"]).name
            for tensor in interpreter.get_tensor_details()
            if tensor["dtype"] is not np.bytes_
        }
        return {"dtypes": sorted(dtypes)}

    return run, details


if __name__ == "__main__":
    measure(load, *sys.argv[1:])
