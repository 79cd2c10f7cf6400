"""Batches on their way to `fit`, and where in the data they came from."""

import collections

import numpy as np
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
        # Only the last one that was begun counts.
        ahead = self._ahead = collections.deque()
        try:
            for batch, position in self.batches.batches(
                self.position
            ).as_numpy_iterator():
                tokens = int(batch[0]["padding_mask"].sum())
                ahead.append((Position(*map(int, position)), tokens))
                # These are views of TensorFlow's memory, some of constants of
                # the graph that they come from. It takes arrays without
                # copying, and would write into what it has for its own.
                yield tf.nest.map_structure(np.copy, batch)
        except tf.errors.OpError as error:
            self.error = explain_failure(self.batches.dataset, error)
            raise self.error from error

    def dataset(self):
        """The batches as a `tf.data.Dataset`.

        For strategies of TensorFlow, where Keras begins twice, and would
        lose what it took from an iterator the first time.
        """
        batch, _ = self.batches.batches().element_spec
        return tf.data.Dataset.from_generator(
            lambda: iter(self), output_signature=batch
        )

    def passed(self, count=1):
        """Notes that batches were trained on."""
        for _ in range(count):
            self.position, tokens = self._ahead.popleft()
            self.tokens += tokens
