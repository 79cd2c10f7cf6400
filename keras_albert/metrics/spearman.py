"""Spearman's rank correlation coefficient of scores."""

import keras
from keras import ops

from keras_albert.metrics.pearson import correlation, sides


@keras.saving.register_keras_serializable(package="keras_albert")
class SpearmanCorrelation(keras.metrics.Metric):
    """Spearman's rank correlation of all examples since the last reset.

    The rank of an example depends on all others, so that values are kept
    until the result is asked for: equal ones share the mean of their ranks,
    as in `scipy.stats.spearmanr`, however they were batched.

    A side that is constant, or fewer than two examples, have no correlation:
    the result is 0 (SciPy: NaN), as that of `PearsonCorrelation`. It is NaN
    when a value is, and when there were more examples than `capacity`: a
    compiled step cannot raise, and a part of them is no answer.

    Args:
        capacity: int, the most examples between two resets; 8 bytes each.
        name: string.
        dtype: dtype of the computation, float32 by default. Values that it
            does not tell apart are equal.

    Raises:
        ValueError: if the capacity is not positive; in `update_state`, if
            there are sample weights: ranks have none.

    Example:
    ```python
    metric = SpearmanCorrelation()
    metric.update_state([1.0, 2.0, 4.0], [[0.1], [0.2], [0.9]])
    float(metric.result())  # 1.0
    ```
    """

    def __init__(self, capacity=10_000, name="spearman", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"
        if capacity < 1:
            raise ValueError(
                "`capacity` must be the number of examples at most. "
                f"Received: capacity={capacity}."
            )
        self.capacity = capacity
        self.values = self.add_variable(
            (capacity, 2), initializer="zeros", name="values"
        )
        self.count = self.add_variable(
            (), initializer="zeros", dtype="int32", name="count"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Keeps examples.

        Args:
            y_true: float, of any shape.
            y_pred: float, as many.
            sample_weight: must be `None`.

        Raises:
            ValueError: if there are sample weights.
        """
        if sample_weight is not None:
            raise ValueError(
                "Spearman's correlation must be without sample weights, "
                "since ranks have none. Received some; leave them out, or "
                "the metric out of `weighted_metrics`."
            )
        values = ops.transpose(sides(y_true, y_pred, self.dtype)[0])
        size = ops.shape(values)[0]
        count = ops.convert_to_tensor(self.count)
        # Past the capacity it does not matter what is written where.
        places = (count + ops.arange(size, dtype="int32")) % self.capacity
        self.values.assign(
            # A copy, since NumPy would write into the variable's array.
            ops.scatter_update(
                ops.copy(ops.convert_to_tensor(self.values)),
                places[:, None],
                values,
            )
        )
        self.count.assign(count + ops.cast(size, "int32"))

    def result(self):
        """The coefficient, a scalar tensor between -1 and 1."""
        count = ops.convert_to_tensor(self.count)
        is_there = ops.arange(self.capacity, dtype="int32") < count
        total = ops.maximum(ops.cast(count, self.dtype), 1.0)
        sides = ops.transpose(ops.convert_to_tensor(self.values))
        ranks = ops.stack(
            [
                self._centered_ranks(sides[index], is_there) / total
                for index in range(2)
            ]
        )
        products = ops.matmul(ranks, ops.transpose(ranks))
        is_whole = ops.logical_and(
            count <= self.capacity,
            ops.logical_not(
                ops.any(ops.isnan(ops.where(is_there, sides, 0.0)))
            ),
        )
        varies = ops.all(ops.diagonal(products) > 0)
        return ops.where(is_whole, correlation(products, varies), float("nan"))

    def _centered_ranks(self, side, is_there):
        """`(capacity,)`, ranks less their mean; 0 where nothing is kept."""
        # What is not there is larger than all that is, and counts for none.
        ordered = ops.sort(ops.where(is_there, side, float("inf")))
        below, up_to = (
            ops.searchsorted(ordered, side, side=end)
            for end in ("left", "right")
        )
        count = ops.sum(ops.cast(is_there, below.dtype))
        # Twice the rank from 1 is `below + up_to + 1`, its mean `count + 1`.
        ranks = ops.cast(below + ops.minimum(up_to, count) - count, self.dtype)
        return ops.where(is_there, ranks / 2.0, 0.0)

    def get_config(self):
        return {**super().get_config(), "capacity": self.capacity}
