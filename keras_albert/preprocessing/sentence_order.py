"""Pairs of consecutive segments, in order or swapped, from documents."""

import tensorflow as tf


class SentenceOrderPairs:
    """Cuts a tokenized document into packed pairs of consecutive segments.

    Source: the ALBERT paper, section 3.1 (sentence-order prediction), and
    `create_instances_from_document` of google-research/albert.

    **What is drawn.** A document's segments (sentences or lines) are taken
    together, from the first on, or, for half of the documents, from the last
    one backwards, as long as they fit in a target length:
    `sequence_length - 3` tokens, or, for a part of `short_rate` of all
    examples, a length drawn uniformly from 2 to one less. Such a chunk is
    divided between two of its segments, all divisions equally likely, into A
    and B. Half of the pairs are swapped. The row is `[CLS]` first `[SEP]`
    second `[SEP]`.

    A chunk of one segment, such as a document of one sentence, is divided
    between any two of its tokens; if it is longer than the target, after a
    window of it was drawn. Chunks of fewer than two tokens are left out.

    **Otherwise than the original.** B is never taken from another document
    (the original does that for chunks of one segment, and so teaches topics
    in place of order). Chunks end before the segment that does not fit, so
    that A's last word and B's first one follow each other: the original lets
    chunks grow beyond the target and then cuts tokens off either end of the
    longer part, which fills rows better and takes away where one part goes on
    in the other. The segment that a chunk begins with is longer than others,
    since it did not fit in the chunk before: by going backwards half of the
    time, lengths do not tell which part was B. The target is drawn for each
    example, not once a document. Everything follows from `seed`.

    Args:
        tokenizer: an `AlbertTokenizer`.
        sequence_length: int, tokens of a row, at least 5.
        short_rate: float, the part of examples with a shorter target.

    Call arguments:
        token_ids: `(tokens,)` int tensor, a document without special tokens.
        segment_lengths: `(segments,)` int tensor, tokens of each segment.
        seed: `(2,)` int tensor. Same document and seed, same pairs.

    Returns:
        A dictionary of `"token_ids"` and `"segment_ids"`,
        `(pairs, sequence_length)` int32, and `"sop"`, `(pairs,)` int32: 1
        where the segments are swapped.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, tokenizer, sequence_length, short_rate=0.1):
        if sequence_length < 5:
            raise ValueError(
                "`sequence_length` must be at least 5, to hold two tokens and "
                f"three special ones. Received: {sequence_length}."
            )
        if not 0.0 <= short_rate <= 1.0:
            raise ValueError(
                "`short_rate` must lie between 0 and 1. Received: "
                f"{short_rate}."
            )
        self.sequence_length = sequence_length
        self.short_rate = short_rate
        self.cls_token_id = tokenizer.cls_token_id
        self.sep_token_id = tokenizer.sep_token_id
        self.pad_token_id = tokenizer.pad_token_id

    def __call__(self, token_ids, segment_lengths, seed):
        token_ids = tf.cast(token_ids, tf.int32)
        seeds = tf.random.split(tf.cast(seed, tf.int32), 6)
        bounds = tf.pad(tf.cumsum(tf.cast(segment_lengths, tf.int32)), [[1, 0]])
        backwards = tf.random.stateless_uniform([], seeds[5]) < 0.5
        mirrored = tf.reverse(bounds[-1] - bounds, [0])
        first, last, target = self._chunks(
            tf.where(backwards, mirrored, bounds), seeds
        )
        segments = tf.size(segment_lengths)
        first, last = (
            tf.where(backwards, segments - last, first),
            tf.where(backwards, segments - first, last),
        )
        kept = tf.gather(bounds, last) - tf.gather(bounds, first) >= 2
        first, last, target = (
            tf.boolean_mask(x, kept) for x in (first, last, target)
        )
        start, middle, end = _divide(bounds, first, last, target, seeds)
        return self.pack(token_ids, start, middle, end, target, seeds[4])

    def pack(self, token_ids, start, middle, end, target, seed):
        """Cuts pairs to their targets, swaps half of them, and packs them.

        Args:
            token_ids: `(tokens,)` int32 tensor, that all pairs come from.
            start: `(pairs,)` int32 tensor, where A begins in it.
            middle: `(pairs,)` int32 tensor, where A ends and B begins.
            end: `(pairs,)` int32 tensor, where B ends.
            target: `(pairs,)` int32 tensor, tokens that both have at most
                together.
            seed: `(2,)` int32 tensor.

        Returns:
            A dictionary, see the class.
        """
        cut_seed, swap_seed = tf.unstack(tf.random.split(seed, 2))
        a_start, a_length, b_start, b_length = _cut(
            start, middle, end, target, cut_seed
        )
        swapped = tf.random.stateless_uniform(tf.shape(start), swap_seed) < 0.5
        return {
            **self._rows(
                token_ids,
                tf.where(swapped, b_start, a_start),
                tf.where(swapped, b_length, a_length),
                tf.where(swapped, a_start, b_start),
                tf.where(swapped, a_length, b_length),
            ),
            "sop": tf.cast(swapped, tf.int32),
        }

    def _chunks(self, bounds, seeds):
        """First segment, segment after the last, and target of each chunk."""
        segments = tf.shape(bounds)[0] - 1
        longest = self.sequence_length - 3
        is_short = (
            tf.random.stateless_uniform([segments], seeds[0]) < self.short_rate
        )
        # A target for each segment that a chunk could begin with.
        targets = tf.where(
            is_short,
            tf.random.stateless_uniform(
                [segments], seeds[1], 2, max(longest, 3), dtype=tf.int32
            ),
            longest,
        )
        targets = tf.minimum(targets, longest)
        fitting = tf.searchsorted(
            bounds, bounds[:-1] + targets, side="right", out_type=tf.int32
        )
        following = tf.maximum(fitting - 1, tf.range(segments) + 1)

        def step(start, count, starts):
            return (
                following[start],
                count + 1,
                starts.write(count, start),
            )

        _, count, starts = tf.while_loop(
            lambda start, count, starts: start < segments,
            step,
            (0, 0, tf.TensorArray(tf.int32, 0, dynamic_size=True)),
        )
        first = tf.cond(
            count > 0, starts.stack, lambda: tf.zeros([0], tf.int32)
        )
        first = tf.ensure_shape(first, [None])
        return first, tf.gather(following, first), tf.gather(targets, first)

    def _rows(self, token_ids, start_1, length_1, start_2, length_2):
        """Rows of two stretches of the document each."""
        place = tf.range(self.sequence_length)[None]
        start_1, length_1, start_2, length_2 = (
            x[:, None] for x in (start_1, length_1, start_2, length_2)
        )
        separator = length_1 + 1
        end = separator + length_2 + 1
        source = tf.where(
            place < separator,
            start_1 + place - 1,
            start_2 + place - separator - 1,
        )
        source = tf.clip_by_value(source, 0, tf.size(token_ids) - 1)
        row = tf.gather(token_ids, source)
        row = tf.where(place == 0, self.cls_token_id, row)
        row = tf.where(
            (place == separator) | (place == end), self.sep_token_id, row
        )
        return {
            "token_ids": tf.where(place > end, self.pad_token_id, row),
            "segment_ids": tf.cast(
                (place > separator) & (place <= end), tf.int32
            ),
        }


def _divide(bounds, first, last, target, seeds):
    """Start, middle and end of chunks, in tokens of the document."""
    start, end = tf.gather(bounds, first), tf.gather(bounds, last)
    # A chunk of one segment is first cut to its target, lest that cuts tell
    # which part was A.
    single = last - first == 1
    excess = tf.where(single, tf.maximum(end - start - target, 0), 0)
    start += _uniform(excess + 1, seeds[2])
    end = tf.where(single, tf.minimum(start + target, end), end)
    choices = tf.where(single, end - start, last - first) - 1
    choice = _uniform(choices, seeds[3]) + 1
    between = tf.gather(bounds, tf.minimum(first + choice, last))
    return start, tf.where(single, start + choice, between), end


def _cut(start, middle, end, target, seed):
    """Starts and lengths of both parts, cut down to the target together."""
    length_seed, front_seed = tf.unstack(tf.random.split(seed, 2))
    lengths = tf.stack([middle - start, end - middle])
    # The odd token is the one's or the other's: it must not tell them apart.
    half = (target + _uniform(tf.fill(tf.shape(target), 2), length_seed)) // 2
    # The shorter one stays whole up to its half.
    a = tf.minimum(lengths[0], tf.maximum(target - half, target - lengths[1]))
    b = tf.minimum(lengths[1], target - a)
    kept = tf.stack([a, b])
    front = _uniform(lengths - kept + 1, front_seed)
    return start + front[0], a, middle + front[1], b


def _uniform(limit, seed):
    """Whole numbers from 0 to `limit - 1`, one for each limit."""
    drawn = tf.random.stateless_uniform(tf.shape(limit), seed)
    return tf.minimum(
        tf.cast(drawn * tf.cast(limit, tf.float32), tf.int32), limit - 1
    )
