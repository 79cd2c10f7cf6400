"""Questions with choices from JSON lines of several kinds."""

import gzip
import json

import pytest

from keras_albert.data.choices import read_choices

pytestmark = pytest.mark.once

PLAIN = {"question": "Q?", "choices": ["x", "y"], "answer": "B"}
LETTERS = [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}]
COMMONSENSE = {
    "id": "7",
    "answerKey": "B",
    "question": {"stem": "Q?", "choices": LETTERS, "question_concept": "q"},
}
HUB = {
    "id": "7",
    "question": "Q?",
    "choices": {"label": ["1", "2"], "text": ["x", "y"]},
    "answerKey": "2",
}
RACE = {
    "id": "high1.txt",
    "article": "Long ago.",
    "questions": ["Q?", "R?"],
    "options": [["x", "y"], ["u", "v", "w"]],
    "answers": ["B", "C"],
}


@pytest.fixture
def write(tmp_path):
    def write(*rows, name="data.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        (PLAIN, ["A", "B"]),
        ({**PLAIN, "answer": 1}, ["A", "B"]),
        ({**PLAIN, "answer": "y"}, ["A", "B"]),
        (COMMONSENSE, ["A", "B"]),
        (HUB, ["1", "2"]),
    ],
)
def test_formats(write, row, labels):
    rows = read_choices(write(row))
    assert rows.inputs == {
        "context": [""],
        "question": ["Q?"],
        "choices": [["x", "y"]],
    }
    assert rows.answers == [1]
    assert rows.labels == [labels]
    assert rows.ids == [row.get("id")]


@pytest.mark.parametrize(("answer", "index"), [(1, 0), (3, 2), ("2", 1)])
def test_labels_that_are_numbers_are_no_indices(write, answer, index):
    choices = {"label": [1, 2, 3], "text": ["x", "y", "z"]}
    row = {"question": "Q?", "choices": choices, "answer": answer}
    rows = read_choices(write(row))
    assert rows.answers == [index]
    assert rows.labels == [["1", "2", "3"]]
    with pytest.raises(ValueError, match="line 1: the answer must be.*is 0"):
        read_choices(write({**row, "answer": 0}))


def test_several_questions_on_an_article(write):
    rows = read_choices(write(RACE))
    assert rows.contexts == ["Long ago."] * 2
    assert rows.choices == RACE["options"]
    assert rows.answers == [1, 2]
    assert len(set(rows.ids)) == 2
    assert rows.lines == [1, 1]


def test_without_answers(write):
    row = {k: v for k, v in PLAIN.items() if k != "answer"}
    assert read_choices(write(row), answers=False).answers is None
    with pytest.raises(ValueError, match="line 1: the answer must be"):
        read_choices(write(row))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": ["x"]}, "at least two choices. It has 1"),
        ({"choices": []}, "at least two choices. It has 0"),
        ({"choices": "x"}, "at least two choices. It has no list"),
        ({"choices": ["x", ""]}, "must not be empty. The one at index 1"),
        ({"choices": ["x", 3]}, "a choice must be a text. It is 3"),
        ({"choices": ["x", " \t"]}, "must not be empty. The one at index 1"),
        ({"choices": ["\u200b", "x"]}, "must not be empty. The one at index 0"),
        ({"choices": [LETTERS[0], "y"]}, "must have 'label'"),
        ({"choices": {"label": 5, "text": ["x", "y"]}}, "label of its own"),
        ({"choices": {"label": "AB", "text": ["x", "y"]}}, "label of its own"),
        (
            {"choices": {"label": [None, "B"], "text": ["x", "y"]}},
            "label of its own",
        ),
        ({"choices": [LETTERS[0]] * 2}, "label of its own"),
        ({"answer": "C"}, r"label of a choice \(A, B\).*It is \"C\""),
        ({"answer": 2}, "It is 2"),
        ({"answer": None}, "It is null"),
        ({"question": None}, "the question must be a text"),
        ({"context": 3}, "the context must be a text"),
        ({"question": "\ud800"}, "surrogate"),
    ],
)
def test_bad_rows_are_named(write, change, message):
    path = write(PLAIN, {**PLAIN, **change})
    with pytest.raises(ValueError, match=f"data.jsonl, line 2.*{message}"):
        read_choices(path)


def test_bad_files(write):
    with pytest.raises(ValueError, match=r"line 3: .*'7' is that of line 1"):
        read_choices(write(COMMONSENSE, PLAIN, COMMONSENSE))
    with pytest.raises(ValueError, match=r"line 1 must have 'choices'"):
        read_choices(write({"question": "Q?"}))
    with pytest.raises(ValueError, match="line 1 must have a list of choices"):
        read_choices(write({**RACE, "answers": ["A"]}))
    with pytest.raises(ValueError, match="must end in .jsonl"):
        read_choices(write(PLAIN, name="data.csv"))


def test_commonsense_qa(data_folder):
    path = data_folder / "commonsenseqa" / "valid.jsonl.gz"
    rows = read_choices(path)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert len(rows) == len(lines) == 1221
    for index in (0, 600, 1220):
        right = [
            choice["text"]
            for choice in lines[index]["question"]["choices"]
            if choice["label"] == lines[index]["answerKey"]
        ]
        assert [rows.choices[index][rows.answers[index]]] == right
