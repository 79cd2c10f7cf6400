"""Tokenized examples in batches of similar length.

A text costs what its own length costs, and compiled backends see few
different shapes.
"""

import dataclasses
import math

import numpy as np

from keras_albert.preprocessing.packer import (
    batch_length,
    bucket_lengths,
    pack_texts,
)
from keras_albert.training.fingerprint import fingerprint

# Texts tokenized in one call: the packer's `(texts, maximum)` matrices are
# then small, whatever the data.
_TEXTS_A_CALL = 1024
# By how much, up and down, the number of texts in a batch may differ from
# `batch_size` when the budget is "auto": a learning rate is tuned for one.
_LARGEST_RATIO = 2


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


@dataclasses.dataclass(frozen=True)
class PerToken:
    """Values a token instead of values a text.

    Attributes:
        values: `(tokens of all texts,)` array, in line with the `token_ids`
            of a `TokenizedTexts`. Batches are padded with 0.
    """

    values: np.ndarray

    def __len__(self):
        return len(self.values)


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
        packed = pack_texts(preprocessor, part)
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
    """Epochs of shuffled batches, each of examples of similar length.

    Examples are grouped by `keras_albert.preprocessing.packer`'s lengths, and
    batches padded to their longest example, or to one of these lengths where
    the backend compiles for each. What does not fill a batch of one length
    goes to the next longer one that occurs, so that each epoch has the same
    number of batches. The order depends on backend, seed and epoch only.

    A batch has `batch_size` examples, or as many as fit a budget of tokens,
    padding counted: short texts then come in large batches, and no batch
    needs more memory than the budget. The budget `"auto"` is that of
    `batch_size` examples of average length. So there are about as many steps
    with about as many examples as in batches of `batch_size`, and what is
    known of its learning rates holds; for the same reason a batch then has
    at least half and at most twice as many examples, the last one, too.

    An example is one text. Where it is several sequences, as the choices of
    a multiple choice, a subclass gives `example_lengths`,
    `sequences_per_example` and `make_features`.

    Args:
        texts: a `TokenizedTexts`.
        targets: array, a row an example; `PerToken` values; or a dictionary
            of these, by the names of the model's outputs.
        batch_size: int, examples.
        seed: int.
        tokens_per_batch: int, the budget; `"auto"`; or `None` for batches of
            `batch_size` examples.
        weights: sample weights, like `targets`; `None`: all are 1.

    Attributes:
        examples: int, the examples of an epoch.
        tokens_per_batch: int, or `None`.

    Raises:
        ValueError: if there are no examples, not a target each, or the
            budget is smaller than the longest example.
    """

    sequences_per_example = 1

    def __init__(
        self,
        texts,
        targets,
        batch_size,
        seed,
        tokens_per_batch=None,
        weights=None,
    ):
        self.texts = texts
        self.targets = _arrays(targets)
        self.weights = None if weights is None else _arrays(weights)
        self.batch_size = batch_size
        self.seed = seed
        self.examples = len(self.example_lengths)
        self._check()
        self._lengths = bucket_lengths(texts.maximum)
        self._bucket = np.searchsorted(self._lengths, self.example_lengths)
        self._counts = np.bincount(self._bucket, minlength=len(self._lengths))
        self._smallest, self._largest = 1, self.examples
        if tokens_per_batch == "auto":
            self._smallest = math.ceil(batch_size / _LARGEST_RATIO)
            self._largest = batch_size * _LARGEST_RATIO
        self.tokens_per_batch, self._sizes = self._batch_sizes(tokens_per_batch)
        self._steps = len(self.plan(0))

    @property
    def example_lengths(self):
        """`(examples,)` int, the tokens of each example's longest sequence."""
        return self.texts.lengths

    def __len__(self):
        """The number of batches in an epoch."""
        return self._steps

    def plan(self, epoch):
        """The batches of an epoch.

        Args:
            epoch: int, counted from 0.

        Returns:
            list of pairs: indices of examples, `(batch,)` int, and the
            length that they are padded to.
        """
        generator = np.random.default_rng((self.seed, epoch))
        order = generator.permutation(self.examples)
        bucket = self._bucket[order]
        batches = []
        waiting = order[:0]
        # How many wait follows from the counts alone, whatever the order.
        for index in np.flatnonzero(self._counts):
            size = self._sizes[index]
            waiting = np.concatenate([waiting, order[bucket == index]])
            full = len(waiting) - len(waiting) % size
            batches += [
                waiting[start : start + size] for start in range(0, full, size)
            ]
            waiting = waiting[full:]
        if len(waiting):
            batches.append(waiting)
            self._spread_last(batches)
        lengths = self.example_lengths
        return [
            (rows, batch_length(int(lengths[rows].max()), self.texts.maximum))
            for rows in (
                batches[i] for i in generator.permutation(len(batches))
            )
        ]

    def _spread_last(self, batches):
        """Gives what is too little for a batch to the one before.

        In a step each example weighs the less the more there are: a few of
        the longest ones should not weigh like all others together.
        """
        if len(batches) > 1 and len(batches[-1]) < self._smallest:
            together = np.concatenate(batches[-2:])
            parts = math.ceil(len(together) / self._largest)
            batches[-2:] = np.array_split(together, parts)

    def dataset(self, epoch):
        """One epoch as a `tf.data.Dataset`.

        Args:
            epoch: int, counted from 0.

        Returns:
            Dataset of `(features, targets)`, with `weights` of
            `(features, targets, weights)`: features are a dictionary of
            `"token_ids"`, `"segment_ids"` and `"padding_mask"`, each
            `(batch, length)` int32; targets and weights as they were given,
            `(batch, …)`, and `PerToken` values `(batch, length)`.
        """
        import tensorflow as tf

        # No Python in the pipeline: a generator in it would need the
        # interpreter's lock, which whoever drops the iterator may hold.
        features = self.make_features()
        targets = self._make_values(self.targets)
        plan = self.plan(epoch)
        rows = tf.ragged.stack([batch for batch, _ in plan])
        lengths = tf.constant([length for _, length in plan])
        if self.weights is None:

            def make_batch(rows, length):
                return features(rows, length), targets(rows, length)

        else:
            weights = self._make_values(self.weights)

            def make_batch(rows, length):
                return (
                    features(rows, length),
                    targets(rows, length),
                    weights(rows, length),
                )

        dataset = tf.data.Dataset.from_tensor_slices((rows, lengths))
        dataset = dataset.map(make_batch, num_parallel_calls=2)
        return dataset.prefetch(4)

    def make_features(self):
        """What computes a batch's features, in TensorFlow's graph.

        Returns:
            function from the indices of examples, `(batch,)` int64, and the
            length to pad to, int32, to the dictionary of features.
        """
        import tensorflow as tf

        texts = self.texts
        token_ids = self.ragged(texts.token_ids)
        segment_ids = self.ragged(texts.segment_ids)

        def features(rows, length):
            tokens = tf.gather(token_ids, rows)
            shape = tf.cast([-1, length], "int64")
            return {
                "token_ids": tokens.to_tensor(texts.pad_token_id, shape=shape),
                "segment_ids": tf.gather(segment_ids, rows).to_tensor(
                    shape=shape
                ),
                "padding_mask": tf.sequence_mask(
                    tokens.row_lengths(), length, dtype=tf.int32
                ),
            }

        return features

    def ragged(self, values):
        """Values a token as a ragged tensor with a row a text.

        Args:
            values: `(tokens of all texts,)` array.
        """
        import tensorflow as tf

        return tf.RaggedTensor.from_row_splits(values, self.texts.offsets)

    @property
    def guessing_loss(self):
        """The loss of a model that knows how often each target occurs only.

        Of classes the entropy of their distribution, sample weights counted,
        which is the cross-entropy of guessing; `None` for other targets.
        """
        targets, weights = (
            x.values if isinstance(x, PerToken) else x
            for x in (self.targets, self.weights)
        )
        if (
            isinstance(targets, dict)
            or targets.ndim != 1
            or targets.dtype.kind not in "iu"
        ):
            return None
        shares = np.bincount(targets, weights)
        shares = shares[shares > 0] / shares.sum()
        entropy = float(-(shares * np.log(shares)).sum())
        # Keras divides the loss of texts by their number, that of tokens by
        # their weights.
        of_texts = weights is not None and not isinstance(
            self.targets, PerToken
        )
        return entropy * float(weights.mean()) if of_texts else entropy

    def fingerprint(self):
        """Hexadecimal digest of all examples, 16 characters."""
        return fingerprint([self.texts, self.targets, self.weights])

    def _make_values(self, values):
        import tensorflow as tf

        if isinstance(values, dict):
            parts = {k: self._make_values(part) for k, part in values.items()}
            return lambda rows, length: {
                name: part(rows, length) for name, part in parts.items()
            }
        if isinstance(values, PerToken):
            ragged = self.ragged(values.values)
            return lambda rows, length: tf.gather(ragged, rows).to_tensor(
                shape=tf.cast([-1, length], "int64")
            )
        constant = tf.constant(values)
        return lambda rows, length: tf.gather(constant, rows)

    def _check(self):
        sizes = [
            (len(part), isinstance(part, PerToken))
            for values in (self.targets, self.weights)
            if values is not None
            for part in (
                values.values() if isinstance(values, dict) else [values]
            )
        ]
        expected = (self.examples, len(self.texts.token_ids))
        if not self.examples or any(
            size != expected[per_token] for size, per_token in sizes
        ):
            raise ValueError(
                "There must be at least one text, and a target for each. "
                f"Received: {self.examples} texts, {sizes[0][0]} targets."
            )
        if self.batch_size < 1:
            raise ValueError(
                f"`batch_size` must be positive. Received: {self.batch_size}."
            )

    def _batch_sizes(self, budget):
        """The budget, and the examples of a batch by length."""
        if budget is None:
            return None, [self.batch_size] * len(self._lengths)
        costs = np.array(self._lengths) * self.sequences_per_example
        if budget == "auto":
            mean = (costs * self._counts).sum() / self.examples
            budget = math.ceil(mean * self.batch_size)
        elif budget < (needed := int(costs[self._bucket.max()])):
            raise ValueError(
                "`tokens_per_batch` must be at least what the longest "
                f"example needs, {needed} tokens with its padding. Received: "
                f"{budget}; raise it, or lower the maximal length."
            )
        sizes = np.clip(budget // costs, self._smallest, self._largest)
        return budget, sizes.tolist()


def text_batches(task, train, batch_size, seed, tokens_per_batch=None):
    """The batches of labelled texts, for `fine_tune`.

    Args:
        task: a task with a preprocessor of texts.
        train: texts and targets, see `LengthBatches`; sample weights, an
            array with a row a text, may follow.
        batch_size: int, texts.
        seed: int.
        tokens_per_batch: int, `"auto"` or `None`.

    Returns:
        A `LengthBatches`.
    """
    texts, targets, *weights = train
    return LengthBatches(
        tokenize_texts(task.preprocessor, texts),
        targets,
        batch_size,
        seed,
        tokens_per_batch,
        *weights,
    )


def _arrays(values):
    if isinstance(values, dict):
        return {name: _arrays(part) for name, part in values.items()}
    return values if isinstance(values, PerToken) else np.asarray(values)
