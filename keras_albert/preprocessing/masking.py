"""Masks of whole-word n-grams, drawn anew for each batch."""

import numpy as np
import tensorflow as tf

from keras_albert.preprocessing.words import (
    ALONE,
    CONTINUES,
    SPACE,
    ordinary_ids,
    word_roles,
)


class WholeWordMasker:
    """Masks n-grams of whole words, as ALBERT was pretrained with.

    Source: the ALBERT paper, section 3.1 (n-gram masking), and
    `create_masked_lm_predictions` of google-research/albert.

    **What is drawn.** A row's words are laid out in n-grams from its first
    word on: lengths of 1 to `max_ngram` words are drawn independently with
    probability proportional to 1/n; where special tokens or the row end, an
    n-gram ends with them. The n-grams are put in an order drawn uniformly,
    and masked one after the other until the budget is spent:
    `mask_rate * tokens` rounded, special tokens counted, at least 1. Of the
    n-gram that exceeds it only the first words that fit are masked. What is
    then missing is made up for by words of one piece, further n-grams first
    in the same order; where there are none, by the first pieces of the word
    that did not fit. So the budget is met to the token, unless the row has
    fewer tokens that can be masked.

    Of the masked tokens 80 % become `[MASK]`, 10 % a random ordinary token,
    10 % stay, each decided by itself.

    **Otherwise than the original.** Everything follows from `seed`, the
    lengths of n-grams too. N-grams cannot overlap, so none is rejected and
    long ones are not rarer than intended; they do not reach over `[SEP]`.
    Random tokens are never special, unknown tokens never masked. The budget
    grows with the sequence (the original's 20 masks at 512 tokens are 4 %).
    Accented letters and digits do not begin words, see `word_role`.

    Args:
        tokenizer: an `AlbertTokenizer`.
        mask_rate: float, the part of all tokens that is masked.
        max_ngram: int, words of the longest n-gram.
        mask_token_rate: float, the part of masked tokens that is replaced by
            `[MASK]`.
        random_token_rate: float, the part that is replaced by random tokens.

    Call arguments:
        token_ids: `(batch, sequence)` int tensor, padded with `<pad>`.
        seed: `(2,)` int tensor. Same ids and seed, same masks.

    Returns:
        A dictionary of `"token_ids"` `(batch, sequence)` with the masks, and
        `"mask_positions"` (ascending), `"mask_ids"` (the tokens that were
        there), both int32, and `"mask_weights"`, float32, each
        `(batch, slots)`; slots that are not needed are 0. See `slots`.

    Raises:
        ValueError: if a rate or `max_ngram` is out of range.
    """

    def __init__(
        self,
        tokenizer,
        mask_rate=0.15,
        max_ngram=3,
        mask_token_rate=0.8,
        random_token_rate=0.1,
    ):
        rates = (mask_token_rate, random_token_rate)
        if not 0.0 < mask_rate <= 1.0 or min(rates) < 0.0 or sum(rates) > 1.0:
            raise ValueError(
                "`mask_rate` must lie between 0 and 1, and `mask_token_rate` "
                "and `random_token_rate` sum up to 1 at most. Received: "
                f"mask_rate={mask_rate}, mask_token_rate={mask_token_rate}, "
                f"random_token_rate={random_token_rate}."
            )
        if max_ngram < 1:
            raise ValueError(
                f"`max_ngram` must be at least 1. Received: {max_ngram}."
            )
        self.mask_rate = mask_rate
        self.max_ngram = max_ngram
        self.mask_token_rate = mask_token_rate
        self.random_token_rate = random_token_rate
        self.mask_token_id = tokenizer.mask_token_id
        self.pad_token_id = tokenizer.pad_token_id
        self._ordinary_ids = ordinary_ids(tokenizer)
        self._roles = word_roles(tokenizer)
        self._is_ordinary = np.zeros(len(self._roles), bool)
        self._is_ordinary[self._ordinary_ids] = True
        weights = 1.0 / np.arange(1, max_ngram + 1)
        self._ngram_steps = np.cumsum(weights / weights.sum())[:-1]

    def slots(self, sequence_length):
        """How many masks a sequence of this many tokens has at most.

        Args:
            sequence_length: int, tokens.
        """
        return max(int(self.mask_rate * sequence_length + 0.5), 1)

    def slots_of(self, token_ids):
        """How many masks a batch of this width has at most.

        Args:
            token_ids: `(batch, sequence)` array, or tensor in a graph.

        Returns:
            int, or a scalar tensor where the width is known when it runs.
        """
        width = token_ids.shape[1]
        if width is not None:
            return self.slots(width)
        share = self.mask_rate * tf.cast(tf.shape(token_ids)[1], tf.float64)
        return tf.maximum(tf.cast(share + 0.5, tf.int32), 1)

    def __call__(self, token_ids, seed):
        token_ids = tf.cast(token_ids, tf.int32)
        seeds = tf.random.split(tf.cast(seed, tf.int32), 5)
        length = token_ids.shape[1]
        maskable = tf.gather(self._is_ordinary, token_ids)
        begins = self._word_begins(token_ids, maskable)
        words = tf.cumsum(tf.cast(begins, tf.int32), axis=1) - 1
        words = tf.where(maskable, words, -1)
        order = self._token_order(words, maskable, seeds)
        budget = self._budget(token_ids, maskable)
        chosen = _choose(order, budget, words, _is_one_piece(begins, maskable))

        # Ascending positions of what is chosen; of the rest, past the end.
        positions = tf.sort(tf.where(chosen, order, length), axis=1)
        positions = positions[:, : self.slots(length)]
        used = positions < length
        positions = tf.where(used, positions, 0)
        labels = tf.gather(token_ids, positions, batch_dims=1)
        labels = tf.where(used, labels, 0)
        replaced = self._replace(labels, seeds)
        updates = tf.where(used, replaced - labels, 0)
        rows = tf.broadcast_to(
            tf.range(tf.shape(token_ids)[0])[:, None], tf.shape(positions)
        )
        masked = tf.tensor_scatter_nd_add(
            token_ids, tf.stack([rows, positions], axis=-1), updates
        )
        return {
            "token_ids": masked,
            "mask_positions": positions,
            "mask_ids": labels,
            "mask_weights": tf.cast(used, tf.float32),
        }

    def _word_begins(self, token_ids, maskable):
        roles = tf.gather(self._roles, token_ids)
        # Nothing stands before the first token.
        after, bound = (
            tf.pad(x[:, :-1], [[0, 0], [1, 0]], constant_values=first)
            for x, first in (
                ((roles == ALONE) | ~maskable, True),
                ((roles == SPACE) & maskable, False),
            )
        )
        return maskable & ((roles != CONTINUES) | after) & ~bound

    def _budget(self, token_ids, maskable):
        budgets = [self.slots(n) for n in range(token_ids.shape[1] + 1)]
        tokens = _count(token_ids != self.pad_token_id)
        return tf.minimum(tf.gather(budgets, tokens), _count(maskable))

    def _token_order(self, words, maskable, seeds):
        """Positions, `(batch, sequence)`: n-gram after n-gram, rest last."""
        shape = tf.shape(words)
        drawn = tf.random.stateless_uniform(shape, seeds[0])
        sizes = tf.searchsorted(
            self._ngram_steps.astype("float32"),
            tf.reshape(drawn, [-1]),
            side="right",
        )
        ends = tf.cumsum(tf.reshape(sizes, shape) + 1, axis=1)
        ngrams = tf.searchsorted(ends, tf.maximum(words, 0), side="right")
        # What cannot be masked ends n-grams: each stretch counts on.
        before = tf.pad(maskable[:, :-1], [[0, 0], [1, 0]])
        stretches = tf.cumsum(tf.cast(maskable & ~before, tf.int32), axis=1)
        ngrams += stretches
        priorities = tf.random.stateless_uniform(
            [shape[0], 2 * shape[1]], seeds[1]
        )
        priorities = tf.gather(priorities, ngrams, batch_dims=1)
        return tf.argsort(
            tf.where(maskable, priorities, 2.0), axis=1, stable=True
        )

    def _replace(self, labels, seeds):
        shape = tf.shape(labels)
        drawn = tf.random.stateless_uniform(shape, seeds[2])
        chosen = tf.random.stateless_uniform(
            shape, seeds[3], 0, len(self._ordinary_ids), dtype=tf.int32
        )
        random_ids = tf.gather(self._ordinary_ids, chosen)
        random_below = self.mask_token_rate + self.random_token_rate
        replaced = tf.where(drawn < random_below, random_ids, labels)
        return tf.where(
            drawn < self.mask_token_rate, self.mask_token_id, replaced
        )


def _is_one_piece(begins, maskable):
    """Whether a token is a word by itself, `(batch, sequence)` bool."""
    continues = maskable & ~begins
    return begins & ~tf.pad(continues[:, 1:], [[0, 0], [0, 1]])


def _choose(order, budget, words, is_one_piece):
    """Which tokens are masked, `(batch, sequence)` bool, as `order` has them.

    Args:
        order: `(batch, sequence)` int, positions in order of n-grams.
        budget: `(batch, 1)` int, how many are to be chosen.
        words: `(batch, sequence)` int, the word of each position.
        is_one_piece: `(batch, sequence)` bool, of each position.
    """
    words = tf.gather(words, order, batch_dims=1)
    is_one_piece = tf.gather(is_one_piece, order, batch_dims=1)
    place = tf.range(tf.shape(order)[1])[None]
    within = place < budget
    # The word that the budget ends in.
    last = tf.gather(words, tf.maximum(budget - 1, 0), batch_dims=1)
    beyond = tf.reduce_any(~within & (words == last), axis=1, keepdims=True)
    cut = within & beyond & (words == last)
    missing = _count(cut)
    single = is_one_piece & ~within
    taken = single & (_rank(single) <= missing)
    missing -= _count(taken)
    return (within & ~cut) | taken | (cut & (_rank(cut) <= missing))


def _count(chosen):
    return tf.math.count_nonzero(chosen, axis=1, keepdims=True, dtype=tf.int32)


def _rank(chosen):
    """The how-manieth of the chosen each is, from 1."""
    return tf.cumsum(tf.cast(chosen, tf.int32), axis=1)
