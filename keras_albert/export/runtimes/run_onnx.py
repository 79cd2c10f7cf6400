"""Runs an `.onnx` file in ONNX Runtime; see `measure.py`."""

import sys

import onnxruntime
from measure import measure


def load(artifact, threads):
    """Opens a file; see `measure.measure`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        artifact, options, providers=["CPUExecutionProvider"]
    )
    outputs = [output.name for output in session.get_outputs()]

    def run(**inputs):
        return dict(zip(outputs, session.run(outputs, inputs), strict=True))

    return run, lambda: {"dtypes": ["float32"]}


if __name__ == "__main__":
    measure(load, *sys.argv[1:])
