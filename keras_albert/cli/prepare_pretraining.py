"""Tokenize text files into shards to pretrain on, with Apache Beam."""

import argparse

from keras_albert.cli.common import add_text_format

EXAMPLE = """keras-albert prepare-pretraining corpus/ \\
      --vocabulary runs/vocabulary/vocabulary.spm -o runs/data"""
USES_TENSORFLOW = False


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument

    def number(name, default, text, kind=int):
        metavar = "N" if kind is int else "F"
        add(name, type=kind, default=default, metavar=metavar, help=text)

    add("files", nargs="+", metavar="FILE", help="text, .gz or not, or folders")
    add("--vocabulary", required=True, metavar="SPM", help="of train-vocab")
    add("-o", "--output", required=True, metavar="DIR", help="folder to write")
    add_text_format(parser)
    add(
        "--sentence-per-line",
        action="store_true",
        help="lines are sentences, not to be split",
    )
    number("--dev-fraction", 0.01, "of the documents, kept apart [0.01]", float)
    number("--min-tokens", 8, "of a document [8]")
    number("--max-segment-tokens", 128, "longer sentences are cut [128]")
    number(
        "--similarity",
        0.8,
        "from which documents are near-duplicates; 1 keeps them [0.8]",
        float,
    )
    number("--shards", None, "files of training data [one for 4 MiB of text]")
    number("--seed", 0, "of the choice for dev [0]")
    number("--workers", None, "processes on this machine [one a core]")
    add("--runner", metavar="R", help="of Beam: FlinkRunner, … [this machine]")
    add("--overwrite", action="store_true", help="replace prepared data")
    add("--json", action="store_true", help="print the report as JSON")
    add(
        "--pipeline-options",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="OPTION",
        help="all that follows goes to Apache Beam",
    )


def run(args):
    """Prepares, and prints what was read, left out and kept."""
    import json

    from keras_albert.pretraining import preparation

    names = preparation.PreparationSettings.__dataclass_fields__
    dataset = preparation.prepare_pretraining(
        args.files,
        args.vocabulary,
        args.output,
        settings=preparation.PreparationSettings(
            **{name: getattr(args, name) for name in names}
        ),
        seed=args.seed,
        runner=args.runner,
        workers=args.workers,
        pipeline_options=args.pipeline_options,
        overwrite=args.overwrite,
    )
    report = {"folder": dataset.folder, **dataset.summary()}
    if args.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        print(f"{name}\t{value}")
