"""Runs a SavedModel in TensorFlow and tensorflow-text; see `measure.py`."""

import tensorflow as tf
import tensorflow_text  # noqa: F401  Registers the tokenizer's operators.
from measure import serve, shape_of


def load(artifact, threads):
    """Opens a folder; see `measure.serve`."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    model = tf.saved_model.load(artifact)
    functions = dict(model.signatures.items())
    signatures = {
        name: {
            "inputs": {
                key: shape_of(spec.shape)
                for key, spec in function.structured_input_signature[1].items()
            },
            "outputs": list(function.structured_outputs),
        }
        for name, function in functions.items()
    }

    def run(signature, inputs):
        given = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = functions[signature](**given)
        return {
            name: tf.strings.as_string(value).numpy().astype("U")
            if value.dtype == tf.string
            else value.numpy()
            for name, value in outputs.items()
        }

    # The functions do not keep the model's variables alive.
    run.model = model
    return signatures, run


if __name__ == "__main__":
    serve(load)
