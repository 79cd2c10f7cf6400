"""Words and labels from CoNLL columns and JSON lines."""

import gzip
import json

import numpy as np
import pytest

from keras_albert.data.conll import encode_tags, read_sentences, tag_set
from keras_albert.data.labels import class_weights

pytestmark = pytest.mark.once

FOUR_COLUMNS = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""
WORDS = [["EU", "rejects"], ["Peter", "Blackburn"]]
LABELS = [["B-ORG", "O"], ["B-PER", "I-PER"]]


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.conll"):
        path = tmp_path / name
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(content.encode()))
        else:
            path.write_text(content, encoding="utf-8", newline="")
        return path

    return write


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (FOUR_COLUMNS, "train.txt"),
        (FOUR_COLUMNS.replace("\n", "\r\n"), "train.txt"),
        (FOUR_COLUMNS, "train.txt.gz"),
        (FOUR_COLUMNS.replace(" ", "\t"), "train.tsv"),
        ("# a comment\n" + FOUR_COLUMNS, "train.txt"),
        (FOUR_COLUMNS.rstrip("\n"), "train.txt"),
        ("EU\tB-ORG\nrejects\tO\n\t\n\nPeter\tB-PER\nBlackburn\tI-PER", "x"),
        (
            "\n".join(
                json.dumps({"words": words, "labels": labels})
                for words, labels in zip(WORDS, LABELS, strict=True)
            ),
            "train.jsonl",
        ),
    ],
)
def test_formats(write, content, name):
    rows = read_sentences(write(content, name))
    assert rows.words == WORDS
    assert rows.labels == LABELS
    assert rows.repaired == 0
    assert tag_set(rows) == ["O", "B-ORG", "B-PER", "I-PER"]


def test_other_columns_and_names(write):
    rows = read_sentences(write(FOUR_COLUMNS), "1", "-2")
    assert rows.words[0] == ["NNP", "VBZ"]
    assert rows.labels[0] == ["B-NP", "B-VP"]
    content = json.dumps({"tokens": ["a", "b"], "ner_tags": [0, 1]})
    rows = read_sentences(write(content, "x.jsonl"), "tokens", "ner_tags")
    assert (rows.words, rows.labels) == ([["a", "b"]], [["0", "1"]])
    rows = read_sentences(write("EU\nrejects\n"), with_labels=False)
    assert (rows.words, rows.labels) == ([["EU", "rejects"]], None)


def test_words_that_look_like_comments_or_hold_spaces(write):
    rows = read_sentences(write("#\tO\n#tag\tB-X\n10\u00a0000 kg\tO\n"))
    assert rows.words == [["#", "#tag", "10\u00a0000 kg"]]


def test_contradicting_tags_are_repaired_and_counted(write):
    rows = read_sentences(write("a O\nb I-A\nc I-A\nd I-B\ne B-B\n\nf I-A\n"))
    assert rows.labels == [["O", "B-A", "I-A", "B-B", "B-B"], ["B-A"]]
    assert rows.repaired == 3
    rows = read_sentences(write("a B-A\nb O\nc S-A\nd I-A\ne E-A\n"))
    assert rows.labels == [["S-A", "O", "S-A", "B-A", "E-A"]]
    assert rows.repaired == 2


@pytest.mark.parametrize("mark", ["-DOCSTART- -X- -X- O", "-DOCSTART- O"])
def test_marks_of_documents_may_have_other_separators(write, mark):
    rows = read_sentences(write(f"{mark}\n\na\tO\n{mark}\nb\tB-X\n"))
    assert (rows.words, rows.labels) == ([["a"], ["b"]], [["O"], ["B-X"]])


def test_white_space_around_labels_is_none_of_them(write):
    for content in (
        "a\tB-X \nb\tO\n",
        "a\tB-X \r\nb\t O\r\n",
        " a  B-X\t \nb O\n",
    ):
        rows = read_sentences(write(content))
        assert rows.labels == [["B-X", "O"]]
        assert rows.words == [["a", "b"]]


def test_only_spaces_and_tabs_are_between_columns(write):
    """As `split_words` and TensorFlow have it."""
    rows = read_sentences(write("20\u00a0000 O\n東\u3000京 B-X\n"))
    assert rows.words == [["20\u00a0000", "東\u3000京"]]


def test_sentences_without_words_are_kept(write):
    content = '{"words": [], "labels": []}\n{"words": ["a"], "labels": ["O"]}'
    rows = read_sentences(write(content, "x.jsonl"))
    assert rows.words == [[], ["a"]]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("a O\nb\n", "x.conll", ["line 2", "2 columns", "has 1"]),
        ("a O\nb O O\n", "x.conll", ["line 2", "has 3"]),
        ("a O\n# no comment here\n", "x.conll", ["line 2", "has 4"]),
        ("a O\rb O\r", "x.conll", ["line 1", "carriage return"]),
        ("a\tO\n\tO\n", "x.conll", ["line 2", "word", "empty"]),
        ("a\tO\nb\t \n", "x.conll", ["line 2", "label", "empty"]),
        ("word\n", "x.conll", ["line 1", "a word and a label"]),
        ("\n \n", "x.conll", ["empty"]),
        ("-DOCSTART- O\n\n", "x.conll", ["at least one word"]),
        ("a B-X\n\nb Y\n", "x.conll", ["line 3", "'Y'", "B-"]),
        ("a,O\n", "x.csv", ["CoNLL", "x.csv"]),
        ('{"words": ["a"]}', "x.jsonl", ["line 1", "labels"]),
        (
            '\n{"words": ["a", "b"], "labels": ["O"]}',
            "x.jsonl",
            ["line 2", "2 words and 1 labels"],
        ),
        ('{"words": "a b", "labels": []}', "x.jsonl", ["line 1", "list"]),
        ('{"words": [""], "labels": ["O"]}', "x.jsonl", ["not empty"]),
        ('{"words": [1.5], "labels": ["O"]}', "x.jsonl", ["strings", "1.5"]),
        ('{"words": ["\\ud800"], "labels": ["O"]}', "x.json", ["surrogate"]),
    ],
)
def test_what_cannot_be_meant_is_named(write, content, name, words):
    path = write(content, name)
    with pytest.raises(ValueError) as error:
        read_sentences(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


def test_columns_that_are_not_there(write):
    path = write(FOUR_COLUMNS)
    with pytest.raises(ValueError, match="line 3 must have a column 4"):
        read_sentences(path, label_column="4")
    with pytest.raises(ValueError, match="a number.*'ner'"):
        read_sentences(path, label_column="ner")


def test_unknown_and_too_few_labels(write):
    rows = read_sentences(write("a O\nb B-X\n\nc O\nd B-Y\n"))
    assert [x.tolist() for x in encode_tags(rows, ["O", "B-X", "B-Y"])] == [
        [0, 1],
        [0, 2],
    ]
    with pytest.raises(ValueError, match=r"line 5: the label .*'B-Y'"):
        encode_tags(rows, ["O", "B-X"])
    with pytest.raises(ValueError, match="two different labels"):
        tag_set(read_sentences(write("a O\n")))


def test_class_weights(tmp_path):
    """The balanced ones against scikit-learn's definition, by hand."""
    classes = np.array([0] * 6 + [1] * 2)
    weights = class_weights("balanced", ["a", "b", "c"], classes)
    np.testing.assert_allclose(weights, [8 / 12, 8 / 4, 1.0])
    assert weights[classes].mean() == pytest.approx(1.0)
    path = tmp_path / "weights.json"
    path.write_text('{"b": 2.5}')
    for how in (path, {"b": 2.5}):
        np.testing.assert_allclose(
            class_weights(how, ["a", "b", "c"], classes), [1, 2.5, 1]
        )
    for content, words in (
        ('{"d": 1}', "'d'"),
        ('{"a": -1}', "positive"),
        ('{"a": "x"}', "positive"),
        ("[1]", "object"),
        ("{", "JSON"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=words):
            class_weights(path, ["a", "b", "c"], classes)
