"""Look for what is wrong with labelled data: copies, leakage, balance."""

import json
import sys

from keras_albert.cli.common import add_columns

EXAMPLE = """keras-albert inspect train.csv dev.csv test.csv \\
      --text-column text --label-column label --picture data.png

Without --text-column the columns are `text`, and `label` if it is there."""


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="one a split, as for training")
    add_columns(parser, required=False)
    add("--regression", action="store_true", help="labels are numbers")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--preset", metavar="P", help="[albert_tiny_en]")
    start.add_argument("--vocabulary", metavar="SPM", help="SentencePiece")
    add(
        "--max-length",
        type=int,
        default=512,
        metavar="N",
        help="tokens, from which on texts are cut [512]",
    )
    add(
        "--similarity",
        type=float,
        default=0.8,
        metavar="F",
        help="of near-duplicates, from 0.6 to 1 [0.8]",
    )
    add(
        "--examples",
        type=int,
        default=3,
        metavar="N",
        help="rows to name of each kind [3]",
    )
    add("--picture", metavar="FILE", help="lengths and labels, .png or .svg")
    add("--json", action="store_true", help="print JSON")


def run(args):
    """Inspects, and prints what is found; 1 when splits share rows."""
    from keras_albert.cli.results import inspection_lines
    from keras_albert.data import inspection as data
    from keras_albert.data.inspection_picture import check_picture, draw
    from keras_albert.training.start import load_tokenizer

    text, label = data.default_columns(
        args.files[0], args.text_column, args.label_column
    )
    columns = data.Columns(
        text, args.pair_column, label, args.regression, args.multi_label
    )
    if args.picture is not None:
        check_picture(args.picture)
    inspection = data.inspect_files(
        args.files,
        columns,
        load_tokenizer(args.preset, args.vocabulary),
        args.max_length,
        args.similarity,
        args.examples,
        note=lambda what: print(f"keras-albert: {what}", file=sys.stderr),
    )
    if args.picture is not None:
        draw(args.picture, inspection)
    if args.json:
        print(json.dumps(inspection.report, ensure_ascii=False))
    else:
        print("\n".join(inspection_lines(inspection.report)))
    return int(inspection.leaks)
