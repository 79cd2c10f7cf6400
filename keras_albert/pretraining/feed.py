"""Batches on their way to `fit`, and where in the data they came from."""

import collections

import tensorflow as tf

from keras_albert.pretraining.dataset import Position, explain_failure


class Feed:
    """Hands batches to `fit`, and remembers the position after each.

    Keras takes batches before they are needed; what counts for a checkpoint
    is the position after the last batch that was trained on.

    Args:
        batches: a `keras_albert.pretraining.dataset.PretrainingBatches`.
        start: a `Position`.

    Attributes:
        position: `Position` after the batches that were passed.
        tokens: int, how many tokens those held, without padding.
        error: the exception that reading ended with, or `None`. Backends
            wrap it into others.
    """

    def __init__(self, batches, start):
        self.batches = batches
        self.position = start
        self.tokens = 0
        self.error = None
        self._ahead = collections.deque()

    def __iter__(self):
        try:
            for batch, position in self.batches.batches(
                self.position
            ).as_numpy_iterator():
                tokens = int(batch[0]["padding_mask"].sum())
                self._ahead.append((Position(*map(int, position)), tokens))
                yield batch
        except tf.errors.OpError as error:
            self.error = explain_failure(self.batches.dataset, error)
            raise self.error from error

    def passed(self, count=1):
        """Notes that batches were trained on."""
        for _ in range(count):
            self.position, tokens = self._ahead.popleft()
            self.tokens += tokens
