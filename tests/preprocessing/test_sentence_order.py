"""Pairs are consecutive segments of one document, half of them swapped."""

import functools
import types

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_albert.preprocessing.sentence_order import SentenceOrderPairs

pytestmark = pytest.mark.once

LENGTH = 24
UNLIKELY = 1e-4
FIRST = 100  # Tokens say where in the document they stand.
TOKENIZER = types.SimpleNamespace(
    cls_token_id=2, sep_token_id=3, pad_token_id=0
)


@functools.cache
def in_graph(short_rate):
    """As a data pipeline calls it."""
    numbers = tf.TensorSpec([None], tf.int64)
    return tf.function(
        SentenceOrderPairs(TOKENIZER, LENGTH, short_rate),
        input_signature=[numbers, numbers, tf.TensorSpec([2], tf.int32)],
    )


def cut(lengths, seed, short_rate=0.1):
    """Pairs of a document: places of both parts as they stand, and labels."""
    lengths = np.array(lengths, "int64")
    tokens = FIRST + np.arange(lengths.sum())
    rows = in_graph(short_rate)(tokens, lengths, np.array([seed, 0], "int32"))
    pairs = []
    for ids, segments, swapped in zip(
        *(rows[n].numpy() for n in ("token_ids", "segment_ids", "sop")),
        strict=True,
    ):
        assert ids.shape == (LENGTH,)
        assert ids[0] == 2
        first, second = np.flatnonzero(ids == 3)
        assert not ids[second + 1 :].any()
        expected = np.zeros(LENGTH)
        expected[first + 1 : second + 1] = 1
        np.testing.assert_array_equal(segments, expected)
        parts = ids[1:first] - FIRST, ids[first + 1 : second] - FIRST
        for part in parts:
            assert len(part) >= 1
            np.testing.assert_array_equal(np.diff(part), 1)
        pairs.append((*parts, bool(swapped)))
    return pairs


def documents(count, seed=0):
    generator = np.random.default_rng(seed)
    for index in range(count):
        yield generator.integers(1, 16, generator.integers(2, 60)), index


@pytest.fixture(scope="module")
def pairs():
    return [
        (lengths, pair)
        for lengths, seed in documents(250)
        for pair in cut(lengths, seed)
    ]


def test_parts_are_consecutive_segments_of_the_document(pairs):
    for lengths, (first, second, swapped) in pairs:
        a, b = (second, first) if swapped else (first, second)
        assert a[-1] + 1 == b[0]
        bounds = np.cumsum([0, *lengths])
        assert b[-1] < bounds[-1]
        # Whole segments, or a stretch of a single one.
        assert np.isin([a[0], b[0], b[-1] + 1], bounds).all() or (
            np.searchsorted(bounds, a[0], "right")
            == np.searchsorted(bounds, b[-1], "right")
        )


def test_chunks_hold_all_segments_that_fit():
    for lengths, seed in documents(60):
        bounds = np.cumsum([0, *lengths])
        chunks = sorted(
            (min(first[0], second[0]), max(first[-1], second[-1]) + 1)
            for first, second, _ in cut(lengths, seed, short_rate=0.0)
        )
        # From the first segment on, or from the last one backwards.
        forwards = all(
            bounds[np.searchsorted(bounds, end) + 1] - start > LENGTH - 3
            for start, end in chunks
            if end < bounds[-1]
        )
        backwards = all(
            end - bounds[np.searchsorted(bounds, start) - 1] > LENGTH - 3
            for start, end in chunks
            if start > 0
        )
        assert forwards or backwards


def test_half_are_swapped_and_a_tenth_is_short(pairs):
    swapped = sum(pair[2] for _, pair in pairs)
    assert stats.binomtest(swapped, len(pairs), 0.5).pvalue > UNLIKELY
    # Segments of one token fill any target.
    inner = [
        len(first) + len(second)
        for seed in range(120)
        for first, second, _ in cut(np.ones(800), seed)
        # The last chunk of a document is as short as what is left.
        if min(first[0], second[0]) >= LENGTH
        and max(first[-1], second[-1]) < 800 - LENGTH
    ]
    assert max(inner) == LENGTH - 3
    short = [length for length in inner if length < LENGTH - 3]
    assert stats.binomtest(len(short), len(inner), 0.1).pvalue > UNLIKELY
    counts = np.bincount(short, minlength=LENGTH - 3)[2:]
    assert stats.chisquare(counts).pvalue > UNLIKELY


def test_lengths_do_not_tell_the_order(pairs):
    table = np.zeros((2, 2))
    for lengths, (first, second, swapped) in pairs:
        bounds = np.cumsum([0, *lengths])
        places = np.searchsorted(
            bounds, [min(first[0], second[0]), max(first[-1], second[-1])],
            "right",
        )  # fmt: skip
        if places[0] != places[1]:  # Not of a single segment.
            table[int(swapped), int(len(first) > len(second))] += 1
    assert stats.chi2_contingency(table).pvalue > UNLIKELY


def test_short_documents_lose_no_token_but_what_cannot_be_a_pair():
    for lengths in ([4, 3, 5], [2, 1], [9, 9]):
        ((first, second, _),) = cut(lengths, 1, short_rate=0.0)
        together = np.sort(np.concatenate([first, second]))
        np.testing.assert_array_equal(together, np.arange(sum(lengths)))


def test_all_divisions_of_a_chunk_are_equally_likely():
    counts = {}
    for seed in range(400):
        ((first, second, _),) = cut([5, 2, 6, 3], seed, short_rate=0.0)
        middle = max(first[0], second[0])
        counts[middle] = counts.get(middle, 0) + 1
    assert sorted(counts) == [5, 7, 13]
    assert stats.chisquare(list(counts.values())).pvalue > UNLIKELY


def test_one_segment_is_divided_between_tokens():
    middles = set()
    for seed in range(60):
        ((first, second, _),) = cut([6], seed, short_rate=0.0)
        together = np.sort(np.concatenate([first, second]))
        np.testing.assert_array_equal(together, np.arange(6))
        middles.add(max(first[0], second[0]))
    assert middles == {1, 2, 3, 4, 5}
    # Too long: a window of it, wherever it is.
    starts = set()
    for seed in range(60):
        ((first, second, _),) = cut([60], seed, short_rate=0.0)
        together = np.sort(np.concatenate([first, second]))
        np.testing.assert_array_equal(np.diff(together), 1)
        assert len(together) == LENGTH - 3
        starts.add(together[0])
    assert len(starts) > 15


@pytest.mark.parametrize("lengths", [[], [1]])
def test_documents_of_fewer_than_two_tokens_give_nothing(lengths):
    assert cut(lengths, 0) == []


def test_seeds():
    lengths = [7, 3, 9, 4, 4, 8, 2, 6, 5] * 3

    def flat(seed):
        return [
            np.concatenate(pair[:2]).tolist() for pair in cut(lengths, seed)
        ]

    assert flat(5) == flat(5)
    assert flat(5) != flat(6)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="sequence_length"):
        SentenceOrderPairs(TOKENIZER, 4)
    with pytest.raises(ValueError, match="short_rate"):
        SentenceOrderPairs(TOKENIZER, 8, short_rate=1.5)
