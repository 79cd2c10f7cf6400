"""Labels of texts: the names of classes, class indices, scores."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence

import numpy as np

from keras_albert.data.readers import Rows, read_text

_LARGEST_SCORE = float(np.finfo("float32").max)


def read_labels(path: str | os.PathLike) -> list[str]:
    """Reads the names of classes from a file, one a line, in order.

    Args:
        path: path of a UTF-8 text file. Blank lines are skipped.

    Returns:
        list of strings, at least two.

    Raises:
        ValueError: if a name occurs twice, or there are fewer than two.
        OSError: if there is no such file, or it cannot be read.
    """
    path = os.fspath(path)
    lines = [line.strip() for line in read_text(path).split("\n")]
    labels = [line for line in lines if line]
    twice = next((x for x in labels if labels.count(x) > 1), None)
    if twice is not None:
        raise ValueError(
            f"{path} must name each class once. {twice!r} is there twice."
        )
    if len(labels) < 2:
        raise ValueError(
            f"{path} must name at least two classes, one a line. It names "
            f"{len(labels)}."
        )
    return labels


def label_set(labels: Sequence) -> list[str]:
    """The different labels, sorted; as numbers when all are integers.

    Args:
        labels: strings, or lists of strings.

    Returns:
        list of strings.
    """
    flat = set()
    for label in labels:
        flat.update(label if isinstance(label, list) else [label])
    try:
        return sorted(flat, key=lambda label: (int(label), label))
    except ValueError:
        return sorted(flat)


def encode_labels(rows: Rows, labels: Sequence[str]) -> np.ndarray:
    """Class indices of rows.

    Args:
        rows: rows with labels.
        labels: the names of the classes in order.

    Returns:
        `(rows,)` int32.

    Raises:
        ValueError: if a row has another label.
    """
    index = {label: number for number, label in enumerate(labels)}
    classes = np.zeros(len(rows), "int32")
    for row, label in enumerate(rows.labels or ()):
        if isinstance(label, list):
            raise ValueError(
                f"{rows.where(row)}: the label must be one. It is a list; "
                "several labels a text need multi-label training."
            )
        classes[row] = _known(index, label, rows, row)
    return classes


def split_labels(rows: Rows, separator: str) -> Rows:
    """Rows whose labels are lists, split at a separator.

    Args:
        rows: rows with labels. An empty string is an empty list.
        separator: string between the labels of a row, such as `"|"`.

    Returns:
        A new `Rows`; white space around labels is dropped.

    Raises:
        ValueError: if the separator is empty.
    """
    if not separator:
        raise ValueError(
            "The separator of labels must be at least one character, such as "
            f"'|'. Received: {separator!r}."
        )
    labels = [
        label
        if isinstance(label, list)
        else [part.strip() for part in label.split(separator) if part.strip()]
        for label in rows.labels or ()
    ]
    return dataclasses.replace(rows, labels=labels)


def encode_multi_labels(rows: Rows, labels: Sequence[str]) -> np.ndarray:
    """Which classes each row has.

    Args:
        rows: rows whose labels are lists, see `split_labels`.
        labels: the names of the classes in order.

    Returns:
        `(rows, classes)` float32, 0 or 1.

    Raises:
        ValueError: if a row has another label.
    """
    index = {label: number for number, label in enumerate(labels)}
    targets = np.zeros((len(rows), len(labels)), "float32")
    for row, names in enumerate(rows.labels or ()):
        for name in names:
            targets[row, _known(index, name, rows, row)] = 1.0
    return targets


def parse_scores(rows: Rows) -> np.ndarray:
    """Labels as numbers, for regression.

    Args:
        rows: rows with labels.

    Returns:
        `(rows,)` float32.

    Raises:
        ValueError: if a label is not a number, or not one of float32.
    """
    scores = np.zeros(len(rows), "float32")
    for row, label in enumerate(rows.labels or ()):
        try:
            score = float(label)
        except (TypeError, ValueError):
            score = math.nan
        if not abs(score) <= _LARGEST_SCORE:
            raise ValueError(
                f"{rows.where(row)}: the label must be a number for "
                f"regression. It is {label!r}; correct it, or train classes."
            )
        scores[row] = score
    return scores


def score_among(labels: Sequence) -> int | None:
    """The index of a label that shows that all of them are scores.

    Args:
        labels: strings, as they are in a file, or lists of strings.

    Returns:
        int: where all labels are numbers, the first that is no whole one;
        `None` where there is none, so that they may be classes.
    """
    first = None
    for index, label in enumerate(labels):
        try:
            score = float(label)
        except (TypeError, ValueError):
            return None
        if first is None and not score.is_integer():
            first = index
    return first


def check_class_names(rows: Rows, advice: str) -> None:
    """Raises ValueError where labels name no classes: blank ones, scores.

    Args:
        rows: rows with labels.
        advice: string, what to do where such numbers are meant as classes.
    """
    labels = rows.labels or ()
    for index, label in enumerate(labels):
        names = label if isinstance(label, list) else [label]
        if not all(name.strip() for name in names):
            raise ValueError(
                f"{rows.where(index)}: the label must not be empty. Give "
                "it one, or remove the row."
            )
    number = score_among(labels)
    if number is not None:
        raise ValueError(
            f"{rows.where(number)}: the label must name a class. It is "
            f"{labels[number]}, and all labels are numbers; train a "
            f"regression on scores, or {advice}."
        )


def class_weights(
    how: str | os.PathLike | Mapping[str, float],
    labels: Sequence[str],
    classes: np.ndarray,
) -> np.ndarray:
    """The weights of classes in the loss.

    Args:
        how: `"balanced"`: in inverse proportion to how often they occur, so
            that each class counts alike and the mean over all examples is 1,
            `examples / (occurring classes * count)` as in scikit-learn; a
            dictionary of weights by label, 1 for those that are left out; or
            the path of a JSON file with one.
        labels: the names of the classes in order.
        classes: `(examples,)` int, the training targets.

    Returns:
        `(classes,)` float32, 1 for classes that do not occur.

    Raises:
        ValueError: if a label is unknown, or a weight no positive number.
        OSError: if there is no such file, or it cannot be read.
    """
    if how == "balanced":
        counts = np.bincount(classes, minlength=len(labels))
        occurring = counts > 0
        weights = np.ones(len(labels), "float32")
        weights[occurring] = len(classes) / (
            occurring.sum() * counts[occurring]
        )
        return weights
    source = "The class weights"
    if not isinstance(how, Mapping):
        source = os.fspath(how)
        how = _read_weights(source)
    weights = np.ones(len(labels), "float32")
    index = {label: number for number, label in enumerate(labels)}
    for label, weight in how.items():
        if label not in index:
            raise ValueError(
                f"{source} must be for labels that there are: "
                f"{', '.join(map(repr, labels[:20]))}. Received: {label!r}."
            )
        if type(weight) not in (int, float) or not 0 < weight < math.inf:
            raise ValueError(
                f"{source} must be positive numbers. Received for {label!r}: "
                f"{weight!r}."
            )
        weights[index[label]] = weight
    return weights


def _read_weights(path: str) -> Mapping[str, float]:
    try:
        weights = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} must be JSON, an object of weights by label. It is not: "
            f"{error}."
        ) from error
    if not isinstance(weights, dict):
        raise ValueError(
            f"{path} must be a JSON object of weights by label, such as "
            f'{{"alarm": 2.0}}. It is a {type(weights).__name__}.'
        )
    return weights


def _known(index: dict[str, int], label: str, rows: Rows, row: int) -> int:
    if label not in index:
        known = list(index)
        shown = ", ".join(map(repr, known[:20]))
        more = f" and {len(known) - 20} more" if len(known) > 20 else ""
        raise ValueError(
            f"{rows.where(row)}: the label must be one of the "
            f"{len(known)} known ones, {shown}{more}. It is {label!r}; "
            "correct it, or train with it."
        )
    return index[label]
