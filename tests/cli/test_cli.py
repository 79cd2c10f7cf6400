"""From labelled files to a model, results and an exported file."""

import json
import signal
import subprocess
import sys
import time

import pytest

import keras_albert as ka
from keras_albert.cli import main
from keras_albert.export.verify import TOLERANCES

SIZES = "--hidden-dim 16 --num-layers 2 --num-heads 2 --embedding-dim 8"
RECIPE = "--intermediate-dim 32 --batch-size 8 --max-length 16 --epochs 1"
WORDS = {"alarm": "wake me at seven", "weather": "will it rain"}


@pytest.fixture
def data(tmp_path):
    """Writes twelve rows under given labels; the options that read them."""

    def write(alarm="alarm", weather="weather"):
        path = tmp_path / "data.tsv"
        lines = ["text\tlabel"]
        for number in range(6):
            lines.append(f"{WORDS['alarm']} {number}\t{alarm}")
            lines.append(f"{WORDS['weather']} {number}\t{weather}")
        path.write_text("\n".join(lines) + "\n")
        return path, ["--text-column", "text", "--label-column", "label"]

    return write


@pytest.fixture
def vocabulary(tmp_path, tokenizer):
    path = tmp_path / "vocabulary.spm"
    path.write_bytes(tokenizer.proto)
    return str(path)


@pytest.fixture
def train(data, vocabulary, tmp_path, capsys):
    """Trains a tiny model; its folder, the data's options, the metrics."""

    def run(*extra, **labels):
        path, columns = data(**labels)
        arguments = ["--train", path, "--valid", path, *columns, *extra]
        arguments += ["--vocabulary", vocabulary, *SIZES.split()]
        arguments += [*RECIPE.split(), "-o", tmp_path / "run"]
        command = ["train", "classify", *map(str, arguments)]
        assert main(command) == 0
        metrics = json.loads(capsys.readouterr().out)
        model = str(tmp_path / "run" / "model")
        return model, ["--data", str(path), *columns], metrics, command

    return run


def output_of(capsys, *arguments):
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def test_classes_from_files_to_results(train, tmp_path, capsys):
    model, data, metrics, command = train()
    saved = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert saved == metrics
    assert metrics["train_rows"] == metrics["validation_rows"] == 12

    scores = json.loads(output_of(capsys, "evaluate", model, *data, "--json"))
    for name in ("accuracy", "macro_f1", "loss"):
        assert scores[name] == pytest.approx(metrics[name], abs=1e-5)
    assert "accuracy\t" in output_of(capsys, "evaluate", model, *data)

    fields = output_of(capsys, "predict", model, "wake me\tup").split("\t")
    assert fields[0] in WORDS
    assert 0.5 <= float(fields[1]) <= 1.0
    assert fields[2] == "wake me up\n"
    results = tmp_path / "results.jsonl"
    output_of(capsys, "predict", model, *data[:4], "-o", results, "--json")
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert len(lines) == 12
    assert set(lines[0]) == {"text", "label", "score"}

    facts = json.loads(output_of(capsys, "info", model, "--json"))
    assert facts["labels"] == ["alarm", "weather"]
    assert facts["sizes"]["hidden_dim"] == 16

    # As it stands the folder is not written over; done, it stays done.
    assert main(command) == 2
    assert "resume" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out) == metrics


@pytest.mark.once
def test_regression(train, capsys):
    model, data, metrics, _ = train(
        "--regression", "--pooling", "mean", alarm="0.5", weather="-2"
    )
    facts = json.loads(output_of(capsys, "info", model, "--json"))
    assert facts["pooling"] == "mean"
    assert {"pearson", "rmse", "loss"} < set(metrics)
    assert metrics["loss"] == pytest.approx(metrics["rmse"] ** 2, rel=1e-4)
    scores = json.loads(output_of(capsys, "evaluate", model, *data, "--json"))
    assert scores["rmse"] == pytest.approx(metrics["rmse"], abs=1e-5)
    line = output_of(capsys, "predict", model, "rain", "--json")
    assert set(json.loads(line)) == {"text", "score"}


@pytest.mark.once
def test_several_labels_a_text(train, capsys):
    labels = {"alarm": "morning|alarm", "weather": "morning"}
    model, data, metrics, _ = train("--multi-label", "|", **labels)
    assert {"micro_f1", "exact_match"} < set(metrics)
    json.loads(
        output_of(
            capsys, "evaluate", model, *data, "--multi-label", "|", "--json"
        )
    )
    assert main(["evaluate", model, *data]) == 2
    assert "separator" in capsys.readouterr().err
    result = json.loads(output_of(capsys, "predict", model, "x", "--json"))
    assert isinstance(result["labels"], list)


def test_adapters_alone_are_trained_and_saved_with_the_rest(train, capsys):
    model, data, metrics, _ = train("--lora-rank", "2")
    scores = json.loads(output_of(capsys, "evaluate", model, *data, "--json"))
    assert scores["loss"] == pytest.approx(metrics["loss"], abs=1e-5)


@pytest.mark.once
def test_order_of_the_classes_from_a_file(train, tmp_path):
    (tmp_path / "labels.txt").write_text("weather\nnothing\nalarm\n")
    model, _, _, _ = train("--labels", str(tmp_path / "labels.txt"))
    task = ka.AlbertTextClassifier.from_preset(model)
    assert task.labels == ["weather", "nothing", "alarm"]


@pytest.mark.once
def test_exported_file(train, tmp_path, capsys, monkeypatch):
    pytest.importorskip("ai_edge_litert")
    model, data, _, _ = train()
    path = tmp_path / "model.tflite"
    command = ["export", model, "--to", "litert", "-o", path, *data]
    out = output_of(capsys, *command, "--quantization", "auto")
    assert "quantization" in out and "accuracy" in out
    assert out.splitlines()[-1] == f"{path}\t{path.stat().st_size} bytes"
    report = json.loads(
        output_of(capsys, "verify", model, path, *data, "--json")
    )
    assert report["passed"] is True and report["metric"]["rows"] == 12
    facts = json.loads(output_of(capsys, "info", path, "--json"))
    assert set(facts["inputs"]) == {"token_ids", "segment_ids", "padding_mask"}
    assert facts["operators"]["WHILE"] == 1
    before = path.read_bytes()
    # No file computes the same bits.
    strict = {**TOLERANCES["float32"], "max_abs_diff": -1.0}
    with monkeypatch.context() as patch:
        patch.setitem(TOLERANCES, "float32", strict)
        assert main([*map(str, command)]) == 1
    assert "must differ by at most -1" in capsys.readouterr().err
    assert path.read_bytes() == before
    for wrong, words in (
        (
            ["--to", "saved_model", "--layout", "rolled"],
            "does not take --layout",
        ),
        (["--to", "litert", "--no-verify", *data], "--no-verify must come"),
        (["--to", "litert", "--quantization", "auto"], "labelled examples"),
        (["--to", "onnx", "--quantization", "int4"], "'int4'"),
    ):
        suffix = {"litert": ".tflite", "onnx": ".onnx"}.get(wrong[1], "")
        output = str(tmp_path / f"wrong{suffix}")
        assert main(["export", model, "-o", output, *wrong]) == 2
        assert words in capsys.readouterr().err
    path.write_bytes(b"no such thing")
    capsys.readouterr()
    assert main(["info", str(path)]) == 2
    assert "TFL3" in capsys.readouterr().err


@pytest.mark.once
def test_bundled_preset_from_the_command_line(capsys):
    facts = json.loads(output_of(capsys, "info", "albert_tiny_en", "--json"))
    assert facts["class"] == "AlbertPretrainer"
    assert facts["sizes"]["num_layers"] == 4
    out = output_of(capsys, "predict", "albert_tiny_en", "He shook his [MASK].")
    assert "head" in out


@pytest.mark.once
def test_a_killed_command_is_resumed(data, vocabulary, tmp_path, capsys):
    path, columns = data()
    arguments = [
        *("--train", path, "--valid", path, *columns, "--vocabulary"),
        *(vocabulary, *SIZES.split(), *RECIPE.split(), "--epochs", "6"),
    ]
    command = ["train", "classify", *map(str, arguments), "-o"]
    run = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_albert", *command, str(run)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    progress = run / "state" / "progress.json"
    deadline = time.monotonic() + 120
    while not progress.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    # It lives, and holds its lock, but does not end in the meantime.
    process.send_signal(signal.SIGSTOP)
    assert main([*command, str(run), "--resume"]) == 2
    assert "One run at a time" in capsys.readouterr().err
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert json.loads(progress.read_text())["finished"] is False
    ka.AlbertTextClassifier.from_preset(run / "model")

    assert main([*command, str(run), "--resume"]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert main([*command, str(tmp_path / "whole")]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert resumed["best_epoch"] == whole["best_epoch"]
    assert resumed["loss"] == whole["loss"]
