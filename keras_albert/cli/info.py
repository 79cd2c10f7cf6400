"""Tell what is in a model or an exported file."""

import json
import os

EXAMPLE = "keras-albert info albert_tiny_en"


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL-OR-ARTIFACT", help="preset, or .tflite file")
    add("--json", action="store_true", help="print JSON")


def run(args):
    """Prints a fact a line, or JSON."""
    from keras_albert.tasks.description import describe_preset

    is_file = os.path.isfile(args.model)
    facts = (_of_artifact if is_file else describe_preset)(args.model)
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        print(f"{name:<16}{value}")


def _of_artifact(path):
    from keras_albert.export.artifacts import artifact_format

    if artifact_format(path) != "litert":
        raise NotImplementedError(
            "`info` must be given a preset folder or a .tflite file. "
            f"Received: {path}; `verify` tells of other formats."
        )
    from keras_albert.export.inspection import describe_litert

    return describe_litert(path)
