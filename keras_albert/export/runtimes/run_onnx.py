"""Runs an `.onnx` file in ONNX Runtime; see `measure.py`."""

import onnxruntime
from measure import serve, shape_of


def load(artifact, threads):
    """Opens a file; see `measure.serve`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # What it would write to stderr is in its exceptions, too.
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        artifact, options, providers=["CPUExecutionProvider"]
    )
    outputs = [output.name for output in session.get_outputs()]
    inputs = {x.name: shape_of(x.shape) for x in session.get_inputs()}

    def run(signature, inputs):
        return dict(zip(outputs, session.run(outputs, inputs), strict=True))

    return {"serving_default": {"inputs": inputs, "outputs": outputs}}, run


if __name__ == "__main__":
    serve(load)
