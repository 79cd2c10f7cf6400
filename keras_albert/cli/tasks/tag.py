"""Words to labels: named entities, parts of speech, tags.

Files are CoNLL columns (--text-column and --label-column are numbers, the
first and the last by default), or JSON lines with lists of words and labels
(names, "words" and "labels" by default).
"""

from keras_albert.cli.recipe import add_classes
from keras_albert.cli.results import entity_lines, labelled_words

HELP = "words to labels: entities, parts of speech"
EXAMPLE = """keras-albert train tag --train train.conll --valid dev.conll \\
      -o runs/entities"""
OPTIONS = {"text_column", "label_column"}


def add_arguments(parser):
    """Adds what `train tag` takes of its own."""
    add = parser.add_argument
    add("--text-column", metavar="C", help="of words [0, or words]")
    add("--label-column", metavar="C", help="of labels [-1, or labels]")
    add_classes(parser)


def train(args, model, recipe):
    """Trains; gives the metrics."""
    from keras_albert.training.token_classification import (
        train_token_classifier,
    )

    return train_token_classifier(
        args.train,
        args.valid,
        args.output,
        text_column=args.text_column,
        label_column=args.label_column,
        labels_path=args.labels,
        class_weights=args.class_weights,
        model=model,
        **recipe,
    )


def evaluate(args, task):
    """Scores a model on a file; gives the metrics."""
    from keras_albert.data.conll import encode_tags, read_sentences
    from keras_albert.training import token_classification as training

    rows = read_sentences(args.data, args.text_column, args.label_column)
    training.tell_of_repairs(rows)
    labels = task.labels or [str(index) for index in range(task.num_classes)]
    data = (rows.words, encode_tags(rows, labels))
    metrics = training.evaluate_token_classifier(task, data, args.batch_size)
    return {**metrics, "rows": len(rows)}


def predict(args, task, file):
    """Writes the entities of texts, or the labels of a file's words."""
    from keras_albert.data.conll import read_sentences
    from keras_albert.data.readers import read_rows

    texts = args.text
    if args.data is not None:
        if not args.data.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
            gold = args.label_column is not None
            rows = read_sentences(
                args.data, args.text_column, args.label_column, gold
            )
            given = task.tag(rows.words, args.batch_size)
            file.writelines(labelled_words(rows, given, args.json))
            return
        if args.text_column is None:
            raise ValueError(
                "--data of texts must come with --text-column, its column."
            )
        texts = read_rows(args.data, args.text_column).texts
    results = task.entities(texts, args.batch_size)
    for text, found in zip(texts, results, strict=True):
        file.write(entity_lines(text, found, args.json))
