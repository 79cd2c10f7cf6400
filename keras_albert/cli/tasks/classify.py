"""Texts, or pairs of texts, to classes, several labels, or a score."""

from keras_albert.cli.common import add_columns
from keras_albert.cli.recipe import add_classes, add_pooling
from keras_albert.cli.results import json_line, tab_line

HELP = "texts, or pairs of texts, to classes or a score"
EXAMPLE = """keras-albert train classify --train train.csv --valid dev.csv \\
      --text-column text --label-column label -o runs/intents"""
OPTIONS = {"text_column", "pair_column", "label_column", "multi_label"}


def add_arguments(parser):
    """Adds what `train classify` takes of its own."""
    add_columns(parser)
    parser.add_argument(
        "--regression", action="store_true", help="labels are numbers"
    )
    add_classes(parser)
    add_pooling(parser, "cls")


def train(args, model, recipe):
    """Trains; gives the metrics."""
    from keras_albert.training.text_classification import (
        TextFiles,
        train_text_classifier,
    )

    columns = (args.text_column, args.label_column, args.pair_column)
    files = TextFiles(*columns, args.regression, args.multi_label)
    return train_text_classifier(
        args.train,
        args.valid,
        args.output,
        files,
        labels_path=args.labels,
        class_weights=args.class_weights,
        pooling=args.pooling,
        model=model,
        **recipe,
    )


def evaluate(args, task):
    """Scores a model on a file; gives the metrics."""
    from keras_albert.training.evaluation import evaluate_classifier
    from keras_albert.training.text_classification import files_for

    for option in ("text_column", "label_column"):
        if getattr(args, option) is None:
            option = option.replace("_", "-")
            raise ValueError(f"--{option} must name a column of the data.")
    files, labels = files_for(
        task,
        args.text_column,
        args.label_column,
        args.pair_column,
        args.multi_label,
    )
    rows = files.read(args.data)
    examples = (rows.texts, files.targets(rows, labels))
    metrics = evaluate_classifier(task, examples, args.batch_size)
    return {**metrics, "rows": len(rows)}


def predict(args, task, file):
    """Writes label, score and text of each text."""
    texts = args.text
    if args.data is not None:
        from keras_albert.data.readers import read_rows

        if args.text_column is None:
            raise ValueError("--data must come with --text-column, its column.")
        texts = read_rows(args.data, args.text_column, args.pair_column).texts
    line = json_line if args.json else tab_line
    rows = zip(texts, task.classify(texts, args.batch_size), strict=True)
    file.writelines(line(*row) + "\n" for row in rows)
