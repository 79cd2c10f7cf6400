"""What is wrong with labelled files, before a model learns it."""

import collections
import dataclasses
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_albert.data.duplicates import SIMILARITY, check_similarity
from keras_albert.data.findings import Findings
from keras_albert.data.labels import (
    label_set,
    parse_scores,
    score_among,
    split_labels,
)
from keras_albert.data.readers import Rows, column_names, read_rows
from keras_albert.data.repeated_rows import RepeatedRows

# Texts tokenized in one call, so that what one call holds is small.
_TEXTS_A_CALL = 4096


@dataclasses.dataclass(frozen=True)
class Columns:
    """What is in the columns of the files.

    Attributes:
        text: string, see `keras_albert.data.readers.read_rows`.
        pair: string or `None`.
        label: string or `None`: nothing is said of labels then.
        regression: bool. Labels are numbers.
        separator: string or `None`; with it each text has any number of
            labels, and `separator` between them.

    Raises:
        ValueError: if these contradict each other.
    """

    text: str
    pair: str | None = None
    label: str | None = None
    regression: bool = False
    separator: str | None = None

    def __post_init__(self):
        if self.label is None and (self.regression or self.separator):
            raise ValueError(
                "Numbers or several labels a text must come with a label "
                "column. Received none; name it."
            )
        if self.regression and self.separator is not None:
            raise ValueError(
                "Labels must be numbers (regression), or several a text "
                "(multi-label). Received both; leave one out."
            )

    def read(self, path: str | os.PathLike) -> Rows:
        """Reads a file's rows."""
        rows = read_rows(path, self.text, self.pair, self.label)
        if self.separator is not None:
            rows = split_labels(rows, self.separator)
        return rows


def default_columns(
    path: str, text: str | None, label: str | None
) -> tuple[str, str | None]:
    """The columns of texts and labels: those named, or those usual.

    Args:
        path: string, the first file.
        text: string, the column of texts; or `None`.
        label: string, the column of labels; or `None`.

    Returns:
        Both as they are, when there is a text column. Else `"text"`, and
        the label column or, where the file has it, `"label"`.

    Raises:
        ValueError: if the file is not as `read_rows` takes it.
        OSError: if there is no such file, or it cannot be read.
    """
    if text is not None:
        return text, label
    if label is None and "label" in column_names(path):
        label = "label"
    return "text", label


@dataclasses.dataclass
class Inspection:
    """What `inspect_files` found.

    Attributes:
        report: dictionary, see `inspect_files`; JSON takes it as it is.
        lengths: list of `(rows,)` int arrays, a file each: the tokens of
            each row with its special tokens, before anything is cut.
        labels: list of lists, a file each: the labels, as the file has them;
            `None` without a label column.
    """

    report: dict[str, Any]
    lengths: list[np.ndarray]
    labels: list[list | None]

    @property
    def leaks(self) -> bool:
        """Whether a file has rows of another, or rows much like these."""
        return any(
            pair["copies"] or pair["near_duplicates"]
            for pair in self.report["between"]
        )


def inspect_files(
    paths: Sequence[str | os.PathLike],
    columns: Columns,
    tokenizer: Any,
    max_length: int,
    similarity: float = SIMILARITY,
    examples: int = 3,
    note: Callable[[str], None] | None = None,
) -> Inspection:
    """Looks for what makes scores on files worth less than they seem.

    Rows are the same when their texts are; pairs when both are. They are
    near-duplicates when they resemble each other, see
    `keras_albert.data.duplicates.duplicate_groups`, and are not the same.
    Blank rows are no copies of each other.

    Args:
        paths: the files, one a split: training, dev, test.
        columns: a `Columns`.
        tokenizer: an `AlbertTokenizer`.
        max_length: int, tokens: what is longer would be cut.
        similarity: float, from 0.6 to 1, of near-duplicates; 1: only texts
            that differ in nothing but case, accents and punctuation.
        examples: int, how many rows to name for each thing found.
        note: function that is told what is being done, a string; or `None`.

    Returns:
        An `Inspection`, whose report is a dictionary of

        - `"files"`: a dictionary a file: `"path"`; `"rows"`; `"empty"`, rows
          with a blank text; `"unlabelled"`, rows with a blank label;
          `"copies"` of an earlier row and `"near_duplicates"` of one that
          are no copies; `"tokens"`, the quantiles `"0.5"`, `"0.95"`,
          `"0.99"` and `"max"` of the rows' lengths; `"cut"` and
          `"cut_rate"`, rows longer than `max_length`; `"unknown"` and
          `"unknown_rate"`, tokens that the vocabulary has no piece for, and
          `"rows_with_unknown"`; with labels `"labels"`, rows by label, most
          frequent first, and `"imbalance"`, those of the most frequent over
          those of the rarest; with regression `"scores"`, their `"min"`,
          quantiles, `"max"`, `"mean"` and `"std"`;
        - `"between"`: a dictionary for each two files: `"files"`; `"copies"`,
          rows of the second that are in the first; `"near_duplicates"` of
          rows of the first; `"new_labels"`, labels of the second that the
          first has not;
        - `"conflicts"`, over all files: `"copies"`, rows that another one
          with the same text labels otherwise, and `"near_duplicates"`
          likewise (of labels, not of scores);
        - `"findings"`: list of `"what"` was found, `"where"` (files and
          lines) and `"shown"`, at most `examples` of each kind;
        - `"max_length"`, `"similarity"`, `"leaks"`.

    Raises:
        ValueError: if a file or an argument is not as described.
        OSError: if a file cannot be read.
    """
    _check(paths, max_length, examples)
    check_similarity(similarity)
    note = note or (lambda what: None)
    splits = []
    for path in paths:
        note(f"reading {os.fspath(path)}")
        splits.append(columns.read(path))
    findings = Findings(examples)
    files, lengths = [], []
    for split in splits:
        note(f"tokenizing {len(split):,} rows of {split.path}")
        facts: dict[str, Any] = {"path": split.path, "rows": len(split)}
        facts["empty"] = findings.add_all(
            "empty text",
            split,
            [i for i, text in enumerate(split.texts) if _is_empty(text)],
        )
        counts = _count_tokens(split.texts, tokenizer)
        facts |= _lengths(counts, max_length)
        facts |= _unknown(counts, split, findings)
        if columns.label is not None:
            facts |= _labels(split, columns, findings)
        files.append(facts)
        lengths.append(counts["tokens"])

    note(f"comparing {sum(map(len, splits)):,} rows")
    repeated = RepeatedRows(splits, similarity)
    for number, facts in enumerate(files):
        facts |= repeated.within(number, findings)
    between = [
        repeated.between(a, b, findings)
        for a, b in itertools.combinations(range(len(splits)), 2)
    ]
    report: dict[str, Any] = {"files": files, "between": between}
    if columns.label is not None:
        report["conflicts"] = repeated.conflicts(
            [
                _comparable(label, columns)
                for split in splits
                for label in split.labels or ()
            ],
            columns.regression,
            findings,
        )
        for pair, (a, b) in zip(
            between, itertools.combinations(splits, 2), strict=True
        ):
            if not columns.regression:
                pair["new_labels"] = _new_labels(a, b)
    report |= {
        "findings": findings.listed,
        "max_length": max_length,
        "similarity": similarity,
    }
    result = Inspection(report, lengths, [split.labels for split in splits])
    report["leaks"] = result.leaks
    return result


def _check(paths, max_length, examples):
    if not paths:
        raise ValueError("There must be at least one file.")
    real = [os.path.realpath(path) for path in paths]
    twice = next((p for p in paths if real.count(os.path.realpath(p)) > 1), "")
    if twice:
        raise ValueError(
            f"Each file must be given once. {os.fspath(twice)} is there twice."
        )
    if max_length < 4 or examples < 0:
        raise ValueError(
            "`max_length` must be at least 4 and `examples` at least 0. "
            f"Received: max_length={max_length}, examples={examples}."
        )


# === Texts ===


def _is_empty(text: str | tuple) -> bool:
    parts = (text,) if isinstance(text, str) else text
    return not all(part.strip() for part in parts)


def _count_tokens(texts, tokenizer) -> dict[str, np.ndarray]:
    """Tokens of rows, special ones with them, and unknown ones."""
    sides = [texts]
    if isinstance(texts[0], tuple):
        sides = [list(side) for side in zip(*texts, strict=True)]
    # [CLS], and a [SEP] after each text.
    tokens = np.full(len(texts), 1 + len(sides))
    unknown = np.zeros(len(texts), int)
    for side in sides:
        for start in range(0, len(side), _TEXTS_A_CALL):
            rows = tokenizer(side[start : start + _TEXTS_A_CALL])
            for index, row in enumerate(rows, start):
                ids = np.asarray(row)
                tokens[index] += len(ids)
                unknown[index] += (ids == tokenizer.unknown_token_id).sum()
    special = 1 + len(sides)
    return {"tokens": tokens, "pieces": tokens - special, "unknown": unknown}


def _lengths(counts, max_length: int) -> dict[str, Any]:
    tokens = counts["tokens"]
    cut = int((tokens > max_length).sum())
    return {
        "tokens": {**_quantiles(tokens, int), "max": int(tokens.max())},
        "cut": cut,
        "cut_rate": cut / len(tokens),
    }


def _quantiles(values: np.ndarray, kind: type) -> dict[str, Any]:
    # Those that occur: of the rows, so many are as short.
    return {
        str(share): kind(np.quantile(values, share, method="inverted_cdf"))
        for share in (0.5, 0.95, 0.99)
    }


def _unknown(counts, split: Rows, findings: Findings) -> dict[str, Any]:
    unknown = counts["unknown"]
    rows = np.flatnonzero(unknown)
    findings.add_all("tokens that the vocabulary lacks", split, rows)
    return {
        "unknown": int(unknown.sum()),
        "unknown_rate": float(unknown.sum() / max(counts["pieces"].sum(), 1)),
        "rows_with_unknown": len(rows),
    }


# === Labels ===


def _labels(split: Rows, columns: Columns, findings: Findings):
    labels = split.labels or []
    if columns.regression:
        scores = parse_scores(split).astype("float64")
        facts = {"min": float(scores.min()), **_quantiles(scores, float)}
        facts |= {"max": float(scores.max()), "mean": float(scores.mean())}
        return {"scores": {**facts, "std": float(scores.std())}}
    blank = [i for i, label in enumerate(labels) if _is_blank(label)]
    number = None if columns.separator else score_among(labels)
    if number is not None:
        findings.add(
            "a score, not a class; --regression takes it",
            (split, number),
            shown=labels[number],
        )
    counts = collections.Counter(
        itertools.chain(*(x if isinstance(x, list) else [x] for x in labels))
    )
    facts = {
        "unlabelled": findings.add_all("blank label", split, blank),
        "labels": dict(counts.most_common()),
    }
    if counts:
        facts["imbalance"] = max(counts.values()) / min(counts.values())
    return facts


def _comparable(label, columns: Columns):
    """What two labels have in common that mean the same."""
    if columns.regression:
        return float(label)
    return tuple(sorted(label)) if isinstance(label, list) else label


def _is_blank(label: str | list) -> bool:
    names = label if isinstance(label, list) else [label]
    return not all(name.strip() for name in names)


def _new_labels(split: Rows, other: Rows) -> list[str]:
    known = set(label_set(split.labels or []))
    return [x for x in label_set(other.labels or []) if x not in known]
