"""`train choose`, and `predict` and `evaluate` of it and of masked LMs."""

import json
import math

import numpy as np
import pytest

import keras_albert as ka
from keras_albert.cli import main
from keras_albert.data.choices import read_choices
from keras_albert.training.multiple_choice import choice_batches, labelled

pytestmark = pytest.mark.once

SIZES = (
    "--hidden-dim 16 --num-layers 1 --num-heads 2 --embedding-dim 8 "
    "--intermediate-dim 32 --max-length 24"
)
CHOICES = ["rain", "a tree", "the king", "a fish in the sea"]


def questions():
    """The right choice is in the question; two to four choices."""
    rows = []
    for index in range(24):
        choices = CHOICES[: 2 + index % 3]
        right = index % len(choices)
        rows.append(
            {
                "id": f"q{index}",
                "question": f"Is it {choices[right]}?",
                "choices": choices,
                "answer": right,
            }
        )
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("choose")
    lines = "\n".join(map(json.dumps, questions()))
    (folder / "train.jsonl").write_text(lines)
    (folder / "vocabulary.spm").write_bytes(tokenizer.proto)
    return folder


def train(folder, *extra, data="train.jsonl", output="run"):
    return main(
        [
            "train",
            "choose",
            *("--train", str(folder / data), "--valid", str(folder / data)),
            *("-o", str(folder / output)),
            *("--vocabulary", str(folder / "vocabulary.spm"), *SIZES.split()),
            *extra,
        ]
    )


@pytest.fixture(scope="module")
def model(folder):
    assert train(folder, "--epochs", "4", "--learning-rate", "1e-2") == 0
    return str(folder / "run" / "model")


def run(capsys, *arguments):
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_metrics_are_those_of_the_run(model, folder, capsys):
    saved = json.loads((folder / "run" / "metrics.json").read_text())
    data = folder / "train.jsonl"
    scores = json.loads(
        run(capsys, "evaluate", model, "--data", data, "--json")
    )
    assert scores["rows"] == saved["train_rows"] == 24
    assert scores["chance"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    for name in ("accuracy", "loss", "chance"):
        assert scores[name] == pytest.approx(saved[name], abs=1e-5)
    # From the lines that `predict` writes.
    lines = run(capsys, "predict", model, "--data", data, "--json")
    results = [json.loads(line) for line in lines.splitlines()]
    right = [
        result["index"] == row["answer"] and result["id"] == row["id"]
        for result, row in zip(results, questions(), strict=True)
    ]
    assert scores["accuracy"] == pytest.approx(np.mean(right))
    loss = np.mean(
        [
            -math.log(result["scores"][row["answer"]])
            for result, row in zip(results, questions(), strict=True)
        ]
    )
    assert scores["loss"] == pytest.approx(loss, abs=1e-4)


def test_a_question_on_the_command_line(model, capsys):
    line = run(capsys, "predict", model, "Is it rain?", "rain", "a\ttree")
    label, score, choice, question = line.rstrip("\n").split("\t")
    assert {"A": "rain", "B": "a tree"}[label] == choice
    assert 0.5 <= float(score) <= 1 and question == "Is it rain?"
    assert main(["predict", model, "Is it rain?", "rain"]) == 2
    assert "at least two choices" in capsys.readouterr().err


def test_batches_are_the_questions(folder, model):
    """Each question once an epoch, packed as the preprocessor packs it."""
    task = ka.AlbertMultipleChoice.from_preset(model)
    rows = read_choices(folder / "train.jsonl")
    batches = choice_batches(task, labelled(rows), 4, 0, "auto")
    expected = task.preprocessor(rows.inputs)
    by_hand = {}
    for features, answer in zip(
        zip(*(expected[n] for n in sorted(expected)), strict=True),
        rows.answers,
        strict=True,
    ):
        is_choice = features[0].any(axis=-1)
        key = (features[2][is_choice].tobytes(), answer)
        by_hand[key] = by_hand.get(key, 0) + 1
    seen = {}
    for features, answers in batches.dataset(1).as_numpy_iterator():
        assert features["token_ids"].ndim == 3
        for row, answer in enumerate(answers):
            ids = features["token_ids"][row]
            ids = ids[features["padding_mask"][row].any(axis=-1)]
            full = np.zeros((len(ids), 24), "int32")
            full[:, : ids.shape[1]] = ids
            key = (full.tobytes(), answer)
            seen[key] = seen.get(key, 0) + 1
    assert seen == by_hand
    assert batches.guessing_loss == pytest.approx(math.log(24) / 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"choices": ["one"]}, ["line 2", "at least two choices"]),
        ({"answer": 7}, ["line 2", "the answer must be", "7"]),
        ({"id": "q0"}, ["line 2", "'q0'", "line 1"]),
    ],
)
def test_bad_rows(folder, capsys, change, words):
    first, second = questions()[:2]
    lines = [json.dumps(first), json.dumps({**second, **change})]
    (folder / "bad.jsonl").write_text("\n".join(lines))
    assert train(folder, data="bad.jsonl", output="bad") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error


def test_what_pretraining_gives_fills_masks(tokenizer, tiny, tmp_path, capsys):
    preset = tmp_path / "pretrained"
    pretrainer = ka.AlbertPretrainer(
        ka.AlbertBackbone(**tiny),
        preprocessor=ka.AlbertPretrainerPreprocessor(tokenizer, 32),
    )
    pretrainer.save_to_preset(preset)
    lines = run(capsys, "predict", preset, "it is [MASK] now").splitlines()
    assert len(lines) == 6 and lines[5] == ""
    score, _, sequence = lines[0].split("\t")
    assert 0 < float(score) < 1 and "[MASK]" not in sequence
    result = json.loads(
        run(capsys, "predict", preset, "[MASK] is [MASK]", "--json")
    )
    assert [len(mask) for mask in result["masks"]] == [5, 5]
    (tmp_path / "texts.csv").write_text("text\nit is now\nhm\n")
    scores = json.loads(
        run(
            capsys,
            *("evaluate", preset, "--data", tmp_path / "texts.csv"),
            *("--text-column", "text", "--json"),
        )
    )
    # It knows nothing: about as perplexed as there are tokens.
    assert scores["pseudo_perplexity"] == pytest.approx(8000, rel=0.2)
    assert main(["predict", str(preset), "no mask"]) == 2
    assert "must hold [MASK]" in capsys.readouterr().err
