"""Readers: formats, what is kept as it is, and errors with a place."""

import gzip

import numpy as np
import pytest

from keras_albert.data import labels, readers

pytestmark = pytest.mark.once


def write(path, content):
    content = content.encode() if isinstance(content, str) else content
    if path.suffix == ".gz":
        content = gzip.compress(content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\n"Hi, you",a\nCafé,b\n,a\n'),
        ("a.csv.gz", 'text,label\n"Hi, you",a\nCafé,b\n,a\n'),
        ("a.tsv", "text\tlabel\nHi, you\ta\nCafé\tb\n\ta\n"),
        (
            "a.jsonl",
            '{"text": "Hi, you", "label": "a"}\n'
            '{"text": "Caf\\u00e9", "label": "b"}\n'
            '{"text": "", "label": "a"}\n',
        ),
    ],
)
def test_formats_give_the_same_rows(tmp_path, name, content):
    rows = readers.read_rows(
        write(tmp_path / name, content), "text", label_column="label"
    )
    assert rows.texts == ["Hi, you", "Café", ""]
    assert rows.labels == ["a", "b", "a"]


def test_quotes_of_tsv_are_text(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabel\nsay "hi\t1\nbye"\t0\n')
    rows = readers.read_rows(path, "text", label_column="label")
    assert rows.texts == ['say "hi', 'bye"']


def test_numbered_columns_of_a_file_without_header(tmp_path):
    path = write(tmp_path / "a.tsv", "gj04\t1\t\tFine.\ngj05\t0\t*\tNot it.\n")
    rows = readers.read_rows(path, "3", label_column="1")
    assert rows.texts == ["Fine.", "Not it."]
    assert rows.labels == ["1", "0"]


def test_pairs(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\nx,y\n")
    assert readers.read_rows(path, "a", "b").texts == [("x", "y")]


def test_a_long_text_and_nul(tmp_path):
    long = "word " * 20000
    path = write(tmp_path / "a.csv", f"text\n{long}\na\0b\n")
    assert readers.read_rows(path, "text").texts == [long, "a\0b"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "text,label\nx,1\ny\n", ["a.csv", "3"]),
        ("a.csv", "other\nx\n", ["text", "other"]),
        ("a.csv", "", ["empty"]),
        ("a.csv", b"text\ncaf\xe9\n", ["UTF-8", "2"]),
        ("a.jsonl", '{"text": "x"}\n{"text": \n', ["a.jsonl", "2"]),
        ("a.jsonl", '{"text": 3}\n', ["1", "text"]),
    ],
)
def test_errors_name_the_place(tmp_path, name, content, words):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError) as caught:
        readers.read_rows(path, "text", label_column=None)
        readers.read_rows(path, "text", label_column="label")
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_labels(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\na,10\nb,9\nc,10\n")
    rows = readers.read_rows(path, "text", label_column="label")
    assert labels.label_set(rows.labels) == ["9", "10"]
    assert labels.label_set(["b", "a", "b"]) == ["a", "b"]
    np.testing.assert_array_equal(
        labels.encode_labels(rows, ["9", "10"]), [1, 0, 1]
    )
    with pytest.raises(ValueError, match=r"a\.csv, line 3.*'9'"):
        labels.encode_labels(rows, ["10", "11"])
    np.testing.assert_array_equal(labels.parse_scores(rows), [10, 9, 10])


def test_scores_that_are_no_numbers(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\na,1.5\nb,high\n")
    rows = readers.read_rows(path, "text", label_column="label")
    with pytest.raises(ValueError, match="high"):
        labels.parse_scores(rows)
