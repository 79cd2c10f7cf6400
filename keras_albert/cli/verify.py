"""Compare an exported file, in its own runtime, with its model."""

import json

from keras_albert.cli.common import add_gate, gate_options, print_failure

EXAMPLE = """keras-albert verify runs/intents/model intents.tflite \\
      --data test.csv --text-column text --label-column label"""


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="preset folder that was exported")
    add("artifact", metavar="ARTIFACT", help=".tflite, .onnx or SavedModel")
    add_gate(parser)
    length = "that a litert file of texts was exported with"
    add("--sequence-length", type=int, metavar="N", help=length)
    add("--json", action="store_true", help="print JSON")


def run(args):
    """Verifies, and prints the report; exit code 1 past its tolerances."""
    from keras_albert.export import VerificationError, verify

    try:
        report = verify(
            args.model,
            args.artifact,
            sequence_length=args.sequence_length,
            **gate_options(args),
        )
        code = 0
    except VerificationError as error:
        report, code = error.report, print_failure(error)
    if report is not None:
        print(json.dumps(report.to_dict()) if args.json else report)
    return code
