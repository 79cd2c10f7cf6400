"""Pearson's correlation coefficient of scores."""

import keras
from keras import ops

from keras_albert.metrics.confusion import flat_weights


@keras.saving.register_keras_serializable(package="keras_albert")
class PearsonCorrelation(keras.metrics.Metric):
    """Pearson's correlation of all examples since the last reset.

    `keras.metrics.PearsonCorrelation` gives the mean of what the batches have
    for themselves, which is another number. Here means and products of
    deviations are merged batch by batch (Chan, Golub & LeVeque 1983), so that
    the result is that of `scipy.stats.pearsonr` on everything at once,
    however it was batched. With sample weights, means and products are
    weighted.

    A side that is constant, or fewer than two examples, have no correlation:
    the result is 0 (SciPy: NaN), so that a model that always gives the same
    score is one that predicts nothing, and can be compared with others. A
    NaN among the values makes the result NaN.

    Args:
        name: string.
        dtype: dtype of the computation, float32 by default.

    Example:
    ```python
    metric = PearsonCorrelation()
    metric.update_state([1.0, 2.0, 4.0], [[0.1], [0.2], [0.4]])
    float(metric.result())  # 1.0
    ```
    """

    def __init__(self, name="pearson", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"

        def add(name, shape, value):
            return self.add_variable(
                shape,
                initializer=keras.initializers.Constant(value),
                name=name,
            )

        # Both sides together: of targets, of predictions.
        self.weight = add("weight", (), 0.0)
        self.means = add("means", (2,), 0.0)
        self.products = add("products", (2, 2), 0.0)
        # Rounding gives a constant side some variance: it is told by these.
        self.smallest = add("smallest", (2,), float("inf"))
        self.largest = add("largest", (2,), float("-inf"))

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds examples.

        Args:
            y_true: float, of any shape.
            y_pred: float, as many.
            sample_weight: float, of the shape of `y_true` or of its first
                axes; all are 1 by default. Examples of weight 0 are left
                out.
        """
        values, y_true = sides(y_true, y_pred, self.dtype)
        if sample_weight is None:
            weights = ops.ones_like(values[0])
        else:
            weights = flat_weights(sample_weight, y_true, self.dtype)
        counts = weights > 0
        # What has no weight must not count by being NaN.
        values = ops.where(counts, values, 0.0)
        weight = ops.sum(weights)
        divisor = ops.where(weight > 0, weight, 1.0)
        means = ops.sum(values * weights, axis=-1) / divisor
        deviations = ops.where(counts, values - means[:, None], 0.0)
        products = ops.matmul(deviations * weights, ops.transpose(deviations))

        total = self.weight + weight
        divisor = ops.where(total > 0, total, 1.0)
        shift = means - self.means
        self.products.assign(
            self.products
            + products
            + shift[:, None] * shift[None] * (self.weight * weight / divisor)
        )
        self.means.assign(self.means + shift * (weight / divisor))
        self.weight.assign(total)
        infinity = float("inf")
        self.smallest.assign(
            ops.minimum(
                self.smallest,
                ops.min(ops.where(counts, values, infinity), axis=-1),
            )
        )
        self.largest.assign(
            ops.maximum(
                self.largest,
                ops.max(ops.where(counts, values, -infinity), axis=-1),
            )
        )

    def result(self):
        """The coefficient, a scalar tensor between -1 and 1."""
        products = ops.convert_to_tensor(self.products)
        varies = ops.convert_to_tensor(self.largest) > ops.convert_to_tensor(
            self.smallest
        )
        return correlation(products, ops.all(varies))

    def reset_state(self):
        for variable in self.variables:
            variable.assign(ops.zeros(variable.shape, self.dtype))
        self.smallest.assign(ops.full((2,), float("inf"), self.dtype))
        self.largest.assign(ops.full((2,), float("-inf"), self.dtype))


def sides(y_true, y_pred, dtype):
    """Targets and predictions, flat, one above the other.

    Args:
        y_true: float, of any shape.
        y_pred: float, as many.
        dtype: dtype of the result.

    Returns:
        `(2, values)` tensor, and `y_true` as a tensor without a last axis
        of 1.
    """
    y_true, y_pred = (
        ops.cast(ops.convert_to_tensor(side), dtype)
        for side in (y_true, y_pred)
    )
    if len(y_true.shape) > 1 and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    flat = [ops.reshape(side, (-1,)) for side in (y_true, y_pred)]
    return ops.stack(flat), y_true


def correlation(products, varies):
    """The coefficient from products of deviations.

    Args:
        products: `(2, 2)` tensor.
        varies: bool tensor; where it is false, the result is 0.
    """
    # Not the root of the product, which leaves the range of float32 first.
    scale = ops.sqrt(products[0, 0]) * ops.sqrt(products[1, 1])
    # NaN is not smaller than anything, and remains.
    varies = ops.logical_or(varies, ops.isnan(products[0, 1]))
    varies = ops.logical_and(varies, ops.logical_not(scale <= 0))
    ratio = products[0, 1] / ops.where(varies, scale, 1.0)
    return ops.where(varies, ops.clip(ratio, -1.0, 1.0), 0.0)
