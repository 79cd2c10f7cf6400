"""The best spans, against a loop over all of them."""

import numpy as np
import pytest

from keras_albert.tasks.spans import SpanScores, best_windows

pytestmark = pytest.mark.once

TOKENS, ROOM, STRIDE, LONGEST = 23, 10, 4, 5
CONTEXT = "".join(chr(97 + i % 26) * 2 + " " for i in range(TOKENS))
# The seventh token is white space alone.
SPANS = np.array([(3 * i, 3 * i + 2) for i in range(TOKENS)])
SPANS[7, 1] = SPANS[7, 0]


def by_hand(parts):
    """For each token the window with most around it, as the original."""
    chosen = []
    for token in range(TOKENS):
        best, window = None, None
        for index, (begin, length) in enumerate(parts):
            if not begin <= token < begin + length:
                continue
            left, right = token - begin, begin + length - 1 - token
            score = min(left, right) + 0.01 * length
            if best is None or score > best:
                best, window = score, index
        chosen.append(window)
    return chosen


def make_windows(seed):
    generator = np.random.default_rng(seed)
    begins = range(0, TOKENS - ROOM + STRIDE, STRIDE)
    sizes = [min(ROOM, TOKENS - begin) for begin in begins]
    return [
        (begin, *generator.normal(size=(2, size)).astype("float32"))
        for begin, size in zip(begins, sizes, strict=True)
    ]


def all_spans(windows):
    chosen = by_hand([(x[0], len(x[1])) for x in windows])
    found = []
    for index, (begin, starts, ends) in enumerate(windows):
        for i in range(len(starts)):
            for j in range(i, min(i + LONGEST, len(starts))):
                first, last = begin + i, begin + j
                if chosen[first] != index or 7 in (first, last):
                    continue
                score = float(starts[i]) + float(ends[j])
                found.append((score, SPANS[first][0], SPANS[last][1]))
    return sorted(found, reverse=True)


def test_windows_with_most_around_a_token():
    parts = [(x[0], len(x[1])) for x in make_windows(0)]
    assert len(parts) == 5
    assert best_windows(parts, TOKENS).tolist() == by_hand(parts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("with_null", [False, True])
def test_best_spans(seed, with_null):
    windows = make_windows(seed)
    scores = SpanScores(windows, SPANS, 2.5, LONGEST)
    answers, null = scores.best(CONTEXT, 7, with_null)
    expected = all_spans(windows)
    total = sum(np.exp(x[0]) for x in expected)
    total += np.exp(2.5) * with_null
    assert null == pytest.approx(np.exp(2.5) / total if with_null else 0.0)
    assert scores.no_answer_score == pytest.approx(2.5 - expected[0][0])
    assert len(answers) == 7
    for answer, (score, start, end) in zip(answers, expected, strict=False):
        assert (answer["start"], answer["end"]) == (start, end)
        assert answer["text"] == CONTEXT[start:end]
        assert answer["score"] == pytest.approx(np.exp(score) / total)
    assert scores.best(CONTEXT, 1, with_null)[0] == answers[:1]


def test_each_text_is_given_once():
    context = "aa bb aa bb"
    spans = np.array([(0, 2), (3, 5), (6, 8), (9, 11)])
    scores = SpanScores(
        [(0, np.array([3.0, 0, 2, 0]), np.array([1.0, 0, 1, 0]))], spans, 0, 1
    )
    answers, _ = scores.best(context, 4, False)
    assert [(x["text"], x["start"]) for x in answers] == [("aa", 0), ("bb", 3)]


def test_a_null_score_far_above_leaves_probabilities():
    windows = make_windows(0)
    answers, _ = SpanScores(windows, SPANS, 5000.0, 5).best(CONTEXT, 1, False)
    assert 0 < answers[0]["score"] < 1
    answers, null = SpanScores(windows, SPANS, 5000.0, 5).best(CONTEXT, 1, True)
    assert (answers[0]["score"], null) == (0.0, 1.0)
