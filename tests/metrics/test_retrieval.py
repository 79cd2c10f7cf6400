"""Retrieval metrics, by hand and by trying all orders of the ties."""

import itertools

import numpy as np
import pytest

from keras_albert.metrics.retrieval import score_ranking, score_retrieval

pytestmark = pytest.mark.once


def by_orders(scores, relevant, k):
    """The mean recall@k and reciprocal rank over all orders of the ties."""
    recalls, ranks = [], []
    for order in itertools.permutations(range(len(scores))):
        ranked = sorted(order, key=lambda i: -scores[i])
        hits = [i in relevant for i in ranked]
        recalls.append(sum(hits[:k]) / len(relevant))
        ranks.append(1 / (hits.index(True) + 1))
    return np.mean(recalls), np.mean(ranks)


@pytest.mark.parametrize(
    ("scores", "relevant"),
    [
        ([0.1, 0.9, 0.5], [2]),
        ([0.5, 0.5, 0.5, 0.5], [1]),
        ([0.5, 0.5, 0.5, 0.9, 0.5], [0, 2]),
        ([0.2, 0.7, 0.7, 0.7, 0.1, 0.2], [2, 5]),
        ([0.3], [0]),
    ],
)
def test_ties_are_in_no_order(scores, relevant):
    for k in (1, 2, 5):
        recall, reciprocal_rank = by_orders(scores, relevant, k)
        metrics = score_ranking(scores, relevant, ks=(k,))
        assert metrics[f"recall@{k}"] == pytest.approx(recall)
        assert metrics["mrr"] == pytest.approx(reciprocal_rank)


def test_one_score_for_all_is_worth_guessing():
    vectors = np.ones((300, 4))
    right = [[i % 10] for i in range(300)]
    metrics = score_retrieval(vectors, vectors[:10], right)
    assert metrics["recall@1"] == pytest.approx(0.1)
    assert metrics["recall@5"] == pytest.approx(0.5)
    assert metrics["mrr"] == pytest.approx(np.mean(1 / np.arange(1, 11)))


def test_scores_that_differ_in_the_last_bit_are_tied():
    """As those of equal vectors do, at the edges of a matrix product."""
    documents = np.array([[1.0], [np.nextafter(1.0, 2.0)], [0.5]])
    for right in (0, 1):
        metrics = score_retrieval(np.ones((1, 1)), documents, [[right]])
        assert metrics["recall@1"] == 0.5


def test_what_is_left_out_is_no_candidate():
    documents = np.eye(3)
    query = np.array([[3.0, 2.0, 1.0]])
    assert score_retrieval(query, documents, [[1]])["recall@1"] == 0.0
    metrics = score_retrieval(query, documents, [[1]], left_out=[[0]])
    assert metrics == {"recall@1": 1.0, "recall@5": 1.0, "mrr": 1.0}


def test_bad_input():
    with pytest.raises(ValueError, match="at least one query"):
        score_retrieval(np.zeros((0, 2)), np.zeros((1, 2)), [])
    with pytest.raises(ValueError, match="at least one right document"):
        score_ranking([0.1], [])
    with pytest.raises(ValueError, match="must be numbers"):
        score_ranking([float("nan"), 0.0], [0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relevant": [[0], [1], [7]]}, "right documents.*0 to 2.*7"),
        ({"relevant": [[0], [1], [-1]]}, "right documents"),
        ({"relevant": [[0, 0], [1], [2]]}, "different indices"),
        ({"relevant": [{0.0}, [1], [2]]}, "indices"),
        ({"queries": np.eye(3)[:, :2]}, r"the same dimension.*\(3, 2\)"),
        ({"queries": np.ones(3)}, "vectors"),
        ({"documents": np.zeros((0, 3))}, "indices"),
        ({"ks": (0,)}, "`ks` must be positive integers"),
        ({"ks": (1.5,)}, "`ks` must be positive integers"),
        ({"left_out": [[1]]}, "for each query.*1 for 3"),
        ({"left_out": [[1], [1], [0]]}, "must be a candidate.*query 1"),
    ],
)
def test_what_cannot_be_meant(changes, message):
    given = {
        "queries": np.eye(3),
        "documents": np.eye(3),
        "relevant": [[0], [1], [2]],
    }
    with pytest.raises(ValueError, match=message):
        score_retrieval(**{**given, **changes})
