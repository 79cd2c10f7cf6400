"""From labelled files to a fine-tuned text classifier."""

import dataclasses

from keras_albert.data.labels import (
    check_class_names,
    encode_labels,
    encode_multi_labels,
    label_set,
    parse_scores,
    read_labels,
    split_labels,
)
from keras_albert.data.labels import class_weights as weights_of_classes
from keras_albert.data.readers import read_rows
from keras_albert.tasks.text_classifier import AlbertTextClassifier
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.start import make_task


@dataclasses.dataclass(frozen=True)
class TextFiles:
    """How labelled files are read.

    Attributes:
        text_column: string, see `keras_albert.data.readers.read_rows`.
        label_column: string.
        pair_column: string or `None`.
        regression: bool. Labels are numbers.
        separator: string or `None`. With it, each text has any number of
            labels, and `separator` between them.
    """

    text_column: str
    label_column: str
    pair_column: str | None = None
    regression: bool = False
    separator: str | None = None

    def __post_init__(self):
        if self.regression and self.separator is not None:
            raise ValueError(
                "Labels must be numbers (regression), or several a text "
                "(multi-label). Received both; leave one out."
            )

    def read(self, path):
        """Reads a file's rows.

        Args:
            path: string or path.

        Returns:
            A `keras_albert.data.readers.Rows`.
        """
        rows = read_rows(
            path, self.text_column, self.pair_column, self.label_column
        )
        if self.separator is not None:
            rows = split_labels(rows, self.separator)
        return rows

    def labels(self, rows):
        """The names of the classes that occur in rows, `None` for numbers.

        Raises:
            ValueError: if there are fewer than two.
        """
        if self.regression:
            return None
        check_class_names(rows, "name such classes in a file of labels")
        labels = label_set(rows.labels)
        if len(labels) < 2:
            raise ValueError(
                f"{rows.path} must hold at least two different labels. It "
                f"holds {', '.join(map(repr, labels)) or 'none'}; check the "
                "column, or train a regression."
            )
        return labels

    def targets(self, rows, labels):
        """The targets of rows.

        Args:
            rows: what `read` returned.
            labels: list of strings, the names of the classes.

        Returns:
            `(rows,)` int32 classes, `(rows,)` float32 scores, or
            `(rows, classes)` float32 with a separator.

        Raises:
            ValueError: if a label is none of `labels`, or no number.
        """
        if self.regression:
            return parse_scores(rows)
        if self.separator is not None:
            return encode_multi_labels(rows, labels)
        return encode_labels(rows, labels)


def files_for(task, text_column, label_column, pair_column, separator):
    """How to read files for a trained classifier.

    Args:
        task: an `AlbertTextClassifier`.
        text_column: string.
        label_column: string.
        pair_column: string or `None`.
        separator: string or `None`, needed for multi-label models.

    Returns:
        A `TextFiles`, and the names of the model's classes.

    Raises:
        ValueError: if the separator does not fit the model.
    """
    if task.multi_label != (separator is not None):
        raise ValueError(
            "A separator of labels must be given for multi-label models, and "
            f"only for these. Received: {separator!r} for a model with "
            f"multi_label={task.multi_label}."
        )
    files = TextFiles(
        text_column,
        label_column,
        pair_column,
        regression=task.num_classes == 1,
        separator=separator,
    )
    labels = task.labels or [str(index) for index in range(task.num_classes)]
    return files, labels


def train_text_classifier(
    train_path,
    validation_path,
    output_dir,
    files,
    *,
    labels_path=None,
    class_weights=None,
    pooling="cls",
    model=None,
    seed=0,
    **recipe,
):
    """Fine-tunes a text classifier on labelled files.

    Args:
        train_path: string or path of the training texts.
        validation_path: string or path of the dev texts.
        output_dir: string or path, see
            `keras_albert.training.fine_tune.fine_tune`.
        files: a `TextFiles`, how the files are read.
        labels_path: path of a file that names the classes in order. Those
            of the training texts by default, sorted.
        class_weights: `"balanced"`, a dictionary or the path of a file, see
            `keras_albert.data.labels.class_weights`; `None`: all are 1.
        pooling: `"cls"` or `"mean"`, see `AlbertTextClassifier`.
        model: dictionary of arguments of `make_classifier`.
        seed: int, of all that is random.
        **recipe: further arguments of `fine_tune`.

    Returns:
        dictionary of metrics, see `fine_tune`.

    Raises:
        ValueError: if arguments or files are not as described.
        OSError: if a file is not there, or the folder cannot be written.
    """
    if files.regression and labels_path is not None:
        raise ValueError(
            "A file of labels must come with classes, not with numbers. "
            f"Received: {labels_path} for a regression; leave one out."
        )
    if class_weights is not None and (
        files.regression or files.separator is not None
    ):
        raise ValueError(
            "Class weights must be for texts with one class each. Received "
            "them for a regression or several labels a text; leave them out."
        )
    train = files.read(train_path)
    validation = files.read(validation_path)
    if labels_path is None:
        labels = files.labels(train)
    else:
        labels = read_labels(labels_path)
    train, validation = [
        (rows.texts, files.targets(rows, labels))
        for rows in (train, validation)
    ]
    if class_weights is not None:
        weights = weights_of_classes(class_weights, labels, train[1])
        train = (*train, weights[train[1]])
    task = make_classifier(
        labels=labels,
        multi_label=files.separator is not None,
        pooling=pooling,
        seed=seed,
        **(model or {}),
    )
    return fine_tune(task, train, validation, output_dir, seed=seed, **recipe)


def make_classifier(*, labels, multi_label=False, **model):
    """A text classifier with a fresh head, to be trained.

    Args:
        labels: list of strings, the names of the classes; `None` for a
            regression.
        multi_label: bool, see `AlbertTextClassifier`.
        **model: arguments of `keras_albert.training.start.make_task`.

    Returns:
        An `AlbertTextClassifier`.

    Raises:
        ValueError: if the arguments contradict each other.
        OSError: if there is no such vocabulary.
    """
    return make_task(
        AlbertTextClassifier,
        num_classes=1 if labels is None else None,
        labels=labels,
        multi_label=multi_label,
        **model,
    )
