"""Words and their labels from CoNLL columns and JSON lines."""

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence

import numpy as np

from keras_albert.data.labels import label_set
from keras_albert.data.readers import json_lines, read_text
from keras_albert.metrics.entities import (
    OUTSIDE,
    entity_spans,
    tag_scheme,
    tags_of_spans,
)

_JSON_FORMATS = (".jsonl", ".json")
# Not other white space: a no-break space belongs to a word.
_BETWEEN_COLUMNS = re.compile("[ \t]+")
_DOCUMENT_START = "-DOCSTART-"
# The columns of JSON lines, unless others are named.
_WORDS, _LABELS = "words", "labels"


@dataclasses.dataclass
class Sentences:
    """What `read_sentences` read.

    Attributes:
        words: list of lists of strings, a sentence each.
        labels: list of lists of strings, a label each word; `None` when none
            were asked for.
        path: string, the file.
        lines: list of int, the line number that each sentence starts on,
            from 1.
        repaired: int, the tags that were changed, see `read_sentences`.
        words_are_lines: bool. Whether each word has a line of its own.
    """

    words: list
    labels: list | None
    path: str
    lines: list[int]
    repaired: int = 0
    words_are_lines: bool = True

    def __len__(self):
        return len(self.words)

    def where(self, sentence: int, word: int) -> str:
        """Names a word in a message: file and line number."""
        line = self.lines[sentence]
        if self.words_are_lines:
            return f"{self.path}, line {line + word}"
        return f"{self.path}, line {line}, word {word + 1}"


def read_sentences(
    path: str | os.PathLike,
    text_column: str | None = None,
    label_column: str | None = None,
    with_labels: bool = True,
) -> Sentences:
    """Reads sentences of words, and the words' labels.

    The format follows from the name, each with or without `.gz`:

    - `.jsonl`, `.json`: one JSON object a line, with a list of words and a
      list of labels, strings or numbers;
    - others, as `.conll` and `.txt`: CoNLL columns, a word a line, blank
      lines between sentences. Columns are separated by tabs when there is
      one in the first line of a word, else by spaces and tabs. White space
      at the ends of a line is none of a label. Lines of
      `-DOCSTART-` are skipped, and so are comments: lines before a
      sentence's first word that start with `#` and have other columns than
      words have.

    Tags that mark entities (`B-`, `I-` and so on) but contradict each other
    are repaired, and counted: the entities are those that `conlleval` and
    `seqeval` read, and get the tags that they should have. `I-` after `O`,
    for instance, becomes `B-`; this also makes IOB2 of IOB1, of which the
    first release of CoNLL-2003 is.

    Args:
        path: path of a UTF-8 file.
        text_column: of the words: a name (`"words"` by default) for JSON
            lines, for CoNLL a number, from 0 (the first by default).
        label_column: of the labels likewise: `"labels"`, or the last column.
            Negative numbers count from the last.
        with_labels: bool. Whether labels are read.

    Returns:
        A `Sentences`, with at least one word.

    Raises:
        ValueError: if the file or a row of it is not as described; the
            message names file and line.
        OSError: if there is no such file, or it cannot be read.
    """
    path = os.fspath(path)
    plain = path[:-3] if path.lower().endswith(".gz") else path
    extension = os.path.splitext(plain)[1].lower()
    if extension == ".csv":
        raise ValueError(
            "Words with labels must come in CoNLL columns or JSON lines. "
            f"Received: {path}; convert it."
        )
    text = read_text(path)
    sentences = Sentences([], [] if with_labels else None, path, [])
    if extension in _JSON_FORMATS:
        sentences.words_are_lines = False
        rows = _from_json(
            text,
            _WORDS if text_column is None else text_column,
            (label_column or _LABELS) if with_labels else None,
            path,
        )
    else:
        rows = _from_columns(
            text,
            _number("text", text_column, 0),
            _number("label", label_column, -1) if with_labels else None,
            path,
        )
    for line, words, labels in rows:
        sentences.lines.append(line)
        sentences.words.append(words)
        if sentences.labels is not None:
            sentences.labels.append(labels)
    if not any(sentences.words):
        raise ValueError(
            f"{path} must hold at least one word. It holds none; check that "
            "it was written in full."
        )
    _repair_tags(sentences)
    return sentences


def _number(what: str, column: str | None, default: int) -> int:
    if column is None:
        return default
    try:
        return int(column)
    except ValueError as error:
        raise ValueError(
            f"The {what} column of a CoNLL file must be a number, from 0 or, "
            f"counted from the last, from -1. Received: {column!r}."
        ) from error


# === CoNLL columns ===


def _from_columns(
    text: str, word_column: int, label_column: int | None, path: str
) -> Iterator[tuple[int, list[str], list[str]]]:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    example = next(
        (
            line
            for line in lines
            if line.strip() and not line.startswith(("#", _DOCUMENT_START))
        ),
        lines[0],
    )
    separator = "\t" if "\t" in example.strip() else None
    width = len(_fields(example, separator))
    start = 0
    words: list[str] = []
    labels: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        fields = _fields(line, separator)
        # What follows the mark may be separated otherwise than columns are.
        if not line.strip() or line.split()[0] == _DOCUMENT_START:
            if words:
                yield start, words, labels
            words, labels = [], []
            continue
        if line.startswith("#") and not words and len(fields) != width:
            continue  # a comment
        place = f"{path}, line {number}"
        if "\r" in line:
            raise ValueError(
                f"{place} must end in a line feed, alone or after a carriage "
                f"return. There is a carriage return within it: {line!r:.60}; "
                "convert the file, for instance by `tr '\\r' '\\n'`."
            )
        if len(fields) != width:
            raise ValueError(
                f"{place} must have {width} columns, as the first word has. "
                f"It has {len(fields)}: {line!r:.60}; correct it, or put a "
                "blank line between sentences."
            )
        start = start if words else number
        words.append(_field(fields, word_column, "word", place))
        if label_column is not None:
            if len(fields) == 1:
                raise ValueError(
                    f"{place} must have a word and a label. It has one "
                    f"column: {line!r:.60}."
                )
            label = _field(fields, label_column, "label", place)
            labels.append(label.strip())


def _fields(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return _BETWEEN_COLUMNS.split(line.strip(" \t"))
    return line.split(separator)


def _field(fields: list[str], column: int, what: str, place: str) -> str:
    if not -len(fields) <= column < len(fields):
        raise ValueError(
            f"{place} must have a column {column} for the {what}, counted "
            f"from 0. It has {len(fields)} columns; name another one."
        )
    if not fields[column].strip():
        raise ValueError(
            f"{place}: the {what} must not be empty. Give it one, or remove "
            "the line."
        )
    return fields[column]


# === JSON lines ===


def _from_json(
    text: str, word_column: str, label_column: str | None, path: str
) -> Iterator[tuple[int, list[str], list[str]]]:
    columns = (
        [word_column]
        if label_column is None
        else [
            word_column,
            label_column,
        ]
    )
    for number, fields in json_lines(text, columns, path):
        place = f"{path}, line {number}"
        words = _strings(fields[word_column], word_column, place)
        labels: list[str] = []
        if label_column is not None:
            labels = _strings(fields[label_column], label_column, place)
            if len(labels) != len(words):
                raise ValueError(
                    f"{place} must have a label for each word. It has "
                    f"{len(words)} words and {len(labels)} labels; correct it."
                )
        yield number, words, labels


def _strings(value: object, column: str, place: str) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(
            f"{place}: {column!r} must be a list, an entry a word. It is a "
            f"{type(value).__name__}: {str(value)!r:.60}."
        )
    strings = []
    for item in value:
        if type(item) is int:
            item = str(item)
        if not isinstance(item, str) or not item.strip():
            raise ValueError(
                f"{place}: {column!r} must hold strings that are not empty. "
                f"It holds {item!r:.60}; correct or remove it."
            )
        try:
            item.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{place}: {column!r} must be Unicode text. It holds half a "
                f"surrogate pair in {item!r:.60}; correct it."
            ) from error
        strings.append(item)
    return strings


# === Labels ===


def _repair_tags(sentences: Sentences) -> None:
    if sentences.labels is None:
        return
    labels = {label for row in sentences.labels for label in row}
    scheme = tag_scheme(labels)
    if scheme is None:
        _check_not_mixed(sentences, labels)
        return
    for index, tags in enumerate(sentences.labels):
        spans = entity_spans(tags, scheme)
        repaired = tags_of_spans(spans, len(tags), scheme)
        sentences.repaired += sum(map(str.__ne__, tags, repaired))
        sentences.labels[index] = repaired


def _check_not_mixed(sentences: Sentences, labels: set[str]) -> None:
    if not any(label.startswith("B-") for label in labels):
        return
    for index, tags in enumerate(sentences.labels or ()):
        for word, tag in enumerate(tags):
            if tag != OUTSIDE and tag_scheme([tag]) is None:
                raise ValueError(
                    f"{sentences.where(index, word)}: the tag must be 'O' or "
                    "start with 'B-', 'I-' or another letter of IOB2, IOBES "
                    f"or BILOU, as others do. It is {tag!r}; correct it."
                )


def tag_set(sentences: Sentences) -> list[str]:
    """The different labels, `O` first, the others sorted.

    Args:
        sentences: sentences with labels.

    Returns:
        list of strings, at least two.

    Raises:
        ValueError: if there are fewer.
    """
    labels = label_set([x for row in sentences.labels or () for x in row])
    if len(labels) < 2:
        raise ValueError(
            f"{sentences.path} must hold at least two different labels. It "
            f"holds {', '.join(map(repr, labels)) or 'none'}; check the "
            "column."
        )
    return sorted(labels, key=lambda label: label != OUTSIDE)


def encode_tags(
    sentences: Sentences, labels: Sequence[str]
) -> list[np.ndarray]:
    """Class indices of words.

    Args:
        sentences: sentences with labels.
        labels: the names of the classes in order.

    Returns:
        list of `(words,)` int32 arrays.

    Raises:
        ValueError: if a word has another label.
    """
    index = {label: number for number, label in enumerate(labels)}
    for row, tags in enumerate(sentences.labels or ()):
        for word, tag in enumerate(tags):
            if tag not in index:
                names = ", ".join(map(repr, labels[:20]))
                more = len(labels) - 20
                raise ValueError(
                    f"{sentences.where(row, word)}: the label must be one of "
                    f"the {len(labels)} known ones, {names}"
                    f"{f' and {more} more' if more > 0 else ''}. It is "
                    f"{tag!r}; correct it, or train with it."
                )
    return [
        np.array([index[tag] for tag in tags], "int32")
        for tags in sentences.labels or ()
    ]
