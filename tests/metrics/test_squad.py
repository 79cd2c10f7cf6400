"""SQuAD's scores against those that the official scripts give.

The reference values were computed with `evaluate-v1.1.py` and
`evaluate-v2.0.py`, which are not part of this repository.
"""

import gzip
import json
import re
import subprocess
import sys

import pytest

from keras_albert.metrics import squad

pytestmark = pytest.mark.once

# Prediction, answers, then exact match and F1 of 1.1 and of 2.0.
CASES = [
    ("The  Eiffel Tower!", ["eiffel tower"], (1, 1), (1, 1)),
    ("a cat", ["An cat, the", "dog"], (1, 1), (1, 1)),
    ("in the year 1973", ["1973"], (0, 0.5), (0, 0.5)),
    ("October 1973", ["1973", "late October 1973"], (0, 0.8), (0, 0.8)),
    ("", ["something"], (0, 0), (0, 0)),
    # Nothing is left of either: 1.1 finds no common word, 2.0 agrees.
    ("the", ["a"], (1, 0), (1, 1)),
    ("...", ["The"], (1, 0), (1, 1)),
    # An answer that is no word is no answer in 2.0, where another one counts.
    ("the", ["the", "cat"], (1, 0), (0, 0)),
    ("U.S.", ["US"], (1, 1), (1, 1)),
    ("well-known", ["well known"], (0, 0), (0, 0)),
    ("and a", ["and an"], (1, 1), (1, 1)),
    ("theatre", ["atre"], (0, 0), (0, 0)),
    # Words that occur twice count as often as both have them.
    ("to be to be", ["to be or not to be"], (0, 0.8), (0, 0.8)),
    # Only ASCII punctuation goes; İ in lower case is two characters.
    ("“Ærø”", ["“ærø”"], (1, 1), (1, 1)),
    ("“Ærø”", ["ærø"], (0, 0), (0, 0)),
    ("東京 都", ["東京\u3000都"], (1, 1), (1, 1)),
    ("İstanbul", ["i̇stanbul"], (1, 1), (1, 1)),
    ("cafe\u0301", ["café"], (0, 0), (0, 0)),
    ("5 °C\u00a0", ["5 °c"], (1, 1), (1, 1)),
]
UNANSWERABLE = [("", (1, 1)), ("the", (1, 1)), ("something", (0, 0))]


def dataset(with_unanswerable):
    rows = [answers for _, answers, *_ in CASES]
    if with_unanswerable:
        rows += [[]] * len(UNANSWERABLE)
    return {
        "version": "v2.0" if with_unanswerable else "1.1",
        "data": [
            {
                "title": "A",
                "paragraphs": [
                    {
                        "context": "…",
                        "qas": [
                            {
                                "id": f"q{index}",
                                "question": "?",
                                "answers": [
                                    {"text": text, "answer_start": 0}
                                    for text in texts
                                ],
                                "is_impossible": not texts,
                            }
                            for index, texts in enumerate(rows)
                        ],
                    }
                ],
            }
        ],
    }


def predictions(with_unanswerable):
    texts = [prediction for prediction, *_ in CASES]
    if with_unanswerable:
        texts += [prediction for prediction, _ in UNANSWERABLE]
    return {f"q{index}": text for index, text in enumerate(texts)}


PROBABILITIES = {f"q{i}": (7 * i % 22) / 22 for i in range(22)}


def write(path, content):
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(json.dumps(content).encode()))
    else:
        path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0]))
def test_one_answer(case):
    prediction, answers, first, second = case
    assert squad.exact_match(prediction, answers) == first[0]
    assert squad.f1(prediction, answers) == pytest.approx(first[1])
    metrics = squad.score_answers(
        {"q": answers}, {"q": prediction}, version="2.0"
    )
    assert metrics["exact_match"] == 100 * second[0]
    assert metrics["f1"] == pytest.approx(100 * second[1])


@pytest.mark.parametrize("case", UNANSWERABLE, ids=repr)
def test_no_answer(case):
    prediction, expected = case
    metrics = squad.score_answers({"q": []}, {"q": prediction}, version="2.0")
    assert (metrics["exact_match"], metrics["f1"]) == (
        100 * expected[0],
        100 * expected[1],
    )


# What the official scripts print for all of the cases together.
OFFICIAL = {
    "has_answer_exact_match": 52.63157894736842,
    "has_answer_f1": 63.68421052631579,
    "has_answer_total": 19,
    "no_answer_exact_match": 66.66666666666667,
    "no_answer_f1": 66.66666666666667,
    "no_answer_total": 3,
    "exact_match": 54.54545454545455,
    "f1": 64.0909090909091,
    "total": 22,
}
BEST = {
    "best_exact_match": 50.0,
    "best_exact_match_threshold": 0.9090909090909091,
    "best_f1": 59.545454545454554,
    "best_f1_threshold": 0.9545454545454546,
}
OFFICIAL_AT_0_6 = {
    "exact_match": 45.45454545454545,
    "f1": 45.45454545454545,
    "total": 22,
    "has_answer_exact_match": 36.8421052631579,
    "has_answer_f1": 36.8421052631579,
    "has_answer_total": 19,
    "no_answer_exact_match": 100.0,
    "no_answer_f1": 100.0,
    "no_answer_total": 3,
    **BEST,
}


def test_all_of_1_1():
    answers, version = squad.answers_of(dataset(False))
    assert version == "1.1"
    metrics = squad.score_answers(answers, predictions(False))
    assert metrics == pytest.approx(
        {
            "exact_match": 57.89473684210526,
            "f1": 53.1578947368421,
            "total": 19,
        }
    )


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(None, OFFICIAL), (1.0, OFFICIAL | BEST), (0.6, OFFICIAL_AT_0_6)],
)
def test_all_of_2_0(threshold, expected):
    answers, version = squad.answers_of(dataset(True))
    assert version == "2.0"
    options = {}
    if threshold is not None:
        options = {
            "no_answer_probabilities": PROBABILITIES,
            "threshold": threshold,
        }
    metrics = squad.score_answers(
        answers, predictions(True), version="2.0", **options
    )
    assert metrics == pytest.approx(expected)


def test_what_has_no_prediction_is_wrong():
    answers = {"a": ["yes"], "b": ["no"], "c": []}
    metrics = squad.score_answers(answers, {"a": "Yes."}, version="2.0")
    assert metrics["exact_match"] == pytest.approx(100 / 3)
    # Whatever the threshold.
    metrics = squad.score_answers(
        answers,
        {"a": "Yes."},
        version="2.0",
        no_answer_probabilities=dict.fromkeys("abc", 0.5),
    )
    assert metrics["best_f1"] == metrics["f1"] == pytest.approx(100 / 3)
    del answers["c"]
    metrics = squad.score_answers(answers, {"a": "Yes."})
    assert metrics["exact_match"] == metrics["f1"] == 50.0


def test_bad_arguments():
    with pytest.raises(ValueError, match="at least one question"):
        squad.score_answers({}, {})
    with pytest.raises(ValueError, match="'b' has none; is the data of ver"):
        squad.score_answers({"a": ["x"], "b": []}, {})
    with pytest.raises(ValueError, match="one of 1.1, 2.0. Received: '3'"):
        squad.score_answers({"a": ["x"]}, {}, version="3")
    with pytest.raises(ValueError, match="Question 'a' has none"):
        squad.score_answers(
            {"a": []}, {}, version="2.0", no_answer_probabilities={}
        )


# === The command ===


@pytest.mark.parametrize("ending", [".json", ".json.gz"])
@pytest.mark.parametrize("kind", [False, True], ids=["1.1", "2.0"])
def test_command(tmp_path, capsys, ending, kind):
    data = write(tmp_path / f"data{ending}", dataset(kind))
    answers = write(tmp_path / f"predictions{ending}", predictions(kind))
    assert squad.main([data, answers]) == 0
    expected = {"exact_match": 57.89473684210526, "f1": 53.1578947368421}
    if kind:
        expected = {name: OFFICIAL[name] for name in expected}
    printed = json.loads(capsys.readouterr().out)
    assert printed == pytest.approx(expected)
    if kind:
        chances = write(tmp_path / "na.json", PROBABILITIES)
        options = ["--na-probs", chances, "--na-threshold", "0.6", "--all"]
        assert squad.main([data, answers, *options]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed == pytest.approx(OFFICIAL_AT_0_6)


def test_command_in_a_process(tmp_path):
    """It needs no framework, and tells of questions that are left out."""
    data = write(tmp_path / "data.json", dataset(False))
    answers = predictions(False)
    del answers["q3"], answers["q5"]
    finished = subprocess.run(
        [
            *(sys.executable, "-X", "importtime"),
            *("-m", "keras_albert.metrics.squad", data),
            write(tmp_path / "predictions.json", answers),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(finished.stdout)) == {"exact_match", "f1"}
    assert "2 of 19 questions have no prediction" in finished.stderr
    assert not re.search(r"\| +(keras|tensorflow)\n", finished.stderr)


@pytest.mark.parametrize(
    ("data", "answers", "message"),
    [
        ("[]", "{}", "must be SQuAD's JSON"),
        ("{", "{}", "must be JSON"),
        (None, "[]", "object of ids to texts. It is a list"),
        (None, '{"q0": 1}', "object of ids to texts. 'q0' has 1"),
        (None, '{"q0": "a", "q1": null}', "'q1' has null"),
        (["q", "q"], "{}", "'q' is there twice"),
        (["1", 1], "{}", "'1' is there twice"),
        ([["q"]], "{}", "Ids must be texts or numbers"),
        ([None], "{}", "Ids must be texts or numbers"),
        ({"q": None}, "{}", "answers texts. Received the id 'q'"),
        ({"q": 3}, "{}", "answers texts. Received the id 'q'"),
    ],
)
def test_bad_files(tmp_path, capsys, data, answers, message):
    if data is None:
        data = json.dumps(dataset(False))
    elif not isinstance(data, str):
        data = of_ids(data)
    (tmp_path / "data.json").write_text(data)
    (tmp_path / "answers.json").write_text(answers)
    paths = [str(tmp_path / "data.json"), str(tmp_path / "answers.json")]
    assert squad.main(paths) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def of_ids(ids):
    """A file of questions with these ids, and maybe answers."""
    answers = ids if isinstance(ids, dict) else {}
    questions = [
        {
            "id": name,
            "answers": [{"text": answers[name] if answers else "x"}],
        }
        for name in ids
    ]
    return json.dumps({"data": [{"paragraphs": [{"qas": questions}]}]})


def test_ids_that_are_numbers_are_those_of_predictions(tmp_path, capsys):
    (tmp_path / "data.json").write_text(of_ids([7]))
    (tmp_path / "answers.json").write_text('{"7": "x"}')
    files = [str(tmp_path / name) for name in ("data.json", "answers.json")]
    assert squad.main(files) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == 100.0


def test_thresholds_that_are_no_numbers(tmp_path, capsys):
    files = [
        write(tmp_path / "data.json", dataset(True)),
        write(tmp_path / "answers.json", predictions(True)),
    ]
    chances = tmp_path / "na.json"
    first = next(iter(PROBABILITIES))
    for value, option, message in (
        (0.5, "nan", "--na-threshold must be a number"),
        (float("nan"), "0.5", f"'{first}' has NaN"),
        (0.5, "high", "invalid float value: 'high'"),
    ):
        chances.write_text(json.dumps({**PROBABILITIES, first: value}))
        arguments = ["--na-probs", str(chances), "--na-threshold", option]
        try:
            code = squad.main([*files, *arguments])
        except SystemExit as stop:
            code = stop.code
        error = capsys.readouterr().err
        assert code == 2 and message in error and error.count("\n") == 1


def test_files_that_are_not_there_or_cut_off(tmp_path, capsys):
    assert squad.main([str(tmp_path / "no.json"), "no.json"]) == 2
    assert "No such file" in capsys.readouterr().err
    whole = gzip.compress(json.dumps(dataset(True)).encode())
    (tmp_path / "cut.json.gz").write_bytes(whole[:-20])
    assert squad.main([str(tmp_path / "cut.json.gz"), "no.json"]) == 2
    assert "whole gzip" in capsys.readouterr().err
