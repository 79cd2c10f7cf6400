"""How well the right documents are found: recall@k, mean reciprocal rank.

Documents with the same score stand in no order, and a sort would make one up:
all of them wrong in a model that gives one score to all, or all right. Here a
metric is its mean over all orders of the ties, computed exactly.
"""

import math
import numbers

import numpy as np

# Queries that are compared with all documents at once.
_QUERIES_A_CALL = 256


def score_retrieval(queries, documents, relevant, ks=(1, 5), left_out=None):
    """Ranks documents by their dot product with each query.

    Args:
        queries: `(queries, dim)` float, vectors.
        documents: `(documents, dim)` float, vectors.
        relevant: list of lists of int, the documents that are right for each
            query, at least one.
        ks: ints, how many documents are looked at.
        left_out: list of lists of int, the documents that are no candidates
            for a query, such as itself; `None`: all are.

    Returns:
        dictionary of floats: `"recall@k"` for each k, the share of a query's
        right documents that are among its first k; `"mrr"`, the mean of 1 /
        the rank of the first that is right.

    Raises:
        ValueError: if there are no queries, one has no right document, or one
            that is left out or that there is not, or a score is no number.
    """
    if not len(queries) or len(queries) != len(relevant):
        raise ValueError(
            "There must be at least one query, and the right documents of "
            f"each. Received: {len(queries)} queries, {len(relevant)} lists."
        )
    shapes = [np.shape(vectors) for vectors in (queries, documents)]
    if any(len(s) != 2 for s in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            "Queries and documents must be vectors of the same dimension, "
            "(queries, dim) and (documents, dim). Received the shapes "
            f"{shapes[0]} and {shapes[1]}."
        )
    if left_out is not None:
        _check_left_out(left_out, relevant, len(documents))
    rows = []
    for start in range(0, len(queries), _QUERIES_A_CALL):
        part = slice(start, start + _QUERIES_A_CALL)
        # Rounded: equal vectors have scores that differ in the last bits,
        # since a matrix product adds up in another order at its edges.
        scores = np.asarray(queries[part]) @ np.asarray(documents).T
        scores = scores.astype("float32")
        for place, row in enumerate(scores):
            right = relevant[start + place]
            if left_out is not None:
                row[left_out[start + place]] = -np.inf
            rows.append(score_ranking(row, right, ks))
    return {
        name: float(np.mean([row[name] for row in rows])) for name in rows[0]
    }


def score_ranking(scores, relevant, ks=(1, 5)):
    """The metrics of one query, see `score_retrieval`.

    Args:
        scores: `(documents,)` float, higher is better; minus infinity of
            what is no candidate.
        relevant: list of int, the right documents, without duplicates.
        ks: ints.

    Returns:
        dictionary of floats.

    Raises:
        ValueError: if there is no right document, or what is given cannot be
            meant.
    """
    scores = np.asarray(scores)
    if not len(relevant):
        raise ValueError("A query must have at least one right document.")
    _check_places(relevant, len(scores), "The right documents of a query")
    if not all(isinstance(k, numbers.Integral) and k > 0 for k in ks):
        raise ValueError(f"`ks` must be positive integers. Received: {ks}.")
    if np.isnan(scores).any():
        raise ValueError("The scores of documents must be numbers.")
    right = scores[relevant]
    # Of each right document, how many are before it, and beside it.
    before = (scores[None] > right[:, None]).sum(axis=1)
    beside = (scores[None] == right[:, None]).sum(axis=1)
    metrics = {
        f"recall@{k}": float(np.clip((k - before) / beside, 0, 1).mean())
        for k in ks
    }
    first = int(right.argmax())
    tied_right = int((right == right[first]).sum())
    metrics["mrr"] = _mean_reciprocal_rank(
        int(before[first]), int(beside[first]), tied_right
    )
    return metrics


def _check_left_out(left_out, relevant, documents):
    if len(left_out) != len(relevant):
        raise ValueError(
            "There must be a list of documents that are left out for each "
            f"query. Received: {len(left_out)} for {len(relevant)} queries."
        )
    for query, (without, right) in enumerate(
        zip(left_out, relevant, strict=True)
    ):
        _check_places(without, documents, "What is left out for a query")
        if {*without} & {*right}:
            raise ValueError(
                "A right document must be a candidate. Received for query "
                f"{query} one that is left out: {min({*without} & {*right})}."
            )


def _check_places(places, documents, what):
    is_place = [
        isinstance(place, numbers.Integral) and 0 <= place < documents
        for place in places
    ]
    if not all(is_place) or len(set(places)) < len(places):
        raise ValueError(
            f"{what} must be different indices from 0 to {documents - 1}. "
            f"Received: {places!r:.80}."
        )


def _mean_reciprocal_rank(before, beside, right):
    """Of the first right one of `beside` tied documents behind others."""
    total = math.comb(beside, right)
    return sum(
        math.comb(beside - place, right - 1) / total / (before + place)
        for place in range(1, beside - right + 2)
    )
