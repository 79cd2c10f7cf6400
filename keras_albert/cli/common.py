"""Arguments and steps that several verbs share."""

import os


def add_columns(parser, labels=True):
    """Adds `--text-column` and `--pair-column`, and those of labels.

    Args:
        parser: an `argparse.ArgumentParser`.
        labels: bool. Whether labels are read; the columns are then required.
    """
    add = parser.add_argument
    add(
        "--text-column",
        required=labels,
        metavar="C",
        help="column of the texts; a number from 0 without a header",
    )
    add("--pair-column", metavar="C", help="column of second texts")
    if labels:
        add("--label-column", required=True, metavar="C", help="of the labels")
        add(
            "--multi-label",
            metavar="SEP",
            help="texts have several labels, with SEP between them",
        )


def add_text_format(parser):
    """Adds `--format` and `--text-field`, of raw text."""
    add = parser.add_argument
    add(
        "--format",
        choices=("text", "jsonl"),
        default="text",
        help="text: a paragraph or sentence a line, blank lines between "
        "documents; jsonl: a document a line [text]",
    )
    add(
        "--text-field",
        default="text",
        metavar="NAME",
        help="of the JSON lines [text]",
    )


def load_classifier(path):
    """Loads a fine-tuned classifier.

    Args:
        path: string, a preset folder.

    Returns:
        An `AlbertTextClassifier`.

    Raises:
        ValueError: if the folder holds none.
    """
    from keras_albert.tasks.loading import load_preset
    from keras_albert.tasks.text_classifier import AlbertTextClassifier

    task = load_preset(path)
    if not isinstance(task, AlbertTextClassifier):
        raise ValueError(
            f"The model must be a trained text classifier. {path} holds an "
            f"{type(task).__name__}; train it first: `keras-albert train "
            f"classify --preset {path} …`."
        )
    return task


def size_of(path):
    """Bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
    )
