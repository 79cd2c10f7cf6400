"""Label texts with a model: a line of results each, or the task's format."""

import os
import sys

from keras_albert.cli.common import add_columns, check_columns
from keras_albert.cli.tasks import load_trained

EXAMPLE = """keras-albert predict runs/intents/model "Wake me up at seven" """


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="preset folder of a trained model")
    add("text", nargs="*", metavar="TEXT", help="texts to label")
    add("--data", metavar="FILE", help="as for training, instead of TEXT")
    add_columns(parser, required=False)
    add("--sentences", type=int, metavar="N", help="of a summary [3]; extract")
    add("-o", "--output", metavar="FILE", help="write here, not to stdout")
    add("--batch-size", type=int, metavar="N", help="[what has 1,024 tokens]")
    add("--json", action="store_true", help="a JSON object a line")
    add("--na-probs", metavar="FILE", help="probabilities of no answer by id")


def run(args):
    """Labels texts, and prints the results in order."""
    from keras_albert.presets.saving import whole_file

    _check_texts(args)
    task, module = load_trained(args)
    if args.output is None:
        module.predict(args, task, sys.stdout)
        return
    for option, path in (("data", args.data), ("na-probs", args.na_probs)):
        if path and os.path.realpath(path) == os.path.realpath(args.output):
            raise ValueError(
                f"--output must be another file than --{option} {path}."
            )
    with (
        whole_file(args.output) as partial,
        open(partial, "w", encoding="utf-8") as file,
    ):
        module.predict(args, task, file)


def _check_texts(args):
    if bool(args.text) == bool(args.data):
        raise ValueError(
            "There must be TEXTs to label, or a file of them by --data. "
            f"Received {'both' if args.data else 'neither'}."
        )
    if args.text:
        check_columns(args)
