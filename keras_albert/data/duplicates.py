"""Rows of labelled files that say the same, or nearly."""

import functools
import itertools
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from keras_albert.data.minhash import (
    BANDS,
    band_keys,
    minhash_rows,
    shingle_hashes,
)

# Texts resemble each other in their sequences of so many characters.
WIDTH = 5
SIMILARITY = 0.8
# Below it, too many pairs that resemble each other agree in no band.
LEAST_SIMILARITY = 0.6
# The estimate of 64 permutations has a standard deviation of 0.05 at 0.8: a
# pair that it puts further below is not looked at.
_MARGIN = 0.15
# Neighbours in a bucket that a row is compared with, and what it may cost to
# compare it in vain until it is left alone: what many rows have in common, a
# phrase that begins them, would otherwise take quadratic time.
_NEIGHBOURS = 32
_IN_VAIN = 64
_ESTIMATE, _COMPARISON = 1, 8
_CHARACTERS_AT_ONCE = 65536
# Between the texts of a pair.
SEPARATOR = "\x1f"
_SPACES = re.compile(" +")
# Combining classes from here on are accents above and below letters. Those
# before make another letter of it: voiced kana, vowels and viramas.
_ACCENTS = 200


def normalize_text(text: str) -> str:
    """What counts of a text when it is compared with others.

    Args:
        text: string.

    Returns:
        string, its words in small letters without accents, with a space
        between them; all of it, where it has none. `SEPARATOR` stays.
    """
    folded = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(
        c if _is_of_word(c) else " "
        for c in folded
        if unicodedata.combining(c) < _ACCENTS
    )
    # Not what else `strip` takes for white space: the separator is.
    words = _SPACES.sub(" ", letters).strip(" ")
    return words if words.strip() else text.strip()


def _is_of_word(character: str) -> bool:
    return (
        character.isalnum()
        or character == SEPARATOR
        or unicodedata.category(character).startswith("M")
    )


def shingles(text: str) -> frozenset[str]:
    """The sequences of 5 characters in a text; itself, if it is shorter."""
    if len(text) <= WIDTH:
        return frozenset([text])
    return frozenset(text[i : i + WIDTH] for i in range(len(text) - WIDTH + 1))


def resemblance(one: str, other: str) -> float:
    """How much of two texts is the same.

    Args:
        one: string.
        other: string.

    Returns:
        float, the Jaccard index of the sets of 5-character sequences of the
        normalized texts, see `normalize_text`.
    """
    return _jaccard(
        shingles(normalize_text(one)), shingles(normalize_text(other))
    )


def check_similarity(similarity: float) -> None:
    """Raises `ValueError` unless it is from 0.6 to 1."""
    if not LEAST_SIMILARITY <= similarity <= 1:
        raise ValueError(
            f"`similarity` must lie between {LEAST_SIMILARITY} and 1. "
            f"Received: {similarity}."
        )


def duplicate_groups(
    texts: Sequence[str], similarity: float = SIMILARITY
) -> np.ndarray:
    """Finds texts that are equal, or resemble each other.

    Pairs are found by MinHash and locality-sensitive hashing, and then
    compared exactly: none is in a group by chance, and of those that resemble
    each other by 0.8, one in several thousand is missed.

    Args:
        texts: strings.
        similarity: float, from 0.6 to 1: the `resemblance` from which on two
            texts are near-duplicates. At 1 they have the same words.

    Returns:
        `(texts,)` int64: for each text the index of the first one of its
        group, its own where it resembles no earlier one. Texts are in one
        group that resemble each other directly or through others.

    Raises:
        ValueError: if the similarity is out of range.
    """
    check_similarity(similarity)
    first: dict[str, int] = {}
    numbers = [
        first.setdefault(normalize_text(text), len(first)) for text in texts
    ]
    if not numbers:
        return np.zeros(0, np.int64)
    groups = _Groups(list(first), similarity)
    if similarity < 1:
        groups.find()
    roots = groups.roots()[numbers]
    # The first text of each group, in the order of the texts.
    _, places, group = np.unique(roots, return_index=True, return_inverse=True)
    return places[group].astype(np.int64)


class _Groups:
    """Different normalized texts, and which of them belong together."""

    def __init__(self, texts: list[str], similarity: float):
        self._texts = texts
        self._similarity = similarity
        self._parents = np.arange(len(texts))
        self._in_vain = np.zeros(len(texts), np.int64)
        self._shingles = functools.lru_cache(maxsize=65536)(
            lambda index: shingles(texts[index])
        )

    def roots(self) -> np.ndarray:
        """`(texts,)` int, the smallest index of each text's group."""
        while True:
            grandparents = self._parents[self._parents]
            if (grandparents == self._parents).all():
                return self._parents
            self._parents = grandparents

    def find(self) -> None:
        """Puts texts that resemble each other into one group."""
        signatures = _signatures(self._texts)
        # Rows in small buckets, which have more in common, come first.
        for crowded, band in itertools.product((False, True), range(BANDS)):
            keys = band_keys(signatures, band)
            _, bucket, sizes = np.unique(
                keys, return_inverse=True, return_counts=True
            )
            size = sizes[bucket]
            rows = np.flatnonzero(
                (size > 1) & ((size > _NEIGHBOURS) == crowded)
            )
            rows = rows[np.argsort(bucket[rows], kind="stable")]
            bucket = bucket[rows]
            for distance in range(1, _NEIGHBOURS + 1):
                equal = bucket[distance:] == bucket[:-distance]
                if not equal.any():
                    break
                self._join(
                    rows[:-distance][equal], rows[distance:][equal], signatures
                )

    def _join(
        self, one: np.ndarray, other: np.ndarray, signatures: np.ndarray
    ) -> None:
        roots = self.roots()
        waiting = (roots[one] != roots[other]) & (self._in_vain[one] < _IN_VAIN)
        one, other = one[waiting], other[waiting]
        estimate = (signatures[one] == signatures[other]).mean(axis=1)
        likely = estimate >= self._similarity - _MARGIN
        # No row is in `one` twice.
        self._in_vain[one[~likely]] += _ESTIMATE
        for a, b in zip(
            one[likely].tolist(), other[likely].tolist(), strict=True
        ):
            root_a, root_b = self._root(a), self._root(b)
            if root_a == root_b:
                continue
            if self._are_similar(a, b):
                self._parents[max(root_a, root_b)] = min(root_a, root_b)
            else:
                self._in_vain[a] += _COMPARISON

    def _root(self, index: int) -> int:
        while (parent := self._parents[index]) != index:
            index = parent
        return int(index)

    def _are_similar(self, a: int, b: int) -> bool:
        shared = _jaccard(self._shingles(a), self._shingles(b))
        return shared >= self._similarity


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _signatures(texts: list[str]) -> np.ndarray:
    """`(texts, 64)` uint32, the MinHash of each text's shingles."""
    # What is shorter than a shingle is filled up to one.
    padded = [text.ljust(WIDTH, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    parts = []
    start, size = 0, 0
    for index, length in enumerate(lengths):
        size += length
        if size >= _CHARACTERS_AT_ONCE or index + 1 == len(texts):
            stop = index + 1
            parts.append(
                _signatures_of_part(padded[start:stop], lengths[start:stop])
            )
            start, size = stop, 0
    return np.concatenate(parts)


def _signatures_of_part(texts: list[str], lengths: np.ndarray) -> np.ndarray:
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    hashes = shingle_hashes(np.frombuffer(joined, "<u4"), WIDTH)
    ends = np.cumsum(lengths)
    # Those that reach from one text into the next are none.
    across = (ends[:-1, None] - np.arange(1, WIDTH)).reshape(-1)
    inside = np.ones(len(hashes), bool)
    inside[across] = False
    counts = lengths - (WIDTH - 1)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return minhash_rows(hashes[inside], starts)
