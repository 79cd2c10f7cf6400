"""Packed batches in a few lengths, so that short texts cost little."""

import bisect

import keras
import numpy as np

# The lengths that batches are padded to on backends that build a program for
# each, so they are few; steps of a third at most keep the padding small.
BATCH_LENGTHS = (8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384)
_COMPILING_BACKENDS = ("jax", "openvino")


def batch_length(tokens, maximum):
    """The length that a batch is padded to.

    Args:
        tokens: int, the longest sequence of the batch, in tokens.
        maximum: int, the longest that there can be.

    Returns:
        int, the smallest of `BATCH_LENGTHS` that holds it, or `maximum`.
        Backends that do not compile for each length take it as it is.
    """
    if keras.backend.backend() not in _COMPILING_BACKENDS:
        return min(tokens, maximum)
    index = bisect.bisect_left(BATCH_LENGTHS, tokens)
    if index == len(BATCH_LENGTHS):
        return maximum
    return min(BATCH_LENGTHS[index], maximum)


def trim_padding(features):
    """Cuts a padded batch down to the length that its texts need.

    Args:
        features: dictionary of `(batch, sequence)` arrays or TensorFlow
            tensors, `"padding_mask"` among them.

    Returns:
        The same dictionary with `(batch, length)` entries, NumPy arrays or
        TensorFlow graph tensors as they came.
    """
    mask = features["padding_mask"]
    if isinstance(mask, np.ndarray):
        tokens = int(mask.sum(axis=-1).max(initial=0))
        length = batch_length(tokens, mask.shape[-1])
    else:
        length = _batch_length_in_graph(mask)
    return {name: value[:, :length] for name, value in features.items()}


def _batch_length_in_graph(mask):
    import tensorflow as tf

    maximum = mask.shape[-1]
    tokens = tf.reduce_max(tf.reduce_sum(tf.cast(mask, "int32"), axis=-1))
    if keras.backend.backend() not in _COMPILING_BACKENDS:
        return tokens
    lengths = tf.constant(
        [length for length in BATCH_LENGTHS if length < maximum] + [maximum]
    )
    return lengths[tf.searchsorted(lengths, [tokens])[0]]
