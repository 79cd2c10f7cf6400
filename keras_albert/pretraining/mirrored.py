"""What Keras leaves out on `MirroredStrategy`: parts of a batch count alike.

With it, losses and gradients of several devices are those of one device that
works off the whole batch.
"""

import keras
import tensorflow as tf


class MeanOverReplicas(keras.losses.SparseCategoricalCrossentropy):
    """Cross-entropy of logits, the mean over the weights of all replicas.

    Keras takes the mean of the replicas' means, in which a mask counts more
    where there are fewer. See `keras.losses.SparseCategoricalCrossentropy`.
    """

    def __init__(self):
        super().__init__(from_logits=True, reduction="mean_with_sample_weight")

    def __call__(self, y_true, y_pred, sample_weight=None):
        loss = super().__call__(y_true, y_pred, sample_weight)
        context = tf.distribute.get_replica_context()
        if context is None:
            return loss
        weight = tf.reduce_sum(tf.cast(sample_weight, loss.dtype))
        mean = context.all_reduce(tf.distribute.ReduceOp.MEAN, weight)
        return loss * tf.math.divide_no_nan(weight, mean)


def over_replicas(optimizer_class):
    """An optimizer that clips the gradient of the whole batch.

    Keras clips the gradient of each replica, and adds them up.

    Args:
        optimizer_class: a class of `keras.optimizers`.

    Returns:
        A subclass. Its `global_clipnorm` must be divided by the number of
        replicas, as the gradients are when they are clipped.
    """

    class OverReplicas(optimizer_class):
        def apply(self, grads, trainable_variables=None):
            context = tf.distribute.get_replica_context()
            grads = context.all_reduce(tf.distribute.ReduceOp.MEAN, list(grads))
            super().apply(grads, trainable_variables)

    return OverReplicas
