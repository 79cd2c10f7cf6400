"""Runs a `.tflite` file in LiteRT; see `measure.py`."""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from measure import measure


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
        dtypes = {
            np.dtype(tensor["dtype"]).name
            for tensor in interpreter.get_tensor_details()
            if tensor["dtype"] is not np.bytes_
        }
        return {"dtypes": sorted(dtypes)}

    return run, details


if __name__ == "__main__":
    measure(load, *sys.argv[1:])
