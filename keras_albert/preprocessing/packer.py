"""Packed batches in a few lengths, so that short texts cost little."""

import bisect

import keras
import numpy as np

# The lengths that batches are padded to on backends that build a program for
# each, so they are few; steps of a third at most keep the padding small.
BATCH_LENGTHS = (8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384)
# Those by which examples are grouped where a program takes any length.
_FINE_LENGTHS = (
    *range(4, 64, 4),
    *range(64, 128, 8),
    *range(128, 256, 16),
    *range(256, 512, 32),
)
_COMPILING_BACKENDS = ("jax", "openvino")


def compiles_each_shape():
    """Whether the backend builds a program for each shape of a batch."""
    return keras.backend.backend() in _COMPILING_BACKENDS


def bucket_lengths(maximum):
    """The lengths by which the examples of a data set are grouped.

    Args:
        maximum: int, the longest that there can be.

    Returns:
        list of int, ascending, `maximum` the last: `BATCH_LENGTHS`, or finer
        steps on backends that do not compile for each length.
    """
    lengths = BATCH_LENGTHS if compiles_each_shape() else _FINE_LENGTHS
    return [*(length for length in lengths if length < maximum), maximum]


def batch_length(tokens, maximum):
    """The length that a batch is padded to.

    Args:
        tokens: int, the longest sequence of the batch, in tokens.
        maximum: int, the longest that there can be.

    Returns:
        int, the smallest of `BATCH_LENGTHS` that holds it, or `maximum`.
        Backends that do not compile for each length take it as it is.
    """
    if not compiles_each_shape():
        return min(tokens, maximum)
    index = bisect.bisect_left(BATCH_LENGTHS, tokens)
    if index == len(BATCH_LENGTHS):
        return maximum
    return min(BATCH_LENGTHS[index], maximum)


def trim_padding(features):
    """Cuts a padded batch down to the length that its texts need.

    Args:
        features: dictionary of `(batch, sequence)` or `(batch, choices,
            sequence)` arrays or TensorFlow tensors, `"padding_mask"` among
            them.

    Returns:
        The same dictionary with `(…, length)` entries, NumPy arrays or
        TensorFlow graph tensors as they came. Positions of masks stay, since
        they have no length of tokens.
    """
    mask = features["padding_mask"]
    if isinstance(mask, np.ndarray):
        tokens = int(mask.sum(axis=-1).max(initial=0))
        length = batch_length(tokens, mask.shape[-1])
    else:
        length = _batch_length_in_graph(mask)
    return {
        name: value if name == "mask_positions" else value[..., :length]
        for name, value in features.items()
    }


def trim_masks(values, masks):
    """Cuts what there is for each mask down to the masks that there can be.

    Args:
        values: structure of arrays or TensorFlow tensors, those of masks
            `(batch, slots)`, as `WholeWordMasker` gives them.
        masks: int or scalar tensor.

    Returns:
        The same structure; what is no matrix is left as it is.
    """
    return keras.tree.map_structure(
        lambda x: x[:, :masks] if len(x.shape) == 2 else x, values
    )


def ragged_ids(tokenizer, texts):
    """Tokenizes for further steps in TensorFlow.

    Args:
        tokenizer: an `AlbertTokenizer` or `AlbertWordPieceTokenizer`.
        texts: `(batch,)` tensor of strings.

    Returns:
        ragged `(batch, tokens)` int32 tensor.
    """
    import tensorflow as tf

    if not tf.executing_eagerly():
        return tokenizer(texts)
    rows = python_ids(tokenizer, texts.numpy())
    return tf.ragged.constant(rows, dtype=tf.int32, ragged_rank=1)


def python_ids(tokenizer, texts):
    """Tokenizes in Python.

    Args:
        tokenizer: an `AlbertTokenizer` or `AlbertWordPieceTokenizer`.
        texts: array of bytes, or list of strings.

    Returns:
        list of lists of int.
    """
    texts = [
        text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for text in texts
    ]
    return [list(map(int, row)) for row in tokenizer.tokenize(texts)]


def pack_segments(segments, tokenizer, sequence_length, truncate):
    """Packs ids as `keras_nlp.layers.MultiSegmentPacker` does, by NumPy.

    Keras, on torch above all, walks through nested lists one number at a
    time, which takes longer than to tokenize them.

    Args:
        segments: tuple of lists of lists of ids, a list a row.
        tokenizer: gives the ids of `[CLS]`, `[SEP]` and padding.
        sequence_length: int.
        truncate: `"round_robin"` or `"waterfall"`.

    Returns:
        dictionary of `"token_ids"` and `"segment_ids"`, `(rows,
        sequence_length)` int32 arrays, and `"padding_mask"`, bool.
    """
    room = sequence_length - len(segments) - 1
    lengths = np.array([[len(ids) for ids in rows] for rows in segments])
    kept = _KEPT[truncate](lengths, room)
    shape = (lengths.shape[1], sequence_length)
    token_ids = np.full(shape, tokenizer.pad_token_id, "int32")
    segment_ids = np.zeros(shape, "int32")
    for row, parts in enumerate(zip(*segments, strict=True)):
        ids = [tokenizer.cls_token_id]
        for segment, part in enumerate(parts):
            start = len(ids)
            ids.extend(part[: kept[segment, row]])
            ids.append(tokenizer.sep_token_id)
            segment_ids[row, start : len(ids)] = segment
        token_ids[row, : len(ids)] = ids
    return {
        "token_ids": token_ids,
        "segment_ids": segment_ids,
        "padding_mask": token_ids != tokenizer.pad_token_id,
    }


def _kept_by_waterfall(lengths, room):
    """What is left of each segment: the first ones have what they need."""
    before = np.cumsum(lengths, axis=0) - lengths
    return np.clip(room - before, 0, lengths)


def _kept_by_turns(lengths, room):
    """What is left of each segment: one token each, in turns."""
    kept = lengths.copy()
    for row in np.flatnonzero(lengths.sum(axis=0) > room):
        kept[:, row], left = 0, room
        while left:
            unfinished = np.flatnonzero(kept[:, row] < lengths[:, row])
            missing = lengths[unfinished, row] - kept[unfinished, row]
            turns = min(left // len(unfinished), missing.min())
            # When there is not one for each, the first have it.
            unfinished = unfinished if turns else unfinished[:left]
            kept[unfinished, row] += max(turns, 1)
            left = room - kept[:, row].sum()
    return kept


_KEPT = {"round_robin": _kept_by_turns, "waterfall": _kept_by_waterfall}


def pack_texts(preprocessor, texts):
    """What a preprocessor gives, as NumPy arrays.

    Args:
        preprocessor: of texts.
        texts: list of strings, or a tuple of two such lists.

    Returns:
        dictionary of `(texts, sequence_length)` arrays.
    """
    # A subclass of a user may have a call of its own.
    package = type(preprocessor).call.__module__.split(".")[0]
    is_known = package in ("keras_albert", "keras_hub")
    if is_known and hasattr(preprocessor, "pack_texts"):
        return preprocessor.pack_texts(texts)
    # `y=None` says that a tuple is a pair of texts, not texts and labels.
    features = preprocessor(texts, y=None)
    return {
        name: keras.ops.convert_to_numpy(value)
        for name, value in features.items()
    }


def _batch_length_in_graph(mask):
    import tensorflow as tf

    maximum = mask.shape[-1]
    tokens = tf.reduce_max(tf.reduce_sum(tf.cast(mask, "int32"), axis=-1))
    if not compiles_each_shape():
        return tokens
    lengths = tf.constant(bucket_lengths(maximum))
    return lengths[tf.searchsorted(lengths, [tokens])[0]]
