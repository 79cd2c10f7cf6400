"""Metrics of a text classifier on labelled texts, by name."""

import keras
import numpy as np

from keras_albert.metrics.f1 import SparseF1Score
from keras_albert.metrics.pearson import PearsonCorrelation


def evaluate_classifier(task, data, batch_size=32, score=None):
    """Predicts texts, similar lengths together, and scores the outputs.

    Args:
        task: a compiled `AlbertTextClassifier`.
        data: pair of texts and targets: a list of strings, or of pairs of
            strings as 2-tuples; and `(texts,)` int classes, `(texts,)` float
            scores for regression, or `(texts, classes)` 0 or 1 for
            multi-label.
        batch_size: int; `None`: as many texts as have 1,024 tokens.
        score: function with the arguments and the result of
            `score_classifier`, which is the default.

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
    metrics = (score or score_classifier)(task, values, targets)
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
            "pearson": result_of(PearsonCorrelation(), values, targets),
            "rmse": float(np.sqrt(np.mean((values[:, 0] - targets) ** 2))),
        }
    if task.multi_label:
        given, expected = values >= 0.5, targets >= 0.5
        return {
            "micro_f1": _f1(given, expected),
            "binary_accuracy": float(np.mean(given == expected)),
            "exact_match": float(np.mean((given == expected).all(axis=-1))),
        }
    macro_f1 = SparseF1Score(task.num_classes, average="macro")
    return {
        "accuracy": float(np.mean(values.argmax(axis=-1) == targets)),
        "macro_f1": result_of(macro_f1, values, targets),
    }


def result_of(metric, values, targets):
    """What a metric gives for all examples at once.

    Args:
        metric: a `keras.metrics.Metric`, without examples so far.
        values: array, what was predicted.
        targets: array.

    Returns:
        float.
    """
    metric.update_state(targets, values)
    return float(metric.result())


def _f1(given, expected):
    relevant = given.sum() + expected.sum()
    return float(2.0 * (given & expected).sum() / relevant) if relevant else 0.0
