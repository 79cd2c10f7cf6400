"""From raw text to a vocabulary and to prepared data."""

import json
import random

import pytest

from keras_albert.cli import main
from keras_albert.pretraining.records import read_dataset

pytestmark = pytest.mark.once

IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
WORDS = (
    "今天 天气 很好 我们 去 公园 你 喜欢 读书 昨天 买了 三本 孩子 河边".split()  # noqa: SIM905
)


def sentence(generator):
    words = "".join(generator.choices(WORDS, k=generator.randint(4, 9)))
    return words + generator.choice("。！？")


@pytest.fixture
def corpus(tmp_path):
    """Chinese, without a space."""
    generator = random.Random(0)
    path = tmp_path / "zh.txt"
    path.write_text(
        "\n\n".join(
            "".join(sentence(generator) for _ in range(8)) for _ in range(60)
        ),
        encoding="utf-8",
    )
    return str(path)


def test_train_vocab_and_prepare(corpus, tmp_path, capsys):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    folder = tmp_path / "vocabulary"
    command = ["train-vocab", corpus, "--vocabulary-size", "140"]
    assert main([*command, "-o", str(folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["path"] == str(folder / "vocabulary.spm")
    assert report["vocabulary_size"] == 140
    assert report["unknown_rate"] == 0
    command = ["prepare-pretraining", corpus, "--vocabulary", report["path"]]
    command += ["-o", str(tmp_path / "data"), "--runner", IN_PROCESS]
    assert main([*command, "--dev-fraction", "0.1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["documents_read"] == 60
    assert report["train_segments"] == 8 * report["train_documents"]
    assert report["dev_documents"] > 0
    dataset = read_dataset(tmp_path / "data")
    assert dataset.count("train", "tokens") == report["train_tokens"]
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    # What follows --pipeline-options is Beam's.
    extra = ["--overwrite", "--pipeline-options", "--job_name", "zh"]
    assert main([*command, *extra]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.txt", "--vocabulary-size", "100"], "nowhere.txt"),
        (["EMPTY", "--vocabulary-size", "100"], "at least one line"),
        (["TEXT", "--vocabulary-size", "100000"], "must fit the text"),
        (["TEXT", "--vocabulary-size", "-3"], "at least 1"),
        (["BINARY", "--vocabulary-size", "100"], "is binary"),
        (["TEXT", "--vocabulary-size", "100", "--format", "jsonl"], "JSON"),
    ],
)
def test_train_vocab_on_bad_input(corpus, tmp_path, capsys, arguments, words):
    files = {"TEXT": corpus}
    for name, content in (("EMPTY", b"\n"), ("BINARY", b"\x7fELF\0\0")):
        files[name] = str(tmp_path / name)
        (tmp_path / name).write_bytes(content)
    arguments = [files.get(argument, argument) for argument in arguments]
    output = tmp_path / "vocabulary"
    assert main(["train-vocab", *arguments, "-o", str(output)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keras-albert: error: ") and words in line
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dev-fraction", "1"], "`dev_fraction` must be"),
        (["--similarity", "0"], "`similarity` must be"),
        (["--workers", "0"], "`workers` must be"),
        (["--shards", "0"], "`shards` must be"),
        (["--runner", "NoRunner"], "NoRunner"),
        (["--vocabulary", "TEXT"], "must be a SentencePiece model"),
        (["--vocabulary", "nowhere.spm"], "nowhere.spm"),
        (["nowhere.txt"], "nowhere.txt"),
    ],
)
def test_prepare_on_bad_input(
    corpus, tmp_path, capsys, tokenizer, arguments, words
):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    vocabulary = tmp_path / "vocabulary.spm"
    vocabulary.write_bytes(tokenizer.proto)
    arguments = [a.replace("TEXT", corpus) for a in arguments]
    command = ["prepare-pretraining", "--vocabulary", str(vocabulary), corpus]
    command += ["-o", str(tmp_path / "data"), *arguments]
    if arguments == ["nowhere.txt"]:
        command.remove("nowhere.txt")
        command.insert(4, "nowhere.txt")
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keras-albert: error: ") and words in line


def test_prepare_without_beam(corpus, tmp_path, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "apache_beam", None)
    command = ["prepare-pretraining", corpus, "--vocabulary", "v.spm"]
    assert main([*command, "-o", str(tmp_path / "data")]) == 2
    assert "keras-albert[beam]" in capsys.readouterr().err
