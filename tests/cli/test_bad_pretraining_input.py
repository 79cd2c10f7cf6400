"""Bad text, data and disks of the three commands of pretraining.

One clear line and exit code 2, and nothing half-written that is taken later.
"""

import contextlib
import gzip
import json
import os
import random
import resource
import shutil

import numpy as np
import pytest

import keras_albert as ka
from keras_albert.cli import main
from keras_albert.presets.locking import locked_folder
from keras_albert.pretraining.checkpoint import Checkpoint
from keras_albert.pretraining.records import read_dataset

pytest.importorskip("apache_beam", reason="needs the extra [beam]")
pytest.importorskip("google_crc32c", reason="needs the extra [beam]")

pytestmark = pytest.mark.once

IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
WORDS = ["river", "house", "morning", "letter", "garden", "road", "winter"]
WORDS += ["children", "stone", "carried", "opened", "under", "old", "quiet"]
MODEL = ["--hidden-dim", "16", "--num-layers", "1", "--num-heads", "2"]
MODEL += ["--embedding-dim", "8", "--intermediate-dim", "32"]
RUN = ["--sequence-length", "16", "--batch-size", "4", "--steps", "4"]
RUN += ["--checkpoint-every", "2"]


def documents(count, sentences=6, seed=0):
    generator = random.Random(seed)
    return [
        " ".join(
            " ".join(generator.choices(WORDS, k=8)).capitalize() + "."
            for _ in range(sentences)
        )
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory, tokenizer):
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.spm"
    path.write_bytes(tokenizer.proto)
    return path


@pytest.fixture
def prepare(vocabulary, tmp_path, capsys):
    """Runs the verb; gives its report or, on exit code 2, the one line."""

    def run(*arguments, output="data", vocabulary=vocabulary):
        command = ["prepare-pretraining", *arguments, "--runner", IN_PROCESS]
        command += ["--vocabulary", vocabulary, "-o", tmp_path / output]
        return outcome(capsys, [*command, "--json"])

    return run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, vocabulary):
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "text.txt").write_text("\n\n".join(documents(30)))
    command = ["prepare-pretraining", folder / "text.txt", "--vocabulary"]
    command += [vocabulary, "-o", folder / "data", "--runner", IN_PROCESS]
    assert main(list(map(str, [*command, "--dev-fraction", 0]))) == 0
    return folder / "data"


def outcome(capsys, command):
    code = main(list(map(str, command)))
    captured = capsys.readouterr()
    if code == 0:
        return json.loads(captured.out)
    assert code == 2
    lines = [
        line
        for line in captured.err.splitlines()
        if line.startswith("keras-albert: error: ")
    ]
    assert len(lines) == 1 and "Traceback" not in captured.err
    assert not captured.out
    return lines[0]


@contextlib.contextmanager
def full_disk(room):
    """No file can grow beyond so many bytes, in this process."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["only empty ones"]),
        (b"\n \n\t\n", ["None was left", "blank lines"]),
        (b"Hm.\n\nOh.", ["too_short 2", "--min-tokens"]),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ["is binary"]),
        ("some text".encode("utf-16"), ["UTF-16", "iconv"]),
        (b"caf\xe9\n\n\xe8 la", ["invalid_utf8_lines 2", "iconv"]),
        (documents(1)[0].encode(), ["for dev", "--dev-fraction 0"]),
    ],
    ids=["empty", "blank", "short", "binary", "utf16", "latin1", "one"],
)
def test_text(prepare, tmp_path, content, words):
    """One document is enough, unless it is the one for dev."""
    (tmp_path / "text.txt").write_bytes(content)
    line = prepare(tmp_path / "text.txt", "--dev-fraction", 0.9999)
    for word in words:
        assert word in line
    left = set(tmp_path.rglob("data/*")) - {tmp_path / "data" / ".lock"}
    assert not left


def test_json_lines_without_text(prepare, tmp_path):
    rows = [{"text": 3}, {"text": None}, {"text": ["a"]}, {"body": "b"}, 5]
    path = tmp_path / "text.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    line = prepare(path, "--format", "jsonl")
    assert "invalid_json_lines 5" in line and "--text-field" in line


def test_empty_compressed_files(prepare, tmp_path):
    (tmp_path / "none.txt.gz").write_bytes(b"")
    assert "only empty" in prepare(tmp_path / "none.txt.gz")
    (tmp_path / "none.txt.gz").write_bytes(gzip.compress(b""))
    assert "None was left" in prepare(tmp_path / "none.txt.gz")


def test_invalid_utf8_is_counted(prepare, tmp_path):
    text = "\n\n".join(documents(3)).encode()
    (tmp_path / "text.txt").write_bytes(text + b"\n\ncaf\xe9\ngood\n\xff\n")
    report = prepare(tmp_path / "text.txt", "--dev-fraction", 0)
    assert report["invalid_utf8_lines"] == 2
    assert report["train_documents"] == 3


def test_one_document_and_one_sentence_train(
    prepare, vocabulary, tmp_path, capsys
):
    """A document of one sentence is parted between two of its tokens."""
    (tmp_path / "text.txt").write_text(documents(1, sentences=1)[0])
    report = prepare(tmp_path / "text.txt", "--dev-fraction", 0)
    assert report["train_documents"] == report["one_segment"] == 1
    command = ["pretrain", tmp_path / "data", "--vocabulary", vocabulary]
    command += ["-o", tmp_path / "run", *MODEL, *RUN]
    metrics = outcome(capsys, command)
    assert np.isfinite(metrics["loss"]) and "val_loss" not in metrics


def test_vocabulary_without_special_tokens(prepare, prepared, tmp_path, capsys):
    import sentencepiece

    with open(tmp_path / "plain.spm", "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(documents(20)),
            model_writer=file,
            vocab_size=60,
            minloglevel=2,
            hard_vocab_limit=False,
        )
    (tmp_path / "text.txt").write_text("\n\n".join(documents(3)))
    line = prepare(tmp_path / "text.txt", vocabulary=tmp_path / "plain.spm")
    assert "plain.spm lacks" in line and "[MASK]" in line
    assert "train-vocab" in line
    assert not (tmp_path / "data").exists()
    command = ["pretrain", prepared, "--vocabulary", tmp_path / "plain.spm"]
    line = outcome(capsys, [*command, "-o", tmp_path / "run", *MODEL, *RUN])
    assert "plain.spm lacks" in line and "[MASK]" in line


def test_preset_of_another_vocabulary(
    prepared, vocabulary, tokenizer, tiny, tmp_path, capsys
):
    """As many pieces, but others: they would get each other's weights."""
    proto = tokenizer.proto.replace("▁river".encode(), "▁revir".encode())
    other = ka.AlbertTokenizer(proto)
    assert other.get_vocabulary() != tokenizer.get_vocabulary()
    assert other.vocabulary_size() == tokenizer.vocabulary_size()
    preset = tmp_path / "preset"
    ka.AlbertPretrainer(
        ka.AlbertBackbone(**tiny),
        preprocessor=ka.AlbertPretrainerPreprocessor(other, sequence_length=16),
    ).save_to_preset(preset)
    command = ["pretrain", prepared, "--vocabulary", vocabulary, *RUN]
    line = outcome(
        capsys, [*command, "--preset", preset, "-o", tmp_path / "run"]
    )
    assert "must be that of the `preset`" in line and str(preset) in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("same_size", [False, True])
def test_damaged_shard(prepared, vocabulary, tmp_path, capsys, same_size):
    """Cut: before it begins. Changed, which no size tells: when it is read."""
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    (shard,) = data.glob("train-*")
    content = shard.read_bytes()
    half = content[: len(content) // 2]
    shard.write_bytes(half + bytes(len(content) - len(half)) * same_size)
    command = ["pretrain", data, "--vocabulary", vocabulary]
    line = outcome(capsys, [*command, "-o", tmp_path / "run", *MODEL, *RUN])
    assert shard.name in line and "cut or changed" in line
    assert not (tmp_path / "run" / "checkpoint.npz").exists()


def test_output_in_the_text(prepare, vocabulary, tmp_path, capsys):
    text = tmp_path / "text"
    text.mkdir()
    (text / "a.txt").write_text("\n\n".join(documents(5)))
    for output in (text, text / "data"):
        line = prepare(text, output=output)
        assert "must not lie in a folder of text" in line
        command = ["train-vocab", text, "--vocabulary-size", 80, "-o", output]
        assert outcome(capsys, command) == line
    assert [path.name for path in text.iterdir()] == ["a.txt"]


def test_two_runs_on_one_folder(
    prepare, prepared, vocabulary, tmp_path, capsys
):
    (tmp_path / "text.txt").write_text("\n\n".join(documents(5)))
    command = ["pretrain", prepared, "--vocabulary", vocabulary]
    with locked_folder(tmp_path / "data"):
        line = prepare(tmp_path / "text.txt")
        assert "One run at a time" in line and "data" in line
        output = tmp_path / "data"
        line = outcome(capsys, [*command, "-o", output, *MODEL, *RUN])
        assert "One run at a time" in line
        assert os.listdir(tmp_path / "data") == [".lock"]


def test_preparing_on_a_full_disk(prepare, tmp_path):
    (tmp_path / "text.txt").write_text("\n\n".join(documents(400)))
    with full_disk(2000):
        line = prepare(tmp_path / "text.txt", "--shards", 2)
    assert "File too large" in line and "Nothing was written" in line
    assert os.listdir(tmp_path / "data") == [".lock"]
    with pytest.raises(FileNotFoundError, match="has not finished"):
        read_dataset(tmp_path / "data")
    report = prepare(tmp_path / "text.txt", "--shards", 2)
    assert report["documents_read"] == 400


def test_pretraining_on_a_full_disk(
    prepared, vocabulary, tmp_path, capsys, monkeypatch
):
    """At its second checkpoint: the first one stays and is continued from."""
    command = ["pretrain", prepared, "--vocabulary", vocabulary, "-o"]
    command += [tmp_path / "run", "--resume", *MODEL, *RUN]
    save, saved = Checkpoint.save, []

    def fill(self, progress, variables):
        with full_disk(50_000) if saved else contextlib.nullcontext():
            save(self, progress, variables)
        saved.append(progress["history"][-1]["step"])

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", fill)
        line = outcome(capsys, command)
    assert "checkpoint.npz" in line and "have room" in line
    assert saved == [2]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert not [name for name in names if name.endswith(".partial")]
    progress = Checkpoint(str(tmp_path / "run")).load_progress()
    assert progress["history"][-1]["step"] == 2

    # Another configuration is refused, the same one is continued.
    line = outcome(capsys, [*command, "--warmup", 0.5])
    assert "warmup 0.05, this is warmup 0.5" in line
    assert outcome(capsys, command)["step"] == 4
    line = outcome(capsys, command[:-8])
    assert "same settings" in line

    np.savez(tmp_path / "run" / "checkpoint.npz", weights=np.zeros(3))
    assert "another file" in outcome(capsys, command)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", 0], "`steps` must be at least 1"),
        (["--sequence-length", 4], "`sequence_length` must be at least 5"),
        (["--learning-rate", "nan"], "`learning_rate` must be"),
        (["--learning-rate", -1], "`learning_rate` must be"),
        (["--seed", -1], "`seed` must lie"),
        (["--dtype", "float99"], "`dtype` must be"),
        (["--dropout", 1], "`dropout` must be"),
        (["--num-heads", 3], "num_heads=3"),
        (["--batch-size", 6, "--accumulate", 4], "multiple of `accumulate`"),
        (["-o", ""], "empty path"),
        (["-o", "DATA"], "must be another folder than that of"),
    ],
    ids=lambda value: "".join(map(str, value)) if type(value) is list else "",
)
def test_arguments(prepared, vocabulary, tmp_path, capsys, arguments, words):
    arguments = [prepared if a == "DATA" else a for a in arguments]
    command = ["pretrain", prepared, "--vocabulary", vocabulary, "-o"]
    command += [tmp_path / "run", *MODEL, *RUN, *arguments]
    assert words in outcome(capsys, command)
    assert not (tmp_path / "run" / "checkpoint.npz").exists()
