"""Runs a `.tflite` file in LiteRT; see `measure.py`."""

import numpy as np
from ai_edge_litert import interpreter as litert
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
    try:
        interpreter = litert.Interpreter(artifact, num_threads=threads)
        interpreter.allocate_tensors()
        return interpreter
    except (RuntimeError, ValueError) as error:
        # A file with the tokenizer inside; it needs one more library.
        if "TFText>" not in str(error):
            raise
    from tensorflow.lite.python.interpreter import InterpreterWithCustomOps
    from tensorflow_text import tflite_registrar

    return InterpreterWithCustomOps(
        tflite_registrar.SELECT_TFTEXT_OPS,
        model_path=artifact,
        num_threads=threads,
    )


if __name__ == "__main__":
    serve(load)
