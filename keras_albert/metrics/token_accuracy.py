"""Accuracy of what each token, sentence or mask is predicted to be."""

import keras
from keras import ops


def _flat(y_true, y_pred, sample_weight):
    """A row a token: Keras's mean gives each sequence one weight.

    It is that of its tokens over its length, so that what a token counts
    would depend on how long the batch happens to be.
    """
    y_true, y_pred = map(ops.convert_to_tensor, (y_true, y_pred))
    classes = ops.shape(y_pred)[len(y_true.shape) :]
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight)
        while len(sample_weight.shape) < len(y_true.shape):
            sample_weight = sample_weight[..., None]
        sample_weight = ops.broadcast_to(sample_weight, ops.shape(y_true))
        sample_weight = ops.reshape(sample_weight, (-1,))
    return (
        ops.reshape(y_true, (-1,)),
        ops.reshape(y_pred, (-1, *classes)),
        sample_weight,
    )


@keras.saving.register_keras_serializable(package="keras_albert")
class TokenAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of tokens whose class is right, whatever the batches.

    Call arguments:
        y_true: `(batch, tokens)` int.
        y_pred: `(batch, tokens, classes)` float.
        sample_weight: `(batch, tokens)` float, 0 for what does not count.

    Example:
    ```python
    metric = TokenAccuracy(name="accuracy")
    metric.update_state([[0, 1]], [[[2.0, 1.0], [3.0, 0.0]]], [[1.0, 0.0]])
    float(metric.result())  # 1.0
    ```
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch."""
        return super().update_state(*_flat(y_true, y_pred, sample_weight))


@keras.saving.register_keras_serializable(package="keras_albert")
class BinaryTokenAccuracy(keras.metrics.BinaryAccuracy):
    """The share of tokens whose yes or no is right, whatever the batches.

    Call arguments:
        y_true: `(batch, tokens)`, 0 or 1.
        y_pred: `(batch, tokens)` float.
        sample_weight: `(batch, tokens)` float, 0 for what does not count.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch."""
        return super().update_state(*_flat(y_true, y_pred, sample_weight))
