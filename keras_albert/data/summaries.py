"""Documents and their summaries from CSV, TSV and JSON-lines files."""

import dataclasses
import json
import os

from keras_albert.data.readers import check_text, read_records

TEXT, SUMMARY, LABELS = "text", "summary", "labels"


@dataclasses.dataclass
class Documents:
    """What `read_documents` read.

    Attributes:
        documents: list of strings, or of lists of sentences.
        summaries: list of strings, or of tuples of them where there are
            several; `None` where the file has none.
        labels: list of lists of int, 0 or 1, one a sentence; `None` where
            the file has none.
        path: string, the file.
        lines: list of int, the line number that each row starts on, from 1.
    """

    documents: list
    summaries: list | None
    labels: list[list[int]] | None
    path: str
    lines: list[int]

    def __len__(self):
        return len(self.documents)

    def where(self, index: int) -> str:
        """Names a row in a message: file and line number."""
        return f"{self.path}, line {self.lines[index]}"


def read_documents(
    path: str | os.PathLike,
    text_column: str | None = None,
    summary_column: str | None = None,
    label_column: str | None = None,
    targets: bool = True,
) -> Documents:
    """Reads documents, with summaries or with labels of their sentences.

    The formats are those of `keras_albert.data.readers.read_rows`. In JSON
    lines a document may be a list of sentences, a summary a list where there
    are several, and labels are a list of 0 and 1. In tables, labels have
    spaces between them.

    Args:
        path: path of a UTF-8 file.
        text_column: column of the documents, `"text"` by default.
        summary_column: of the summaries; `"summary"` by default, unless
            labels are named.
        label_column: of the labels.
        targets: bool. Whether summaries or labels are read.

    Returns:
        A `Documents`, at least one row long.

    Raises:
        ValueError: if the file or a row of it is not as described; the
            message names file and line.
        OSError: if there is no such file, or it cannot be read.
    """
    path = os.fspath(path)
    text_column = TEXT if text_column is None else text_column
    if not targets:
        summary_column = label_column = None
    elif summary_column is None and label_column is None:
        summary_column = SUMMARY
    columns = [
        column
        for column in (text_column, summary_column, label_column)
        if column is not None
    ]
    if len(set(columns)) < len(columns):
        raise ValueError(
            "Documents, summaries and labels must be columns of their own. "
            f"Received: {', '.join(map(repr, columns))}; name different ones."
        )
    rows = Documents(
        [],
        None if summary_column is None else [],
        None if label_column is None else [],
        path,
        [],
    )
    for line, fields in read_records(path, columns):
        place = f"{path}, line {line}"
        rows.documents.append(_document(fields[text_column], place))
        rows.lines.append(line)
        if rows.summaries is not None and summary_column is not None:
            rows.summaries.append(_summary(fields[summary_column], place))
        if rows.labels is not None and label_column is not None:
            rows.labels.append(_labels(fields[label_column], place))
    if not rows.documents:
        raise ValueError(f"{path} must hold at least one document.")
    return rows


def _document(value: object, place: str) -> str | list[str]:
    if not isinstance(value, list):
        return check_text(value, "the document", place)
    sentences = [check_text(text, "a sentence", place) for text in value]
    if not all(sentence.strip() for sentence in sentences):
        raise ValueError(
            f"{place}: a sentence must not be empty. One is; remove it."
        )
    return sentences


def _summary(value: object, place: str) -> str | tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    texts = [check_text(text, "the summary", place) for text in values]
    if not texts or not all(text.strip() for text in texts):
        raise ValueError(
            f"{place}: the summary must not be empty. Give it one, or remove "
            "the row."
        )
    return tuple(texts) if isinstance(value, list) else texts[0]


def _labels(value: object, place: str) -> list[int]:
    labels = value.split() if isinstance(value, str) else value
    if not isinstance(labels, list) or any(
        label not in (0, 1, "0", "1") for label in labels
    ):
        raise ValueError(
            f"{place}: labels must be 0 and 1, one a sentence. They are "
            f"{json.dumps(value):.60}; correct them."
        )
    return [int(label) for label in labels]
