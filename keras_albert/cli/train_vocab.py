"""Make a SentencePiece vocabulary from text files of any size."""

import os
import sys

from keras_albert.cli.common import add_text_format

EXAMPLE = """keras-albert train-vocab corpus/ --vocabulary-size 8000 \\
      -o runs/vocabulary"""
USES_TENSORFLOW = False
_FILE = "vocabulary.spm"
_MARKS_WORTH_A_NOTE = 0.1  # Of 100 characters.


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="text, .gz or not, or folders")
    add(
        "--vocabulary-size", type=int, required=True, metavar="N", help="pieces"
    )
    add("-o", "--output", required=True, metavar="DIR", help=f"for {_FILE}")
    add("--cased", action="store_true", help="keep upper case")
    add("--keep-accents", action="store_true", help="keep accents")
    add(
        "--max-lines",
        type=int,
        default=1_000_000,
        metavar="N",
        help="lines to train on, chosen at random [1000000]",
    )
    add(
        "--max-bytes",
        type=int,
        default=100_000_000,
        metavar="N",
        help="bytes to train on; each needs 20 of memory [100000000]",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the choice [0]")
    add_text_format(parser)
    add("--json", action="store_true", help="print the report as JSON")


def run(args):
    """Trains, and prints how the vocabulary fits the text."""
    import dataclasses
    import json

    from keras_albert.pretraining.documents import TextFormat
    from keras_albert.pretraining.vocabulary import train_and_report

    if not args.output:
        raise ValueError("--output must name a folder. Received an empty path.")
    report = train_and_report(
        args.files,
        args.vocabulary_size,
        os.path.join(args.output, _FILE),
        lowercase=not args.cased,
        strip_accents=not (args.keep_accents or args.cased),
        seed=args.seed,
        max_sentences=args.max_lines,
        max_bytes=args.max_bytes,
        text_format=TextFormat(args.format, args.text_field),
    )
    if report.marks_lost > _MARKS_WORTH_A_NOTE:
        print(
            "keras-albert: note: folding drops marks that are no accents, "
            f"{report.marks_lost:.1f} of 100 characters, such as vowels and "
            "tones; --keep-accents keeps them.",
            file=sys.stderr,
        )
    facts = dataclasses.asdict(report)
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        shown = f"{value:.6f}" if isinstance(value, float) else value
        print(f"{name}\t{shown}")
