"""Checks of targets, before a loss makes something of any of them."""

import numbers

import keras
import numpy as np


def as_array(y):
    """What a model is given, as a NumPy array.

    Args:
        y: list, array or tensor.

    Raises:
        ValueError: if the rows of a list have different lengths.
    """
    if keras.ops.is_tensor(y):
        return keras.ops.convert_to_numpy(y)
    try:
        return np.asarray(y)
    except ValueError as error:
        raise ValueError(
            "Targets and ids must have as many numbers for each text. "
            "Received rows of different lengths."
        ) from error


def check_numbers(y):
    """Raises ValueError unless targets are finite numbers.

    Args:
        y: array, the targets.
    """
    if y.dtype.kind not in "biuf":
        others = [x for x in y.flat if not isinstance(x, numbers.Real)]
        first = others[0] if others else y
        raise ValueError(
            "Targets must be numbers: the index of a class, not its name. "
            f"Received: {first!r:.80}; give `labels.index(name)`."
        )
    check_finite(y, "Targets")


def check_finite(values, what):
    """Raises ValueError unless numbers are finite.

    Args:
        values: sequence or array of numbers, or `None`.
        what: string, names them.
    """
    values = as_array([] if values is None else values)
    try:
        values = values.astype("float64")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{what} must be numbers. Received: {values!r:.80}."
        ) from error
    if not np.isfinite(values).all():
        raise ValueError(
            f"{what} must be finite. Received: "
            f"{values[~np.isfinite(values)][0]} among them."
        )


def check_shape(y, columns, what):
    """Raises ValueError unless there is a row of targets for each text.

    Args:
        y: array, the targets.
        columns: tuple, the shape of a row. `(1,)` may be left out.
        what: string, what the targets are.
    """
    shape = y.shape[1:]
    if shape != columns and (shape or columns != (1,)):
        expected = "(texts,)" if columns == (1,) else f"(texts, {columns[0]})"
        raise ValueError(
            f"Targets must be {what}, of shape {expected}. Received the shape "
            f"{y.shape}; is the loss, or the model, made for other targets?"
        )


def check_weights(sample_weight, examples):
    """The weights of examples, once there is one for each, a finite number.

    Args:
        sample_weight: sequence of numbers, or `None`.
        examples: int.

    Returns:
        `(examples,)` float32 array, or `None`.

    Raises:
        ValueError: if they are not as many, or no finite numbers.
    """
    if sample_weight is None:
        return None
    weights = as_array(sample_weight)
    if weights.shape not in ((examples,), (examples, 1)):
        raise ValueError(
            "There must be one weight for each example. Received: "
            f"{examples} examples and weights of the shape {weights.shape}."
        )
    check_finite(weights, "Weights of examples")
    return weights.astype("float32").reshape(-1)


def check_classes(y, num_classes):
    """Raises ValueError for class indices that there are not.

    Args:
        y: array of numbers, the targets, not empty.
        num_classes: int.
    """
    wrong = y[(y < 0) | (y >= num_classes) | (y != np.floor(y))]
    if wrong.size:
        raise ValueError(
            "Targets must be class indices between 0 and `num_classes - 1 = "
            f"{num_classes - 1}`. Received: {wrong[0]}."
        )


def check_finite_outputs(outputs):
    """Raises ValueError unless a model's outputs are finite.

    Args:
        outputs: array.
    """
    if not np.isfinite(outputs).all():
        raise ValueError(
            "The model's outputs must be finite. Some are not: its "
            "weights are damaged, or no numbers since it was trained on "
            "such; load or train it anew."
        )
