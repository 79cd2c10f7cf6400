"""Bad input gives one clear line, exit code 2, and nothing half-written."""

import gzip
import os

import pytest

from keras_albert.cli import main

pytestmark = pytest.mark.once

ROWS = "text,label\nwake me up,alarm\nwill it rain,weather\n"


@pytest.fixture
def train(tmp_path):
    """Runs `train classify` on files whose contents are given."""

    def run(train=ROWS, valid=ROWS, text_column="text", extra=()):
        for name, content in (("train.csv", train), ("valid.csv", valid)):
            if isinstance(content, str):
                content = content.encode()
            (tmp_path / name).write_bytes(content)
        return main(
            [
                "train",
                "classify",
                "--train",
                str(tmp_path / "train.csv"),
                "--valid",
                str(tmp_path / "valid.csv"),
                "--text-column",
                text_column,
                "--label-column",
                "label",
                "-o",
                str(tmp_path / "run"),
                *extra,
            ]
        )

    return run


def one_line(capsys):
    lines = [
        line
        for line in capsys.readouterr().err.splitlines()
        if "error: " in line
    ]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"text_column": "sentence"}, ["sentence", "text", "train.csv"]),
        ({"valid": ROWS + "hum,music\n"}, ["music", "valid.csv", "4"]),
        ({"train": ""}, ["train.csv", "empty"]),
        ({"train": "text,label\n"}, ["train.csv"]),
        ({"train": ROWS + "no label here\n"}, ["train.csv", "4"]),
        ({"train": ROWS.encode() + b"caf\xe9,alarm\n"}, ["UTF-8"]),
        ({"extra": ["--max-length", "4000"]}, ["4000", "512"]),
        ({"extra": ["--preset", "albert_huge_xx"]}, ["albert_huge_xx"]),
    ],
    ids=[
        "column not there",
        "label never seen in training",
        "empty file",
        "header alone",
        "too few fields",
        "not UTF-8",
        "longer than the positions",
        "unknown preset",
    ],
)
def test_training(train, capsys, tmp_path, arguments, words):
    assert train(**arguments) == 2
    message = one_line(capsys)
    for word in words:
        assert word in message
    assert not (tmp_path / "run" / "model").exists()


def test_heads_that_do_not_divide(train, capsys):
    from keras_albert.presets.registry import BUNDLED_PRESETS

    vocabulary = os.path.join(
        BUNDLED_PRESETS["albert_tiny_en"]["path"],
        "assets/tokenizer/vocabulary.spm",
    )
    sizes = ["--hidden-dim", "10", "--num-heads", "4"]
    assert train(extra=["--vocabulary", vocabulary, *sizes]) == 2
    assert "num_heads=4" in one_line(capsys)


def test_truncated_gzip(capsys, tmp_path):
    path = tmp_path / "texts.csv.gz"
    path.write_bytes(gzip.compress(ROWS.encode() * 100)[:40])
    arguments = ["--text-column", "text", "--label-column", "label"]
    arguments = [*arguments, "--train", str(path), "--valid", str(path)]
    assert (
        main(["train", "classify", *arguments, "-o", str(tmp_path / "r")]) == 2
    )
    assert "texts.csv.gz" in one_line(capsys)


def test_output_that_cannot_be_a_folder(train, capsys, tmp_path):
    (tmp_path / "file").write_text("x")
    assert train(extra=["-o", str(tmp_path / "file" / "run")]) == 2
    assert "file" in one_line(capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "nowhere", "text"],
        ["evaluate", "nowhere", "--data", "x", "--text-column", "t",
         "--label-column", "l"],
        ["export", "nowhere", "--to", "litert", "-o", "x.tflite"],
        ["verify", "nowhere", "x.tflite"],
        ["info", "nowhere"],
        ["train", "fly"],
        ["dance"],
        [],
    ],
    ids=lambda arguments: " ".join(arguments[:1]) or "nothing",
)  # fmt: skip
def test_other_verbs(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    one_line(capsys)
    assert not list(tmp_path.iterdir())


def test_every_verb_has_help_with_an_example(capsys):
    from keras_albert.cli import VERBS

    for verb in VERBS:
        assert main([verb, "--help"]) == 0
        assert f"keras-albert {verb}" in capsys.readouterr().out
