"""What metrics of classes share: how often which class is taken for which."""

import keras
from keras import ops


class ConfusionMetric(keras.metrics.Metric):
    """Collects the confusion matrix; a subclass makes a number of it.

    Args:
        num_classes: int, at least 2.
        name: string.
        dtype: dtype of the counts, float32 by default.

    Raises:
        ValueError: if there are fewer than two classes.
    """

    def __init__(self, num_classes=2, name=None, dtype=None):
        if num_classes < 2:
            raise ValueError(
                "`num_classes` must be at least 2. Received: num_classes="
                f"{num_classes}; for a single sigmoid output give the "
                "probabilities of both classes."
            )
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"
        self.num_classes = num_classes
        self.confusion = self.add_variable(
            (num_classes, num_classes), initializer="zeros", name="confusion"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts examples.

        Args:
            y_true: `(batch, …)` or `(batch, …, 1)` int, class indices.
            y_pred: `(batch, …, num_classes)` float, logits or probabilities:
                the largest counts, the first of equal ones.
            sample_weight: float, of the shape of `y_true` or of its first
                axes; all are 1 by default.

        Raises:
            ValueError: if `y_pred` has not `num_classes` columns.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        if y_pred.shape[-1] != self.num_classes:
            raise ValueError(
                f"`y_pred` must have {self.num_classes} columns, one a class. "
                f"Received the shape {tuple(y_pred.shape)}; give "
                "`num_classes` as the model has it."
            )
        y_true = ops.convert_to_tensor(y_true)
        if len(y_true.shape) == len(y_pred.shape):
            y_true = ops.squeeze(y_true, axis=-1)
        expected, found = (
            ops.one_hot(
                ops.reshape(ops.cast(classes, "int32"), (-1,)),
                self.num_classes,
                dtype=self.dtype,
            )
            for classes in (y_true, ops.argmax(y_pred, axis=-1))
        )
        if sample_weight is not None:
            weights = flat_weights(sample_weight, y_true, self.dtype)
            expected = expected * weights[:, None]
        self.confusion.assign_add(ops.matmul(ops.transpose(expected), found))

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


def flat_weights(weights, values, dtype):
    """Sample weights, one for each value.

    Args:
        weights: float, of the shape of `values` or of its first axes; a
            last axis of 1 counts for nothing.
        values: tensor.
        dtype: dtype of the result.

    Returns:
        `(values of all shapes,)` float tensor.
    """
    weights = ops.cast(ops.convert_to_tensor(weights), dtype)
    rank = len(values.shape)
    if len(weights.shape) == rank + 1:
        weights = ops.squeeze(weights, axis=-1)
    while len(weights.shape) < rank:
        weights = ops.expand_dims(weights, -1)
    weights = ops.broadcast_to(weights, ops.shape(values))
    return ops.reshape(weights, (-1,))
