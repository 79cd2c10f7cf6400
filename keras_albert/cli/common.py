"""Arguments and steps that several verbs share."""

import os
import sys


def add_columns(parser, labels=True, required=None):
    """Adds `--text-column` and `--pair-column`, and those of labels.

    Args:
        parser: an `argparse.ArgumentParser`.
        labels: bool. Whether labels are read.
        required: bool. Whether the columns must be given; `None`: when
            labels are read.
    """
    required = labels if required is None else required
    add = parser.add_argument
    add(
        "--text-column",
        required=required,
        metavar="C",
        help="column of the texts; a number from 0 without a header",
    )
    add("--pair-column", metavar="C", help="column of second texts")
    if labels:
        add("--label-column", required=required, metavar="C", help="of labels")
        add(
            "--multi-label",
            metavar="SEP",
            help="texts have several labels, with SEP between them",
        )


def add_gate(parser):
    """Adds what an exported file is checked on."""
    add = parser.add_argument
    add("--data", metavar="FILE", help="texts to check on [200 random ones]")
    add_columns(parser, required=False)
    add(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="that the metric may drop, of 100 [int4 1, int8 0.5, else 0.1]",
    )


def gate_options(args):
    """The arguments of `verify` from those of `add_gate`.

    Args:
        args: a namespace with `model` and what `add_gate` adds.

    Returns:
        dictionary of `examples`, `targets` and `max_drop`.

    Raises:
        ValueError: if they contradict each other, or the file is damaged.
    """
    from keras_albert.data.readers import read_rows
    from keras_albert.training.text_classification import files_for

    check_columns(args)
    options = {"examples": None, "targets": None, "max_drop": args.max_drop}
    if args.data is None:
        return options
    if args.text_column is None:
        raise ValueError("--data must come with --text-column, its column.")
    if args.label_column is None:
        rows = read_rows(args.data, args.text_column, args.pair_column)
        return {**options, "examples": rows.texts}
    files, labels = files_for(
        load_classifier(args.model),
        args.text_column,
        args.label_column,
        args.pair_column,
        args.multi_label,
    )
    rows = files.read(args.data)
    targets = files.targets(rows, labels)
    return {**options, "examples": rows.texts, "targets": targets}


def check_columns(args):
    """Raises ValueError where columns come without the file they are in."""
    columns = (args.text_column, args.pair_column, args.label_column)
    if args.data is None and any(x is not None for x in columns):
        raise ValueError(
            "--text-column, --pair-column and --label-column are for --data."
        )
    if args.label_column is None and args.multi_label is not None:
        raise ValueError("--multi-label must come with --label-column.")


def print_failure(error):
    """Tells of a `VerificationError` in one line, on stderr.

    Returns:
        int, the exit code.
    """
    message = " ".join(str(error).split())
    print(f"keras-albert: error: {message}", file=sys.stderr)
    return 1


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


def add_folders(parser):
    """Adds `--bundle` and `--web`, the folders an exported file goes into."""
    add = parser.add_argument
    add("--bundle", metavar="DIR", help="folder with what a device needs")
    add("--web", metavar="DIR", help="page to try it; litert, text classifier")


def check_nothing_to_verify(args):
    """Raises ValueError where `--no-verify` contradicts other arguments."""
    of_check = (args.data, args.bundle, args.web, args.max_drop)
    if args.quantization == "auto" or any(x is not None for x in of_check):
        raise ValueError(
            "--no-verify must come without --data, --max-drop, --bundle, "
            "--web and --quantization auto, which are for the check."
        )


def model_for_folders(args):
    """Loads the model for `write_folders`, which must not fail afterwards.

    Args:
        args: the parsed arguments of the verb.

    Returns:
        The model; `None` without `--bundle` and `--web`.

    Raises:
        ValueError: if model or arguments do not allow a folder.
        OSError: if a folder cannot be written, or files for it are missing.
    """
    from keras_albert.export.bundle import contents_of
    from keras_albert.export.web_page import runtime_files
    from keras_albert.presets.saving import check_replaceable
    from keras_albert.tasks.loading import load_preset

    folders = [x for x in (args.bundle, args.web) if x is not None]
    if not folders:
        return None
    if args.to == "saved_model":
        raise ValueError(
            "--bundle and --web are for --to litert and onnx: a SavedModel "
            "has its tokenizer inside."
        )
    of_ids = args.to == "litert" and args.inputs != "text"
    if args.web is not None and not of_ids:
        raise ValueError("--web is for --to litert --inputs ids.")
    for folder in folders:
        check_replaceable(folder)
        if os.path.realpath(folder) == os.path.realpath(args.output):
            raise ValueError(
                "The exported file and its folder must have names of their "
                f"own. Received: {folder!r} for both."
            )
    model = load_preset(args.model)
    contents_of(model)
    if args.web is not None:
        runtime_files(model, args.layout or "rolled")
    return model


def write_folders(args, model, report):
    """Writes the folders that were asked for, and prints path and size.

    Args:
        args: the parsed arguments of `add_folders`, with `output`.
        model: of `model_for_folders`.
        report: the `Report` on the exported file.
    """
    from keras_albert import export

    for write, folder in (
        (export.to_bundle, args.bundle),
        (export.to_web, args.web),
    ):
        if folder is not None:
            write(model, args.output, folder, report=report)
            print(f"{folder}\t{size_of(folder)} bytes")
