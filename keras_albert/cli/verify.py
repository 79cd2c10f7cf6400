"""Compare an exported file, in its own runtime, with its model."""

import json
import sys

from keras_albert.cli.common import add_columns

EXAMPLE = """keras-albert verify runs/intents/model intents.tflite \\
      --data test.csv --text-column text"""


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="preset folder that was exported")
    add("artifact", metavar="ARTIFACT", help=".tflite, .onnx or SavedModel")
    add("--data", metavar="FILE", help="texts to compare on [200 random ones]")
    add_columns(parser, labels=False)
    add("--json", action="store_true", help="print JSON")


def run(args):
    """Verifies, and prints the report; exit code 1 past its tolerances."""
    from keras_albert.data.readers import read_rows
    from keras_albert.export import VerificationError, verify

    examples = None
    if args.data is not None:
        if args.text_column is None:
            raise ValueError("--data must come with --text-column, its column.")
        rows = read_rows(args.data, args.text_column, args.pair_column)
        examples = rows.texts
    try:
        report, code = verify(args.model, args.artifact, examples), 0
    except VerificationError as error:
        message = " ".join(str(error).split())
        print(f"keras-albert: error: {message}", file=sys.stderr)
        report, code = error.report, 1
    if report is not None:
        print(json.dumps(report.to_dict()) if args.json else report)
    return code
