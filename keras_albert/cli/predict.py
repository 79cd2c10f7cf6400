"""Label texts with a model: label, score and text, tab-separated, a line."""

import os
import sys

from keras_albert.cli.common import add_columns, load_classifier
from keras_albert.cli.results import json_line, tab_line

EXAMPLE = """keras-albert predict runs/intents/model "Wake me up at seven" """


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="preset folder of a trained model")
    add("text", nargs="*", metavar="TEXT", help="texts to label")
    add("--data", metavar="FILE", help="csv, tsv, jsonl, .gz instead of TEXT")
    add_columns(parser, labels=False)
    add("-o", "--output", metavar="FILE", help="write here, not to stdout")
    add("--batch-size", type=int, default=32, metavar="N", help="texts [32]")
    add("--json", action="store_true", help="a JSON object a line")


def run(args):
    """Labels texts, and prints a line for each, in order."""
    from keras_albert.presets.saving import whole_file

    texts = _texts(args)
    task = load_classifier(args.model)
    if args.output is None:
        _write(args, task, texts, sys.stdout)
        return
    if args.data and os.path.realpath(args.data) == os.path.realpath(
        args.output
    ):
        raise ValueError(
            f"--output must be another file than --data {args.data}."
        )
    with (
        whole_file(args.output) as partial,
        open(partial, "w", encoding="utf-8") as file,
    ):
        _write(args, task, texts, file)


def _write(args, task, texts, file):
    results = task.classify(texts, batch_size=args.batch_size)
    line = json_line if args.json else tab_line
    for pair in zip(texts, results, strict=True):
        file.write(line(*pair) + "\n")


def _texts(args):
    if bool(args.text) == bool(args.data):
        raise ValueError(
            "There must be TEXTs to label, or a file of them by --data. "
            f"Received {'both' if args.data else 'neither'}."
        )
    if args.text:
        if args.text_column or args.pair_column:
            raise ValueError("--text-column and --pair-column are for --data.")
        return args.text
    if args.text_column is None:
        raise ValueError("--data must come with --text-column, its column.")
    from keras_albert.data.readers import read_rows

    return read_rows(args.data, args.text_column, args.pair_column).texts
