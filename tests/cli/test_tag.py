"""`train tag`, `evaluate` and `predict`, from files to files."""

import json

import pytest

from keras_albert.cli import main

pytestmark = pytest.mark.once

SENTENCES = [
    "Anna B-PER\nBerg I-PER\nlives O\nin O\nOslo B-LOC\n",
    "It O\nrains O\nin O\nRome B-LOC\n",
]
SIZES = (
    "--hidden-dim 16 --num-layers 1 --num-heads 2 --embedding-dim 8 "
    "--intermediate-dim 32 --max-length 32"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("tag")
    (folder / "train.conll").write_text("\n".join(SENTENCES * 8))
    (folder / "vocabulary.spm").write_bytes(tokenizer.proto)
    return folder


def train(folder, *extra, data="train.conll", output="run"):
    return main(
        [
            "train",
            "tag",
            *("--train", str(folder / data), "--valid", str(folder / data)),
            *("-o", str(folder / output)),
            *("--vocabulary", str(folder / "vocabulary.spm"), *SIZES.split()),
            *extra,
        ]
    )


@pytest.fixture(scope="module")
def model(folder):
    extra = "--epochs 12 --learning-rate 3e-2 --class-weights balanced"
    assert train(folder, *extra.split(), "--patience", "9") == 0
    return str(folder / "run" / "model")


def run(capsys, *arguments):
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_metrics_are_those_of_the_run(model, folder, capsys):
    saved = json.loads((folder / "run" / "metrics.json").read_text())
    assert saved["f1"] > 0.9
    data = folder / "train.conll"
    scores = json.loads(
        run(capsys, "evaluate", model, "--data", data, "--json")
    )
    assert scores["rows"] == 16
    for name in ("f1", "precision", "recall", "accuracy", "loss"):
        assert scores[name] == pytest.approx(saved[name], abs=1e-5)


def test_columns_of_predictions(model, folder, capsys):
    data = folder / "train.conll"
    columns = run(capsys, "predict", model, "--data", data).split("\n\n")
    assert len(columns[:-1]) == 16
    assert columns[0].splitlines()[0] == "Anna\tB-PER"
    with_gold = run(
        capsys, "predict", model, "--data", data, "--label-column", -1
    )
    assert with_gold.startswith("Anna\tB-PER\tB-PER\nBerg\tI-PER\tI-PER\n")
    lines = run(capsys, "predict", model, "--data", data, "--json").split("\n")
    assert json.loads(lines[1]) == {
        "words": ["It", "rains", "in", "Rome"],
        "labels": ["O", "O", "O", "B-LOC"],
    }
    # What was written is read again.
    (folder / "again.conll").write_text(with_gold)
    again = run(
        capsys, "evaluate", model, "--data", folder / "again.conll", "--json"
    )
    assert json.loads(again)["rows"] == 16


def test_entities_of_texts(model, folder, capsys):
    text = "It rains in Rome."
    line = run(capsys, "predict", model, text).splitlines()[0].split("\t")
    assert line[0] == "LOC"
    assert line[2:] == ["12", "16", "Rome"]
    (folder / "texts.csv").write_text(f"text\n{text}\n")
    result = json.loads(
        run(
            capsys,
            *("predict", model, "--data", folder / "texts.csv"),
            *("--text-column", "text", "--json"),
        )
    )
    assert result["text"] == text
    assert result["entities"][0]["text"] == "Rome"


@pytest.mark.parametrize(
    ("content", "extra", "words"),
    [
        ("Anna B-PER\nBerg\n", [], ["line 2", "2 columns"]),
        ("Anna B-PER\nBerg O\n", ["--labels", "{labels}"], ["'B-PER'"]),
        ("a O\nb B-X\n", ["--class-weights", "nowhere.json"], ["nowhere"]),
        (
            "a O\nb B-X\n",
            ["--batch-size", "4", "--tokens-per-batch", "64"],
            ["both"],
        ),
        ("a O\nb B-X\n", ["--tokens-per-batch", "0"], ["tokens_per_batch=0"]),
        ("a O\nb B-X\n", ["--patience", "0"], ["patience=0"]),
        ("a O\nb B-X\n", ["--warmup", "2"], ["warmup=2"]),
        ("a O\nb B-X\n", ["--pair-column", "x"], ["--pair-column"]),
    ],
)
def test_what_cannot_be_meant(folder, capsys, content, extra, words):
    (folder / "bad.conll").write_text(content)
    labels = folder / "labels.txt"
    labels.write_text("O\nB-LOC\n")
    extra = [x.format(labels=labels) for x in extra]
    assert train(folder, *extra, data="bad.conll", output="bad") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error


def test_white_space_in_words_is_no_column_or_line(model, folder, capsys):
    row = {"words": ["New York", "a\tb", "c\nd"]}
    (folder / "words.jsonl").write_text(json.dumps(row))
    written = run(capsys, "predict", model, "--data", folder / "words.jsonl")
    lines = [line.split("\t") for line in written.strip().split("\n")]
    assert [word for word, _ in lines] == ["New York", "a b", "c d"]


def test_repairs_are_counted(folder, capsys):
    (folder / "broken.conll").write_text("Anna I-PER\ncalls O\n")
    assert train(folder, "--epochs", "1", data="broken.conll", output="b") == 0
    error = capsys.readouterr().err
    assert error.count("broken.conll: 1 tags") == 2


def test_options_of_other_tasks_are_refused(model, folder, capsys):
    data = ["--data", str(folder / "train.conll"), "--pair-column", "x"]
    assert main(["evaluate", model, *data]) == 2
    assert "--pair-column is not for the task tag" in capsys.readouterr().err
