"""F1 of class indices."""

import keras
from keras import ops

from keras_albert.metrics.confusion import ConfusionMetric


@keras.saving.register_keras_serializable(package="keras_albert")
class SparseF1Score(ConfusionMetric):
    """F1 of class indices: of one class, or the mean over classes.

    `keras.metrics.F1Score` wants targets of one column a class, and counts
    classes that occur nowhere in its mean; this one takes class indices, as
    classifiers do, and is equal to scikit-learn's `f1_score`. Where there is
    nothing to divide by (a class neither expected nor predicted), the F1 is
    0, as there; `"macro"` leaves out classes that occur neither among
    targets nor predictions. Of all examples since the last reset, whatever
    the batches; with sample weights, each counts as its weight says.

    Args:
        num_classes: int, at least 2.
        average: `"binary"`: of the class `positive_class`, MRPC's and QQP's
            metric; `"macro"`: the mean over classes.
        positive_class: int, for `"binary"`.
        name: string.
        dtype: dtype of the counts, float32 by default.

    Raises:
        ValueError: if the average is another, or there is no such class.

    Example:
    ```python
    metric = SparseF1Score()
    metric.update_state([0, 1, 1], [[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    float(metric.result())  # 0.6667
    ```
    """

    def __init__(
        self,
        num_classes=2,
        average="binary",
        positive_class=1,
        name="f1",
        dtype=None,
    ):
        super().__init__(num_classes, name=name, dtype=dtype)
        if average not in ("binary", "macro"):
            raise ValueError(
                "`average` must be 'binary' or 'macro'. Received: average="
                f"{average!r}."
            )
        if not 0 <= positive_class < num_classes:
            raise ValueError(
                "`positive_class` must be a class, between 0 and "
                f"{num_classes - 1}. Received: positive_class="
                f"{positive_class}."
            )
        self.average = average
        self.positive_class = positive_class

    def result(self):
        """The F1, a scalar tensor between 0 and 1."""
        counts = ops.convert_to_tensor(self.confusion)
        relevant = ops.sum(counts, axis=0) + ops.sum(counts, axis=1)
        occurs = relevant > 0
        of_classes = ops.where(
            occurs,
            2.0 * ops.diagonal(counts) / ops.where(occurs, relevant, 1.0),
            0.0,
        )
        if self.average == "binary":
            return of_classes[self.positive_class]
        occurring = ops.sum(ops.cast(occurs, self.dtype))
        return ops.sum(of_classes) / ops.maximum(occurring, 1.0)

    def get_config(self):
        return {
            **super().get_config(),
            "average": self.average,
            "positive_class": self.positive_class,
        }
