"""Runs a SavedModel in TensorFlow and tensorflow-text; see `measure.py`.

The folder that the examples lie in may hold `texts.json`, the text of each
example: these run through the signature `text`, too, and must give the same
(`text_max_abs_diff` in the report).
"""

import json
import os
import sys

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  Registers the tokenizer's operators.
from measure import measure


def load(artifact, threads):
    """Opens a folder; see `measure.measure`."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    model = tf.saved_model.load(artifact)
    ids = model.signatures["serving_default"]
    text = model.signatures.get("text")
    texts_path = os.path.join(os.path.dirname(sys.argv[2]), "texts.json")
    outputs = []

    def run(**inputs):
        result = ids(**{name: tf.constant(x) for name, x in inputs.items()})
        result = {name: x.numpy() for name, x in result.items()}
        outputs.append(result)
        return result

    def details():
        report = {"dtypes": ["float32"]}
        if text is None or not os.path.isfile(texts_path):
            return report
        with open(texts_path, encoding="utf-8") as file:
            texts = json.load(file)
        differences = [0.0]
        for one, result in zip(texts, outputs[-len(texts) :], strict=True):
            if isinstance(one, str):
                came = text(text=tf.constant([one]))["probabilities"].numpy()
                differences.append(
                    float(np.abs(came - result["probabilities"]).max())
                )
        report["text_max_abs_diff"] = max(differences)
        return report

    return run, details


if __name__ == "__main__":
    measure(load, *sys.argv[1:])
