"""Arguments and steps that several verbs share."""

import os


def add_columns(parser, label_required=True):
    """Adds `--text-column`, `--pair-column` and `--label-column`."""
    parser.add_argument(
        "--text-column",
        required=True,
        metavar="C",
        help="column of the texts; a number from 0 if there is no header",
    )
    parser.add_argument(
        "--pair-column", metavar="C", help="column of second texts, for pairs"
    )
    if label_required:
        parser.add_argument(
            "--label-column",
            required=True,
            metavar="C",
            help="column of the labels",
        )
        parser.add_argument(
            "--multi-label",
            metavar="SEP",
            help="texts have any number of labels, with SEP between them",
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
    from keras_albert.presets.loading import TASK_FILE
    from keras_albert.presets.registry import local_preset_folder
    from keras_albert.tasks.text_classifier import AlbertTextClassifier

    folder = local_preset_folder(path)
    if not os.path.isfile(os.path.join(folder, TASK_FILE)):
        raise ValueError(
            f"The model must be a trained task. {path} holds a backbone "
            "without one; train it first: `keras-albert train classify "
            f"--preset {path} …`."
        )
    return AlbertTextClassifier.from_preset(folder)
