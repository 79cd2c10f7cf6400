"""Labelled texts from CSV, TSV and JSON-lines files, by column name."""

import contextlib
import csv
import dataclasses
import gzip
import io
import json
import os
import sys
import unicodedata
import zlib
from collections.abc import Iterator, Sequence

FORMATS = (".csv", ".tsv", ".jsonl", ".json")

_Row = tuple[int, dict[str, object]]


@dataclasses.dataclass
class Rows:
    """What `read_rows` read.

    Attributes:
        texts: list of strings, or of pairs of strings as 2-tuples.
        labels: list of strings as they are in the file (a JSON list is a
            list of strings); `None` when no label column was asked for.
        path: string, the file.
        lines: list of int, the line number that each row starts on, from 1.
    """

    texts: list
    labels: list | None
    path: str
    lines: list[int]

    def __len__(self):
        return len(self.texts)

    def where(self, index: int) -> str:
        """Names a row in a message: file and line number."""
        return f"{self.path}, line {self.lines[index]}"


def read_rows(
    path: str | os.PathLike,
    text_column: str,
    pair_column: str | None = None,
    label_column: str | None = None,
    broken: list[int] | None = None,
) -> Rows:
    """Reads texts, and their labels, from a file.

    The format follows from the name, each with or without `.gz`:

    - `.csv`: comma-separated, quoted by `"` as in RFC 4180, with a header;
    - `.tsv`: tab-separated without any quoting as in GLUE, with a header;
    - `.jsonl`, `.json`: one JSON object a line.

    A CSV or TSV file without a header is read with columns `"0"`, `"1"`, …:
    digits are always numbers of columns, counted from 0. Rows may then have
    more fields than others. Blank lines are skipped. An empty text is kept:
    a model sees `[CLS] [SEP]`.

    Args:
        path: path of a UTF-8 file.
        text_column: column of the texts.
        pair_column: column of the second texts of pairs.
        label_column: column of the labels.
        broken: list that gets the lines of rows with other fields than the
            header; such rows are left out. `None`: they are an error.

    Returns:
        A `Rows`, at least one row long.

    Raises:
        ValueError: if the file or a row of it is not as described; the
            message names file and line.
        OSError: if there is no such file, or it cannot be read.
    """
    path = os.fspath(path)
    columns = [
        column
        for column in (text_column, pair_column, label_column)
        if column is not None
    ]
    _check_differ(columns)
    rows = Rows([], None if label_column is None else [], path, [])
    for line, fields in read_records(path, columns, broken):
        place = f"{path}, line {line}"
        text = _text(fields[text_column], text_column, place)
        if pair_column is None:
            rows.texts.append(text)
        else:
            second = _text(fields[pair_column], pair_column, place)
            rows.texts.append((text, second))
        rows.lines.append(line)
        if rows.labels is not None and label_column is not None:
            rows.labels.append(
                _label(fields[label_column], label_column, place)
            )
    if not rows.texts:
        raise ValueError(
            f"{path} must hold at least one row. It holds none after its "
            "header; check that it was written in full."
        )
    return rows


def _check_differ(columns: Sequence[str]) -> None:
    if len(set(columns)) < len(columns):
        raise ValueError(
            "Texts, second texts and labels must be columns of their own. "
            f"Received: {', '.join(map(repr, columns))}; name different ones."
        )


# === Files ===


def column_names(path: str) -> list[str]:
    """The columns that a file's first line names.

    Args:
        path: string, see `read_rows`.

    Returns:
        list of strings: the fields of the first row of CSV or TSV, the keys
        of the first object of JSON lines.

    Raises:
        ValueError: if the file or its first line is not as described.
        OSError: if there is no such file, or it cannot be read.
    """
    extension = _extension(path)
    text = read_text(path)
    if extension == ".csv":
        return next(_csv_lines(text, path))[1]
    if extension == ".tsv":
        return next(_tsv_lines(text))[1]
    return [*next(json_lines(text, [], path))[1]]


def read_records(
    path: str, columns: Sequence[str], broken: list[int] | None = None
) -> Iterator[_Row]:
    """The rows of a file, see `read_rows`.

    Args:
        path: string.
        columns: names of columns, or numbers of all of them.
        broken: see `read_rows`.

    Returns:
        iterator of line numbers, from 1, and of dictionaries that have the
        columns.

    Raises:
        ValueError: if the file or a row of it is not as described.
        OSError: if there is no such file, or it cannot be read.
    """
    extension = _extension(path)
    text = read_text(path)
    if extension == ".csv":
        return _table(_csv_lines(text, path), columns, path, broken)
    if extension == ".tsv":
        return _table(_tsv_lines(text), columns, path, broken)
    return json_lines(text, columns, path)


def _extension(path: str) -> str:
    _check_is_file(path)
    plain = path[:-3] if path.lower().endswith(".gz") else path
    extension = os.path.splitext(plain)[1].lower()
    if extension not in FORMATS:
        raise ValueError(
            f"A data file must end in {', '.join(FORMATS)}, with or without "
            f".gz. Received: {path}; convert or rename it."
        )
    return extension


def _check_is_file(path: str) -> None:
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"A data file must be a file. {path} is a folder; name the file "
            "in it."
        )
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"There is no file {path}. Check the path; it is relative to "
            f"{os.getcwd()}."
        )


def read_text(path: str) -> str:
    """The content of a UTF-8 file, of a `.gz` unpacked.

    Args:
        path: string.

    Raises:
        ValueError: if it is damaged, not UTF-8, or blank.
        OSError: if there is no such file, or it cannot be read.
    """
    _check_is_file(path)
    opened = gzip.open if path.lower().endswith(".gz") else open
    try:
        with opened(path, "rb") as file:
            content = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} must be a whole gzip file. Reading it failed: {error}. "
            "It was cut off or damaged; make or download it again."
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} must be UTF-8. Line {line} is not: byte "
            f"0x{content[error.start]:02x} at offset {error.start}. Convert "
            "it, for instance by `iconv -f latin1 -t utf-8`."
        ) from error
    if not text.strip():
        raise ValueError(
            f"{path} must hold rows. It is empty; check that it was written "
            "in full."
        )
    return text


def _tsv_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if line:
            yield number, line.split("\t")


def _csv_lines(text: str, path: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            with _long_fields():
                fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{path} must be CSV. The row on line {line} is not: "
                f'{error}. Put texts with commas, quotes or line ends in "…" '
                'and double each " in them.'
            ) from error
        if fields:
            yield line, fields


@contextlib.contextmanager
def _long_fields():
    """Lifts the limit of the `csv` module, which is one for the process."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _table(
    lines, columns: Sequence[str], path: str, broken: list[int] | None
) -> Iterator[_Row]:
    numbered = [column.isdecimal() for column in columns]
    if any(numbered):
        if not all(numbered):
            raise ValueError(
                "Columns must all be names, or all be numbers for a file "
                f"without a header. Received: {', '.join(columns)}."
            )
        yield from _numbered_fields(lines, columns, path)
        return
    line, header = next(lines)
    for column in columns:
        if header.count(column) != 1:
            found = "is there twice" if column in header else "is not there"
            raise ValueError(
                f"{path} must have one column {column!r}. It {found}; the "
                f"columns are {', '.join(map(repr, header))}. Name one of "
                "these, or give column numbers (from 0) if line 1 is no "
                "header."
            )
    places = {column: header.index(column) for column in columns}
    for line, fields in lines:
        if len(fields) < len(header) or any(fields[len(header) :]):
            if broken is not None:
                broken.append(line)
                continue
            raise ValueError(
                f"{path}, line {line} must have {len(header)} fields as the "
                f"header. It has {len(fields)}; correct or remove the row."
            )
        yield line, {name: fields[place] for name, place in places.items()}


def _numbered_fields(lines, columns, path) -> Iterator[_Row]:
    needed = max(map(int, columns)) + 1
    for line, fields in lines:
        if len(fields) < needed:
            raise ValueError(
                f"{path}, line {line} must have at least {needed} fields, "
                f"for column {needed - 1} counted from 0. It has "
                f"{len(fields)}; correct the row, or the column."
            )
        yield line, {column: fields[int(column)] for column in columns}


def json_lines(text: str, columns: Sequence[str], path: str) -> Iterator[_Row]:
    """The objects of JSON lines, each checked to have some columns.

    Args:
        text: the content of a file.
        columns: names that each object must have.
        path: the file, for messages.

    Yields:
        The line number, from 1, and the object. Blank lines are skipped.

    Raises:
        ValueError: if a line is no object, or lacks a column.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", str(error))
            raise ValueError(
                f"{path}, line {number} must be JSON. It is not: {reason}. "
                "Each line holds one object, such as "
                '{"text": "…", "label": "…"}.'
            ) from error
        if not isinstance(fields, dict):
            raise ValueError(
                f"{path}, line {number} must be a JSON object. It is a "
                f"{type(fields).__name__}; write one object a line, such as "
                '{"text": "…", "label": "…"}.'
            )
        for column in columns:
            if column not in fields:
                raise ValueError(
                    f"{path}, line {number} must have a column {column!r}. "
                    f"Its columns are {', '.join(map(repr, fields))}."
                )
        yield number, fields


def check_text(
    value: object, what: str, place: str, advice: str = "correct it"
) -> str:
    """The text of a file's field, once it is one.

    Args:
        value: what the file holds.
        what: string, names the field in a message.
        place: string, names file and row.
        advice: string, what to do about a value that is no text.

    Raises:
        ValueError: if it is no string, or holds half a surrogate pair.
    """
    if not isinstance(value, str):
        raise ValueError(
            f"{place}: {what} must be a text. It is {json.dumps(value):.60}; "
            f"{advice}."
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{place}: {what} must be Unicode text. It holds half a surrogate "
            f"pair at character {error.start}; correct it."
        ) from error
    return value


def is_blank(text: str) -> bool:
    """Whether nothing of a text is seen: white space, characters of no width.

    Args:
        text: string.
    """
    unseen = ("Cc", "Cf", "Zl", "Zp", "Zs")
    return all(unicodedata.category(x) in unseen for x in text)


def _text(value: object, column: str, place: str) -> str:
    advice = "name another column, or correct it"
    return check_text(value, f"column {column!r}", place, advice)


def _label(value: object, column: str, place: str) -> str | list:
    if isinstance(value, list):
        return [_name(item, column, place) for item in value]
    return _name(value, column, place)


def _name(value: object, column: str, place: str) -> str:
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return _text(value, column, place)
