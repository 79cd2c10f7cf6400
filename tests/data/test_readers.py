import gzip
import json
import os

import numpy as np
import pytest

from keras_albert.data.labels import (
    encode_labels,
    encode_multi_labels,
    label_set,
    parse_scores,
    read_labels,
    split_labels,
)
from keras_albert.data.readers import read_rows


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        if isinstance(content, str):
            content = content.encode()
        if name.endswith(".gz"):
            content = gzip.compress(content)
        path.write_bytes(content)
        return str(path)

    return write


def error_of(function, *args, kind=ValueError):
    with pytest.raises(kind) as caught:
        function(*args)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_formats_give_the_same_rows(write, suffix):
    files = {
        "a.csv": 'text,label\n"so, ""well""",1\nplain,0\n',
        "a.tsv": 'text\tlabel\nso, "well"\t1\nplain\t0\n',
        "a.jsonl": '{"text": "so, \\"well\\"", "label": 1}\n\n'
        '{"text": "plain", "label": "0"}\n',
    }
    for name, content in files.items():
        rows = read_rows(write(name + suffix, content), "text", None, "label")
        assert rows.texts == ['so, "well"', "plain"]
        assert rows.labels == ["1", "0"]


def test_tsv_has_no_quoting_and_odd_line_ends(write):
    path = write("a.tsv", 'text\tlabel\r\n"open\t1\r\na\u2028b\t0\r\n\r\n')
    rows = read_rows(path, "text", None, "label")
    assert rows.texts == ['"open', "a\u2028b"]
    assert rows.lines == [2, 3]


def test_csv_fields_over_several_lines_keep_the_line_numbers(write):
    path = write("a.csv", '\ufefftext\n"one\ntwo"\nthree\n')
    rows = read_rows(path, "text")
    assert rows.texts == ["one\ntwo", "three"]
    assert rows.lines == [2, 4]
    assert rows.labels is None


def test_pairs(write):
    path = write("a.tsv", "q\ta\tlabel\nwho?\tme\tyes\n")
    assert read_rows(path, "q", "a").texts == [("who?", "me")]


def test_columns_by_number_without_a_header(write):
    path = write("a.tsv", "gj04\t1\t\tIt works.\ngj04\t0\t*\tworks It.\tx\n")
    rows = read_rows(path, "3", None, "1")
    assert rows.texts == ["It works.", "works It."]
    assert rows.labels == ["1", "0"]
    assert "line 1 must have at least 10" in error_of(read_rows, path, "9")
    assert "all be names" in error_of(read_rows, path, "0", "b")


def test_empty_long_and_odd_texts_are_kept(write):
    long = "x" * 200_000
    path = write("a.csv", f"text,label\n,1\n{long},0\na\0b,0\n")
    assert read_rows(path, "text").texts == ["", long, "a\0b"]


def test_missing_column_names_those_there_are(write):
    path = write("a.csv", "sentence,label\nx,1\n")
    message = error_of(read_rows, path, "text")
    assert path in message and "'text'" in message and "'sentence'" in message
    twice = write("b.csv", "text,text\nx,1\n")
    assert "twice" in error_of(read_rows, twice, "text")
    lines = write("a.jsonl", '{"text": "x"}\n{"words": "y"}\n')
    message = error_of(read_rows, lines, "text")
    assert "line 2" in message and "'words'" in message


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_rows_of_another_length_are_named(write, name):
    mark = "," if name == "a.csv" else "\t"
    few = write(name, "text,label\nx,1\ny\n".replace(",", mark))
    assert "line 3 must have 2 fields" in error_of(read_rows, few, "text")
    many = write(name, "text,label\nx,y,1\n".replace(",", mark))
    assert "line 2 must have 2 fields" in error_of(read_rows, many, "text")


def test_unreadable_files(write, tmp_path):
    assert "empty" in error_of(read_rows, write("a.csv", ""), "text")
    assert "holds none" in error_of(read_rows, write("a.csv", "text\n"), "text")
    missing = str(tmp_path / "no.csv")
    assert missing in error_of(
        read_rows, missing, "text", kind=FileNotFoundError
    )
    assert "folder" in error_of(
        read_rows, str(tmp_path), "text", kind=(OSError, ValueError)
    )
    os.mkdir(tmp_path / "folder.csv")
    assert "folder" in error_of(
        read_rows, tmp_path / "folder.csv", "text", kind=IsADirectoryError
    )
    assert ".jsonl" in error_of(read_rows, write("a.xlsx", "x"), "text")
    latin = write("a.csv", b"text,label\nna\xefve,1\n")
    message = error_of(read_rows, latin, "text")
    assert "Line 2" in message and "0xef" in message and "13" in message
    whole = gzip.compress(b"text\n" + os.urandom(500))
    (tmp_path / "cut.csv.gz").write_bytes(whole[:200])
    assert "gzip" in error_of(read_rows, tmp_path / "cut.csv.gz", "text")
    (tmp_path / "no.csv.gz").write_bytes(b"text\nx\n")
    assert "gzip" in error_of(read_rows, tmp_path / "no.csv.gz", "text")
    quote = write("a.csv", 'text,label\nx,1\n"open,1\ny,0\n')
    assert "line 3" in error_of(read_rows, quote, "text")


@pytest.mark.parametrize(
    "line", ["{", "[1]", '"x"', '{"text": 1}', '{"text": "\\ud800"}']
)
def test_bad_json_lines_are_named(write, line):
    path = write("a.jsonl", f'{{"text": "x"}}\n{line}\n')
    assert "line 2" in error_of(read_rows, path, "text")


def test_label_set_sorts_integers_as_numbers():
    assert label_set(["10", "9", "-1", "9"]) == ["-1", "9", "10"]
    assert label_set(["10", "9", "b"]) == ["10", "9", "b"]


def test_unknown_labels_are_named(write):
    rows = read_rows(write("a.csv", "t,l\nx,a\ny,c\n"), "t", None, "l")
    assert encode_labels(rows, ["c", "a"]).tolist() == [1, 0]
    message = error_of(encode_labels, rows, ["a", "b"])
    assert "line 3" in message and "'c'" in message and "'a', 'b'" in message


def test_scores_must_be_finite_numbers(write):
    rows = read_rows(write("a.csv", "t,l\nx,1.5\ny,-2\n"), "t", None, "l")
    np.testing.assert_array_equal(parse_scores(rows), [1.5, -2.0])
    for wrong in ("high", "nan", "inf", "", "1e39", ["1"]):
        rows.labels[1] = wrong
        assert "line 3" in error_of(parse_scores, rows)


def test_several_labels_a_text(write):
    table = write("a.csv", "t,l\nx,a| b\ny,\n")
    lines = write("a.jsonl", '{"t":"x","l":["a","b"]}\n{"t":"y","l":[]}\n')
    for path in (table, lines):
        rows = split_labels(read_rows(path, "t", None, "l"), "|")
        assert rows.labels == [["a", "b"], []]
        assert encode_multi_labels(rows, ["b", "c", "a"]).tolist() == [
            [1, 0, 1],
            [0, 0, 0],
        ]
        assert "'b'" in error_of(encode_multi_labels, rows, ["a", "c"])
        assert label_set(rows.labels) == ["a", "b"]


def test_labels_and_columns_that_cannot_be_meant(write):
    path = write("a.csv", "t,l\nx,a\n")
    assert "of their own" in error_of(read_rows, path, "t", None, "t")
    assert "of their own" in error_of(read_rows, path, "t", "t")
    rows = read_rows(path, "t", None, "l")
    assert "one character" in error_of(split_labels, rows, "")
    nested = write("a.jsonl", '{"t": "x", "l": [["a"], "b"]}\n')
    assert "line 1" in error_of(read_rows, nested, "t", None, "l")


def test_label_files(write):
    assert read_labels(write("l.txt", "no\n\nyes\n")) == ["no", "yes"]
    assert "twice" in error_of(read_labels, write("l.txt", "a\na\n"))
    assert "two" in error_of(read_labels, write("l.txt", "a\n"))


def test_json_labels_of_other_types_are_their_json(write):
    values = [1, 2.5, True, "x"]
    content = "".join(json.dumps({"t": "t", "l": v}) + "\n" for v in values)
    rows = read_rows(write("a.jsonl", content), "t", None, "l")
    assert rows.labels == ["1", "2.5", "true", "x"]
