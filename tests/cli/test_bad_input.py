"""Bad input gives one clear line, exit code 2, and nothing half-written."""

import gzip
import io
import os
import shutil
import subprocess
import sys

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
        ({"extra": ["--preset", ""]}, ["preset", "''"]),
        ({"text_column": "label"}, ["columns of their own", "label"]),
        ({"train": ROWS + "x,  \n"}, ["train.csv", "4", "empty"]),
        (
            {"train": "text,label\na,1\nb,2.5\n"},
            ["train.csv, line 3", "2.5", "regression"],
        ),
        ({"extra": ["--multi-label", ""]}, ["separator"]),
        ({"extra": ["--max-length", "3"]}, ["at least 4"]),
        ({"extra": ["--epochs", "0"]}, ["epochs=0"]),
        ({"extra": ["--batch-size", "0"]}, ["batch_size=0"]),
        ({"extra": ["--learning-rate", "nan"]}, ["learning_rate=nan"]),
        ({"extra": ["--learning-rate", "-1"]}, ["learning_rate=-1.0"]),
        ({"extra": ["--dropout", "1"]}, ["dropout", "below 1"]),
        ({"extra": ["--lora-rank", "0"]}, ["rank", "0"]),
        ({"extra": ["--seed", "-1"]}, ["seed", "-1"]),
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
        "no preset",
        "text and label in one column",
        "blank label",
        "scores in place of classes",
        "no separator",
        "too short for two texts",
        "no epochs",
        "no batch",
        "rate that is no number",
        "negative rate",
        "nothing but dropout",
        "adapters of no rank",
        "negative seed",
    ],
)
def test_training(train, capsys, tmp_path, arguments, words):
    assert train(**arguments) == 2
    message = one_line(capsys)
    for word in words:
        assert word in message
    assert not (tmp_path / "run").exists()


def test_labels_of_numbers(train, capsys, tmp_path):
    (tmp_path / "labels.txt").write_text("1\n2\n")
    labels = ["--labels", str(tmp_path / "labels.txt"), "--regression"]
    assert train(extra=labels) == 2
    assert "labels.txt" in one_line(capsys)
    assert train(extra=["-o", ""]) == 2
    assert "empty path" in one_line(capsys)


def test_vocabulary_without_special_tokens(train, capsys, tmp_path):
    import sentencepiece

    with open(tmp_path / "plain.spm", "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["wake me up", "will it rain"] * 20),
            model_writer=file,
            vocab_size=20,
            minloglevel=2,
            hard_vocab_limit=False,
        )
    assert train(extra=["--vocabulary", str(tmp_path / "plain.spm")]) == 2
    message = one_line(capsys)
    assert "plain.spm" in message and "special token" in message


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


@pytest.fixture(scope="module")
def model(make_classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    make_classifier(labels=["a\tb", "c"]).save_to_preset(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["half a character \udce9"], ["UTF-8"]),
        (["text", "--text-column", "text"], ["--data"]),
        (["text", "--label-column", "label"], ["--label-column", "--data"]),
        (["text", "--multi-label", ";"], ["--multi-label", "--label-column"]),
        (["text", "--batch-size", "0"], ["batch_size"]),
        (["text", "-o", ""], ["empty"]),
        (["text", "-o", "/dev/full"], ["/dev/full", "No space left"]),
        (["text", "-o", "."], ["folder"]),
        (["--data", "t.csv", "--text-column", "t", "-o", "t.csv"], ["t.csv"]),
    ],
    ids=lambda value: value[-1],
)
def test_predict(model, arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("t\nwake me\n")
    assert main(["predict", model, *arguments]) == 2
    message = one_line(capsys)
    for word in words:
        assert word in message
    assert os.listdir(tmp_path) == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "t\nwake me\n"


COLUMNS = ["--data", "t.csv", "--text-column", "t", "--label-column", "l"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "m.onnx"], ["`.tflite`", "m.onnx"]),
        (["-o", "m.bin", "--no-verify"], ["`.tflite`", "m.bin"]),
        (["-o", "m.tflite", "--max-drop", "nan", *COLUMNS], ["nan"]),
        (["-o", "m.tflite", "--max-drop", "-1", *COLUMNS], ["-1"]),
        (["-o", "m.tflite", "--max-drop", "1"], ["labelled", "--data"]),
        (["-o", "m.tflite", "--label-column", "l"], ["--data"]),
        (["-o", "m.tflite", "--bundle", "t.csv"], ["t.csv", "folder"]),
        (["-o", "m.tflite", "--bundle", ""], ["empty"]),
        (["-o", "m.tflite", "--bundle", "."], ["working folder"]),
        (["-o", "m.tflite", "--web", "m.tflite"], ["of their own"]),
        (["-o", "m.tflite", "--web", "w", "--inputs", "text"], ["ids"]),
        (["-o", "m", "--to", "onnx"], ["`.onnx`"]),
        (["-o", "m.onnx", "--to", "onnx", "--web", "w"], ["litert"]),
        (["-o", "m", "--to", "saved_model", "--bundle", "b"], ["--bundle"]),
        (["-o", "", "--to", "saved_model"], ["empty"]),
        (["-o", "..", "--to", "saved_model"], ["working folder"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_export(model, arguments, words, capsys, tmp_path, monkeypatch):
    """Refused before anything is exported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("t,l\nwake me,c\n")
    arguments = ["--to", "litert", *arguments]
    assert main(["export", model, *arguments]) == 2
    message = one_line(capsys)
    for word in words:
        assert word in message
    assert os.listdir(tmp_path) == ["t.csv"]


def test_bundle_of_labels_that_are_lines(
    make_classifier, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    make_classifier(labels=["a\nb", "c"]).save_to_preset("model")
    arguments = ["--to", "litert", "-o", "m.tflite", "--bundle", "b"]
    assert main(["export", "model", *arguments]) == 2
    assert "one line" in one_line(capsys)
    assert os.listdir(tmp_path) == ["model"]


def test_labels_with_tabs_are_one_field(model, capsys):
    assert main(["predict", model, "wake me"]) == 0
    assert len(capsys.readouterr().out.split("\t")) == 3


def test_a_backend_that_there_is_not(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    assert main(["info", "albert_tiny_en"]) == 2
    message = one_line(capsys)
    for word in ("KERAS_BACKEND", "'theano'", "jax"):
        assert word in message


def test_damaged_presets_are_one_line(model, capsys, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(model, folder)
    (folder / "task.weights.h5").unlink()
    for command in (["predict", str(folder), "x"], ["info", str(folder)]):
        assert main(command) == 2
        assert "task.weights.h5" in one_line(capsys)


def test_stdout_of_few_characters(model, monkeypatch):
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["predict", model, "café"]) == 0
    assert written.getvalue().endswith(b"\tcaf\\xe9\n")


def test_stdout_that_takes_no_more(model):
    # As Python is by default: it writes at the end.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        finished = subprocess.run(
            [sys.executable, "-m", "keras_albert", "info", model],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
    assert finished.returncode == 2
    assert "stdout: No space left" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_every_verb_has_help_with_an_example(capsys):
    from keras_albert.cli import VERBS

    for verb in VERBS:
        assert main([verb, "--help"]) == 0
        assert f"keras-albert {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "identifier"),
        (b"\x1c\0\0\0TFL3", "damaged"),
        (b"\0\0\0\0TFL3" + bytes(64), "empty"),
    ],
)
def test_info_of_damaged_files(tmp_path, capsys, content, reason):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    assert main(["info", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line and str(path) in line
