"""Matthews' correlation coefficient of classes."""

import keras
from keras import ops

from keras_albert.metrics.confusion import ConfusionMetric


@keras.saving.register_keras_serializable(package="keras_albert")
class MatthewsCorrelation(ConfusionMetric):
    """Matthews' correlation coefficient, CoLA's metric, of 2 or more classes.

    The coefficient of all examples since the last reset, whatever the
    batches; with sample weights, each example counts as its weight says.
    Equal to scikit-learn's `matthews_corrcoef`, also in this: where all
    predictions or all targets are of one class there is no correlation, and
    the result is 0.

    Source: Matthews 1975; Gorodkin 2004 for more than two classes.

    Args:
        num_classes: int, at least 2.
        name: string.
        dtype: dtype of the counts, float32 by default.

    Example:
    ```python
    metric = MatthewsCorrelation(num_classes=2)
    metric.update_state([0, 1, 1], [[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    float(metric.result())  # 0.5
    ```
    """

    def __init__(self, num_classes=2, name="matthews_correlation", dtype=None):
        super().__init__(num_classes, name=name, dtype=dtype)

    def result(self):
        """The coefficient, a scalar tensor between -1 and 1."""
        counts = ops.convert_to_tensor(self.confusion)
        total = ops.sum(counts)
        # Shares: products of counts would leave what float32 resolves.
        shares = counts / ops.where(total > 0, total, 1.0)
        others = 1.0 - ops.eye(self.num_classes, dtype=self.dtype)
        # Sums of what is there, not differences of what is large: two
        # nearly constant sides keep their digits.
        elsewhere = ops.matmul(ops.matmul(others, shares), others)
        of_true, of_pred = ops.sum(shares, axis=1), ops.sum(shares, axis=0)
        right = ops.diagonal(shares)
        covariance = ops.sum(
            right * ops.diagonal(elsewhere)
            - (of_true - right) * (of_pred - right)
        )
        variances = [
            ops.sum(side * ops.matmul(others, side[:, None])[:, 0])
            for side in (of_true, of_pred)
        ]
        scale = ops.sqrt(variances[0]) * ops.sqrt(variances[1])
        return ops.where(
            scale > 0, covariance / ops.where(scale > 0, scale, 1.0), 0.0
        )
