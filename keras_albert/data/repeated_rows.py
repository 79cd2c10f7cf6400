"""Rows that are there more than once, within files and between them."""

from typing import Any

import numpy as np

from keras_albert.data.duplicates import duplicate_groups, resemblance
from keras_albert.data.findings import Findings, joined
from keras_albert.data.readers import Rows

# Members of a group that are looked at for the one most like a row.
_MOST_COMPARED = 50


class RepeatedRows:
    """Rows of several files whose texts are equal, or nearly, and not blank.

    Args:
        splits: list of `Rows`.
        similarity: float, see `keras_albert.data.duplicates`.
    """

    def __init__(self, splits: list[Rows], similarity: float):
        self._splits = splits
        self._starts = np.cumsum([0, *map(len, splits)])
        self._texts = [joined(x) for split in splits for x in split.texts]
        first: dict[str, int] = {}
        # For each row the first with the same text, and of its group.
        self._copy_of = np.array(
            [first.setdefault(x, row) for row, x in enumerate(self._texts)]
        )
        self._groups = duplicate_groups(self._texts, similarity)
        # A blank row says nothing, so it repeats nothing.
        blank = [row for row, x in enumerate(self._texts) if not x.strip()]
        self._copy_of[blank] = self._groups[blank] = blank

    def _rows(self, number: int) -> np.ndarray:
        return np.arange(self._starts[number], self._starts[number + 1])

    def _place(self, row: int) -> tuple[Rows, int]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._splits[number], int(row - self._starts[number])

    def within(self, number: int, findings: Findings) -> dict[str, int]:
        """Rows of a file that repeat an earlier one of it."""
        rows = self._rows(number)
        is_copy, is_near = (
            _is_repeated(keys[rows]) for keys in (self._copy_of, self._groups)
        )
        copies, near = rows[is_copy], rows[is_near & ~is_copy]
        for what, found in (("copy", copies), ("near-duplicate", near)):
            self._add(findings, f"{what} in the same file", found, rows)
        return {"copies": len(copies), "near_duplicates": len(near)}

    def between(self, a: int, b: int, findings: Findings) -> dict[str, Any]:
        """Rows of the second file that are, or nearly are, in the first."""
        former, rows = self._rows(a), self._rows(b)
        is_copy = np.isin(self._copy_of[rows], self._copy_of[former])
        is_near = np.isin(self._groups[rows], self._groups[former]) & ~is_copy
        copies, near = rows[is_copy], rows[is_near]
        for what, found in (("copy", copies), ("near-duplicate", near)):
            self._add(findings, f"{what} between files", found, former)
        return {
            "files": [self._splits[a].path, self._splits[b].path],
            "copies": len(copies),
            "near_duplicates": len(near),
        }

    def _add(self, findings, what, found, among) -> None:
        for row in found[: findings.most]:
            alike = self._most_alike(row, among)
            findings.add(what, self._place(int(row)), self._place(alike))

    def _most_alike(self, row: int, among: np.ndarray) -> int:
        others = among[
            (self._groups[among] == self._groups[row]) & (among != row)
        ]
        same = others[self._copy_of[others] == self._copy_of[row]]
        if len(same):
            return int(same[0])
        return max(
            others[:_MOST_COMPARED],
            key=lambda x: resemblance(self._texts[row], self._texts[x]),
        )

    def conflicts(
        self, labels: list, are_scores: bool, findings: Findings
    ) -> dict[str, int]:
        """Rows that another one with the same text labels otherwise.

        Args:
            labels: list of what can be compared, for all rows of all files.
            are_scores: bool. Near-duplicates may have other ones.
            findings: a `Findings`.

        Returns:
            Their number, `"copies"`, and that of `"near_duplicates"`.
        """
        index: dict = {}
        numbers = np.array([index.setdefault(x, len(index)) for x in labels])
        copies = _conflicting(self._copy_of, numbers)
        self._add_conflicts(
            findings, "same text, other label", copies, self._copy_of, labels
        )
        counts = {"copies": int(copies.sum())}
        if are_scores:
            return counts
        near = _conflicting(self._groups, numbers) & ~copies
        self._add_conflicts(
            findings, "near-duplicate, other label", near, self._groups, labels
        )
        return {**counts, "near_duplicates": int(near.sum())}

    def _add_conflicts(self, findings, what, found, keys, labels) -> None:
        seen: set[int] = set()
        for row in np.flatnonzero(found).tolist():
            if len(seen) == findings.most:
                return
            if keys[row] in seen:
                continue
            seen.add(keys[row])
            members = np.flatnonzero(keys == keys[row]).tolist()
            other = next(x for x in members if labels[x] != labels[row])
            shown = f"{labels[row]}, {labels[other]}: {self._texts[row]}"
            findings.add(
                what,
                self._place(row),
                self._place(other),
                shown=shown,
            )


def _is_repeated(keys: np.ndarray) -> np.ndarray:
    """Whether each key was there before."""
    repeated = np.ones(len(keys), bool)
    repeated[np.unique(keys, return_index=True)[1]] = False
    return repeated


def _conflicting(keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether rows of the same key have different labels."""
    pairs = np.unique(np.stack([keys, labels], axis=1), axis=0)
    several, counts = np.unique(pairs[:, 0], return_counts=True)
    return np.isin(keys, several[counts > 1])
