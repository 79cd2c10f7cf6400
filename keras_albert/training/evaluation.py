"""Metrics of a text classifier on labelled texts, by name."""

import keras
import numpy as np


def evaluate_classifier(task, data, batch_size=32):
    """Predicts texts, similar lengths together, and scores the outputs.

    Args:
        task: a compiled `AlbertTextClassifier`.
        data: pair of texts and targets: a list of strings, or of pairs of
            strings as 2-tuples; and `(texts,)` int classes, `(texts,)` float
            scores for regression, or `(texts, classes)` 0 or 1 for
            multi-label.
        batch_size: int.

    Returns:
        dictionary of floats. Classes: `"accuracy"`, `"macro_f1"` over the
        classes that occur. Regression: `"rmse"`, `"pearson"`. Multi-label:
        `"micro_f1"`, `"binary_accuracy"` a label, `"exact_match"` a text.
        Always `"loss"`.
    """
    texts, targets = data
    outputs = task.predict_by_length(texts, batch_size=batch_size)
    targets = np.asarray(targets)
    values = keras.ops.convert_to_numpy(task.probabilities(outputs))
    metrics = score_classifier(task, values, targets)
    if task.num_classes == 1:
        # Keras would broadcast (texts,) against (texts, 1).
        targets = targets.reshape(-1, 1)
    loss = keras.ops.convert_to_numpy(task.loss(targets, outputs))
    return {**metrics, "loss": float(loss)}


def default_monitor(task):
    """The metric that tells which epoch is best.

    Args:
        task: an `AlbertTextClassifier`.

    Returns:
        string, a metric of which more is better: `"accuracy"`, `"pearson"`
        or `"micro_f1"`.
    """
    if task.num_classes == 1:
        return "pearson"
    return "micro_f1" if task.multi_label else "accuracy"


def score_classifier(task, values, targets):
    """The metrics of a text classifier's results, by name.

    Args:
        task: an `AlbertTextClassifier`, which says what the targets mean.
        values: `(texts, num_classes)` float, probabilities or scores.
        targets: see `evaluate_classifier`.

    Returns:
        dictionary of floats, see `evaluate_classifier`, without the loss.
    """
    if task.num_classes == 1:
        return {
            "pearson": pearson(values[:, 0], targets),
            "rmse": float(np.sqrt(np.mean((values[:, 0] - targets) ** 2))),
        }
    if task.multi_label:
        given, expected = values >= 0.5, targets >= 0.5
        return {
            "micro_f1": _f1(given, expected),
            "binary_accuracy": float(np.mean(given == expected)),
            "exact_match": float(np.mean((given == expected).all(axis=-1))),
        }
    classes = values.argmax(axis=-1)
    occurring = np.union1d(classes, targets)
    return {
        "accuracy": float(np.mean(classes == targets)),
        "macro_f1": float(
            np.mean([_f1(classes == c, targets == c) for c in occurring])
        ),
    }


def _f1(given, expected):
    relevant = given.sum() + expected.sum()
    return float(2.0 * (given & expected).sum() / relevant) if relevant else 0.0


def pearson(values, targets):
    """Pearson's correlation; 0 where either side is constant.

    Args:
        values: `(rows,)` float array.
        targets: likewise.
    """
    values = values.astype("float64") - values.mean(dtype="float64")
    targets = targets.astype("float64") - targets.mean(dtype="float64")
    norm = np.sqrt((values**2).sum() * (targets**2).sum())
    # A constant has no correlation; 0 says that it predicts nothing.
    return float((values * targets).sum() / norm) if norm > 0 else 0.0
