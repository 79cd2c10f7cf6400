"""Tokenized examples in batches of similar length.

A text costs what its own length costs, and compiled backends see few
different shapes.
"""

import dataclasses
import hashlib

import numpy as np

from keras_albert.preprocessing.packer import BATCH_LENGTHS, batch_length

# Texts tokenized in one call: the packer's `(texts, maximum)` matrices are
# then small, whatever the data.
_TEXTS_A_CALL = 1024


@dataclasses.dataclass
class TokenizedTexts:
    """Packed sequences of many texts, without padding.

    Attributes:
        token_ids: `(tokens of all texts,)` int32.
        segment_ids: `(tokens of all texts,)` int32.
        offsets: `(texts + 1,)` int64; text `i` has the tokens
            `offsets[i]` to `offsets[i + 1]`.
        pad_token_id: int.
        maximum: int, the longest sequence that the preprocessor packs.
    """

    token_ids: np.ndarray
    segment_ids: np.ndarray
    offsets: np.ndarray
    pad_token_id: int
    maximum: int

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def lengths(self):
        """`(texts,)` int64, in tokens."""
        return np.diff(self.offsets)


def tokenize_texts(preprocessor, texts):
    """Tokenizes texts once, the same ids as the preprocessor gives.

    Args:
        preprocessor: a preprocessor of texts to `"token_ids"`,
            `"segment_ids"` and `"padding_mask"`.
        texts: list of strings, or of pairs of strings as 2-tuples.

    Returns:
        A `TokenizedTexts`.
    """
    token_ids, segment_ids, lengths = [], [], []
    for start in range(0, len(texts), _TEXTS_A_CALL):
        part = texts[start : start + _TEXTS_A_CALL]
        if isinstance(part[0], tuple):
            part = tuple(list(side) for side in zip(*part, strict=True))
        # `y=None` says that a tuple is a pair of texts, not texts and labels.
        packed = {
            name: np.asarray(value)
            for name, value in preprocessor(part, y=None).items()
        }
        mask = packed["padding_mask"].astype(bool)
        token_ids.append(packed["token_ids"][mask].astype("int32"))
        segment_ids.append(packed["segment_ids"][mask].astype("int32"))
        lengths.append(mask.sum(axis=-1))
    return TokenizedTexts(
        token_ids=np.concatenate(token_ids),
        segment_ids=np.concatenate(segment_ids),
        offsets=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]),
        pad_token_id=preprocessor.tokenizer.pad_token_id,
        maximum=preprocessor.sequence_length,
    )


class LengthBatches:
    """Epochs of shuffled batches, each of texts of similar length.

    Batches are padded to one of `keras_albert.preprocessing.packer`'s few
    lengths. What does not fill a batch of one length goes to the next
    longer one, so that each epoch has the same number of batches, all of
    them full but one. The order depends on seed and epoch only.

    Args:
        texts: a `TokenizedTexts`.
        targets: array, a row a text.
        batch_size: int.
        seed: int.

    Raises:
        ValueError: if there are no texts, or not a target each.
    """

    def __init__(self, texts, targets, batch_size, seed):
        if not len(texts) or len(texts) != len(targets):
            raise ValueError(
                "There must be at least one text, and a target for each. "
                f"Received: {len(texts)} texts, {len(targets)} targets."
            )
        if batch_size < 1:
            raise ValueError(
                f"`batch_size` must be positive. Received: {batch_size}."
            )
        self.texts = texts
        self.targets = np.asarray(targets)
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self):
        """The number of batches in an epoch."""
        return -(-len(self.texts) // self.batch_size)

    def plan(self, epoch):
        """The batches of an epoch.

        Args:
            epoch: int, counted from 0.

        Returns:
            list of pairs: indices of texts, `(batch,)` int, and the length
            that they are padded to.
        """
        generator = np.random.default_rng((self.seed, epoch))
        order = generator.permutation(len(self.texts))
        lengths = [x for x in BATCH_LENGTHS if x < self.texts.maximum]
        lengths.append(self.texts.maximum)
        bucket = np.searchsorted(lengths, self.texts.lengths[order])
        batches = []
        waiting = order[:0]
        for index, length in enumerate(lengths):
            waiting = np.concatenate([waiting, order[bucket == index]])
            full = len(waiting) - len(waiting) % self.batch_size
            for start in range(0, full, self.batch_size):
                batches.append(
                    (waiting[start : start + self.batch_size], length)
                )
            waiting = waiting[full:]
        if len(waiting):
            longest = self.texts.lengths[waiting].max()
            batches.append((waiting, batch_length(longest, self.texts.maximum)))
        return [batches[i] for i in generator.permutation(len(batches))]

    def dataset(self, epoch):
        """One epoch as a `tf.data.Dataset`.

        Args:
            epoch: int, counted from 0.

        Returns:
            Dataset of `(features, targets)`: a dictionary of
            `"token_ids"`, `"segment_ids"` and `"padding_mask"`, each
            `(batch, length)` int32, and `(batch, …)` targets.
        """
        import tensorflow as tf

        # No Python in the pipeline: a generator in it would need the
        # interpreter's lock, which whoever drops the iterator may hold.
        texts = self.texts
        token_ids, segment_ids = (
            tf.RaggedTensor.from_row_splits(values, texts.offsets)
            for values in (texts.token_ids, texts.segment_ids)
        )
        targets = tf.constant(self.targets)
        plan = self.plan(epoch)
        rows = tf.ragged.stack([batch for batch, _ in plan])
        lengths = tf.constant([length for _, length in plan])

        def make_batch(rows, length):
            tokens = tf.gather(token_ids, rows)
            shape = tf.cast([-1, length], "int64")
            features = {
                "token_ids": tokens.to_tensor(texts.pad_token_id, shape=shape),
                "segment_ids": tf.gather(segment_ids, rows).to_tensor(
                    shape=shape
                ),
                "padding_mask": tf.sequence_mask(
                    tokens.row_lengths(), length, dtype=tf.int32
                ),
            }
            return features, tf.gather(targets, rows)

        dataset = tf.data.Dataset.from_tensor_slices((rows, lengths))
        dataset = dataset.map(make_batch, num_parallel_calls=2)
        return dataset.prefetch(4)

    def fingerprint(self):
        """Hexadecimal digest of texts and targets, 16 characters."""
        digest = hashlib.sha256()
        for array in (
            self.texts.token_ids,
            self.texts.segment_ids,
            self.texts.offsets,
            self.targets,
        ):
            digest.update(str((array.dtype, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]
