"""Readers of questions: formats, offsets, and what is wrong in a file."""

import gzip
import json

import pytest

from keras_albert.data.squad import nearest, read_questions

pytestmark = pytest.mark.once

CONTEXT = "The river Oder is 840 km long. Its source is in the Oder Hills."


def question(name="q1", answers=(), **fields):
    return {
        "id": name,
        "question": "How long is it?",
        "answers": list(answers),
        **fields,
    }


def answer(text, start):
    return {"text": text, "answer_start": start}


def squad(*questions, context=CONTEXT):
    paragraph = {"context": context, "qas": list(questions)}
    return {"version": "1.1", "data": [{"paragraphs": [paragraph]}]}


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.json"):
        path = tmp_path / name
        lines = content if isinstance(content, list) else [content]
        text = "\n".join(
            line if isinstance(line, str) else json.dumps(line)
            for line in lines
        ).encode()
        path.write_bytes(gzip.compress(text) if name.endswith("z") else text)
        return path

    return write


@pytest.mark.parametrize("name", ["data.json", "data.json.gz"])
def test_squad(write, name):
    path = write(
        squad(
            question("q1", [answer("840 km", 18), answer("840", 18)]),
            question("q2", is_impossible=True, plausible_answers=[1]),
        ),
        name,
    )
    rows = read_questions(path)
    assert rows.ids == ["q1", "q2"] and len(rows) == 2
    assert rows.contexts == [CONTEXT] * 2
    assert rows.texts() == {"q1": ["840 km", "840"], "q2": []}
    assert rows.has_unanswerable and not rows.moved and not rows.notes()
    assert read_questions(path, with_answers=False).answers is None


@pytest.mark.parametrize(
    "given",
    [
        [answer("840 km", 18)],
        answer("840 km", 18),
        {"text": ["840 km"], "answer_start": [18]},
        ["840 km"],
        "840 km",
        [{"text": "840 km"}],
    ],
)
def test_json_lines(write, given):
    line = {"question": "How long?", "context": CONTEXT, "answers": given}
    rows = read_questions(write([line, "", line], "data.jsonl"))
    assert rows.ids == ["1", "3"]
    assert rows.answers == [[answer("840 km", 18)]] * 2
    assert rows.contexts[0] is rows.contexts[1]
    # One line alone is JSON lines, too, whatever the ending.
    assert read_questions(write(line, "one.json")).ids == ["1"]


def test_no_answers_in_json_lines(write):
    line = {"question": "How long?", "context": CONTEXT}
    for none in ([], None, {"text": [], "answer_start": []}):
        path = write({**line, "answers": none}, "data.jsonl")
        assert read_questions(path).answers == [[]]
    path = write(line, "data.jsonl")
    assert len(read_questions(path, with_answers=False)) == 1
    with pytest.raises(ValueError, match=r"line 1 must have 'answers'"):
        read_questions(path)


# === Offsets ===


def test_answers_away_from_their_offset_are_found_and_counted(write):
    rows = read_questions(
        write(
            squad(
                question("q1", [answer("Oder", 12)]),
                question("q2", [answer("Oder", 50)]),
                question("q3", [answer("Elbe", 3)]),
                question("q4", [answer("Elbe", 3), answer("Oder", 10)]),
                question("q5", [answer(" ", 3)]),
            )
        )
    )
    found = [[x["answer_start"] for x in row] for row in rows.answers]
    assert found == [[10], [52], [None], [None, 10], [None]]
    assert rows.moved == 2
    moved, left_out = rows.notes()
    assert "2 answers did not stand at their offset" in moved
    assert "2 of 5 questions" in left_out and "q3, q5" in left_out
    kept, names = rows.learnable()
    assert kept.ids == ["q1", "q2", "q4"] and names == ["q3", "q5"]
    assert kept.answers[2] == [answer("Oder", 10)]
    # All texts still count as right answers.
    assert rows.texts()["q4"] == ["Elbe", "Oder"]


@pytest.mark.parametrize(
    ("start", "expected"), [(0, 0), (3, 0), (4, 0), (5, 8), (8, 8), (11, 8)]
)
def test_nearest(start, expected):
    assert nearest("abc     abc ", "abc", start) == expected
    assert nearest("abc", "d", start) is None


# === What is wrong ===


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (question(answers=[answer("Hills.", 60)]), "lie in its context of 63"),
        (question(answers=[answer("The", -1)]), "lie in its context.*at -1"),
        (question(answers=[answer("The", "0")]), "must be a number"),
        (question(answers=[answer(None, 0)]), "'text' must be a text"),
        (question(answers=[3]), "must be a JSON object. It is a int"),
        (question(answers=["a"], is_impossible=True), "'is_impossible'.*1"),
        (question(question=" \t"), "question must not be empty"),
        (question(question=None), "'question' must be a text.*not there"),
        (question(question="\u200b\n"), "question must not be empty"),
        (question(answers=["A"], is_impossible="false"), 'or false.*"false"'),
        (question(answers=[], is_impossible="true"), 'or false. It is "true"'),
        (question(answers=[], is_impossible=False), "must have an answer, or"),
        (question(question="\ud800"), "Unicode.*character 0"),
        (question(context="… – !"), r"context must hold words. It is '… – !'"),
        (question(context=3), "'context' must be a text. It is 3"),
    ],
)
def test_one_row(write, row, message):
    with pytest.raises(
        ValueError, match=rf"data.json, question 'q1'.*{message}"
    ):
        read_questions(write(squad(row)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (squad(question("a"), question("a")), "'a'.*own. 'a' is also that of"),
        (squad({"question": "?"}), "article 1, paragraph 1, question 1.*id"),
        (squad(question(None)), "question None must have an id.*null"),
        (squad(question(["a"])), r"must have an id that.*\[\"a\"\]"),
        (squad(), "at least one question"),
        ({"data": 3}, "must hold a list 'data'"),
        ({"data": [{"qas": []}]}, r"article 1 must hold a list 'paragraphs'"),
        (["{}", "{"], "line 1: 'question' must be a text"),
        (['{"id": 1', "{}"], "line 1 must be JSON.*SQuAD's JSON, or"),
        (["[]"], "line 1 must be a JSON object"),
        (
            {
                **question(context=CONTEXT),
                "answers": {"text": ["a"], "answer_start": [1, 2]},
            },
            "line 1.*for each text",
        ),
    ],
)
def test_files(write, content, message):
    with pytest.raises(ValueError, match=rf"data.json.*{message}"):
        read_questions(write(content))


def test_other_files(write, tmp_path):
    with pytest.raises(ValueError, match=r"must end in .json or .jsonl"):
        read_questions(write("", "data.csv"))
    with pytest.raises(FileNotFoundError):
        read_questions(tmp_path / "no.json")
    with pytest.raises(ValueError, match="It is empty"):
        read_questions(write(" "))


def test_the_real_sets(data_folder):
    rows = read_questions(data_folder / "squad" / "dev-v2.0.json.gz")
    assert len(rows) == 11873 and rows.moved == 0 and not rows.notes()
    assert sum(not x for x in rows.answers) == 5945
    assert len({id(x) for x in rows.contexts}) == 1204
