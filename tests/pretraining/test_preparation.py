"""The pipeline as a whole, on a tiny corpus."""

import gzip
import io
import json
import os
import random
import subprocess
import sys

import pytest

from keras_albert.preprocessing.sentences import split_sentences
from keras_albert.pretraining.records import read_dataset, read_documents

pytest.importorskip("apache_beam", reason="needs the extra [beam]")
pytest.importorskip("google_crc32c", reason="needs the extra [beam]")

from keras_albert.pretraining import beam_pipeline
from keras_albert.pretraining.preparation import (
    PreparationSettings,
    prepare_pretraining,
)

pytestmark = pytest.mark.once

# In this process: without the seconds in which workers start.
IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
WORDS = ["the", "river", "house", "morning", "letter", "garden", "old", "quiet"]
WORDS += ["road", "winter", "children", "carried", "opened", "under", "stone"]
SETTINGS = PreparationSettings(dev_fraction=0.2, shards=3)


def paragraph(generator):
    sentences = [
        " ".join(generator.choices(WORDS, k=generator.randint(4, 12))) + "."
        for _ in range(generator.randint(3, 9))
    ]
    return " ".join(sentence.capitalize() for sentence in sentences)


@pytest.fixture(scope="module")
def documents():
    generator = random.Random(2)
    return [
        "\n".join(paragraph(generator) for _ in range(generator.randint(2, 4)))
        for _ in range(40)
    ]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory, tokenizer):
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.spm"
    path.write_bytes(tokenizer.proto)
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, documents):
    """Three files; a copy, a near-copy, a short and an invalid line."""
    folder = tmp_path_factory.mktemp("corpus")
    near = documents[1].replace(documents[1].split()[7], "mountain", 1)
    (folder / "a.txt").write_text("\n\n".join(documents[:20]))
    (folder / "b.txt.gz").write_bytes(
        gzip.compress("\n\n".join([*documents[20:], documents[0]]).encode())
    )
    (folder / "c.txt").write_bytes(
        f"\n\n{near}\n\n\nToo short.\n\n".encode() + b"caf\xe9 au lait\n"
    )
    return folder


@pytest.fixture
def prepare(vocabulary, tmp_path):
    def run(files, output="data", settings=SETTINGS, **options):
        options = {"runner": IN_PROCESS, "stream": io.StringIO()} | options
        return prepare_pretraining(
            files, vocabulary, tmp_path / output, settings=settings, **options
        )

    return run


def content(dataset):
    return {
        name: open(os.path.join(dataset.folder, name), "rb").read()
        for name in sorted(os.listdir(dataset.folder))
        if name != ".lock"
    }


def rows(dataset, split):
    return [
        (ids.tolist(), lengths.tolist())
        for path in dataset.paths(split)
        for ids, lengths in read_documents(path)
    ]


@pytest.fixture(scope="module")
def by_processes(tmp_path_factory, corpus, vocabulary):
    """Prepared by two worker processes."""
    return prepare_pretraining(
        [corpus],
        vocabulary,
        tmp_path_factory.mktemp("processes") / "data",
        settings=SETTINGS,
        workers=2,
        stream=io.StringIO(),
    )


def test_what_is_in_the_shards(by_processes, documents, tokenizer):
    dataset = read_dataset(by_processes.folder)
    assert dataset == by_processes
    found = {split: rows(dataset, split) for split in ("train", "dev")}
    expected = {}
    for document in documents:
        sentences = [
            sentence
            for line in document.splitlines()
            for sentence in split_sentences(line)
        ]
        ids = [tokenizer(sentence).tolist() for sentence in sentences]
        expected[tuple(sum(ids, []))] = list(map(len, ids))  # noqa: RUF017
    prepared = {
        tuple(ids): lengths for ids, lengths in found["train"] + found["dev"]
    }
    assert len(prepared) == sum(map(len, found.values())) == 40
    # Of the near-copies either may be the one that stays.
    differing = expected.keys() ^ prepared.keys()
    assert len(differing) in (0, 2)
    for ids in expected.keys() & prepared.keys():
        assert expected[ids] == prepared[ids]
    assert dataset.report == {
        "documents_read": 44,
        "tokens_read": dataset.report["tokens_read"],
        "unknown_tokens": 0,
        "invalid_utf8_lines": 1,
        "invalid_json_lines": 0,
        "without_text": 1,
        "too_short": 1,
        "exact_duplicates": 1,
        "near_duplicates": 1,
        "one_segment": 0,
    }
    for split, items in found.items():
        assert dataset.count(split, "documents") == len(items) > 0
        assert dataset.count(split, "segments") == sum(
            len(lengths) for _, lengths in items
        )
        assert dataset.count(split, "tokens") == sum(
            len(ids) for ids, _ in items
        )
    dataset.check_shards(contents=True)
    dataset.check_vocabulary(tokenizer.proto)


def test_workers_and_runners_do_not_matter(prepare, corpus, by_processes):
    expected = content(by_processes)
    assert len(expected) == 5
    assert content(prepare([corpus], workers=1, runner=None)) == expected
    in_process = prepare([corpus], "in process")
    assert content(in_process) == expected
    other = prepare([corpus], "other seed", seed=1)
    assert content(other) != expected
    both = [
        sorted(rows(data, "train") + rows(data, "dev"))
        for data in (in_process, other)
    ]
    assert both[0] == both[1]


def test_how_documents_are_spread_does_not_matter(
    prepare, documents, tmp_path, by_processes
):
    text = tmp_path / "all.jsonl.gz"
    text.write_bytes(
        gzip.compress(
            "".join(
                json.dumps({"body": document}) + "\n"
                for document in reversed(documents)
            ).encode()
        )
    )
    lines = prepare(
        [text],
        settings=PreparationSettings(
            format="jsonl", text_field="body", dev_fraction=0.2, shards=3
        ),
    )
    assert lines.report["documents_read"] == 40
    one = tmp_path / "one.txt"
    one.write_text("\n\n".join(documents))
    assert (
        content(prepare([one], "one"))["dev-00000-of-00001.tfrecord.gz"]
        == (content(lines)["dev-00000-of-00001.tfrecord.gz"])
    )
    assert lines.splits["train"] == prepare([one], "again").splits["train"]


def test_near_duplicates_can_be_kept(prepare, corpus):
    settings = PreparationSettings(similarity=1.0, dev_fraction=0)
    dataset = prepare([corpus], settings=settings)
    assert dataset.report["near_duplicates"] == 0
    assert dataset.count("train", "documents") == 41
    assert dataset.splits["dev"] == ()


def test_prepared_data_is_not_replaced_by_mistake(prepare, corpus):
    first = prepare([corpus])
    before = content(first)
    with pytest.raises(FileExistsError, match="--overwrite"):
        prepare([corpus])
    assert content(first) == before
    prepare([corpus], overwrite=True, settings=PreparationSettings(shards=1))
    assert "train-00000-of-00001.tfrecord.gz" in content(first)
    assert "train-00000-of-00003.tfrecord.gz" not in content(first)


def test_a_second_run_refuses(prepare, corpus, tmp_path):
    from keras_albert.presets.locking import locked_folder

    with (
        locked_folder(tmp_path / "data"),
        pytest.raises(OSError, match="One run at a time"),
    ):
        prepare([corpus])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([b"", b""], "only empty ones"),
        ([b"\n \n\n"], "None was left"),
        ([b"Hm.\n\nYes."], "documents_read 2.*too_short 2.*--min-tokens"),
        ([b"\xe9\xe8\n\n\xe9"], "invalid_utf8_lines"),
        ([b"text " * 9, b"\0\1\2"], "1.txt is binary"),
    ],
)
def test_no_text(prepare, tmp_path, texts, message):
    paths = []
    for index, text in enumerate(texts):
        paths.append(tmp_path / f"{index}.txt")
        paths[-1].write_bytes(text)
    with pytest.raises(ValueError, match=message):
        prepare(paths)
    left = set(tmp_path.rglob("data/*")) - {tmp_path / "data" / ".lock"}
    assert not left


def test_one_document_and_documents_of_one_sentence(prepare, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("This is the only sentence of the only document here.")
    dataset = prepare([text], settings=PreparationSettings(dev_fraction=0))
    assert dataset.count("train", "documents") == 1
    assert dataset.report["one_segment"] == 1
    with pytest.raises(ValueError, match="all others are for dev"):
        prepare([text], "b", settings=PreparationSettings(dev_fraction=0.9999))


def test_damaged_file(prepare, corpus, tmp_path):
    cut = tmp_path / "cut.txt.gz"
    packed = gzip.compress(random.Random(0).randbytes(99_999).hex().encode())
    cut.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(OSError, match=r"cut\.txt\.gz must be readable"):
        prepare([corpus, cut])
    assert os.listdir(tmp_path / "data") == [".lock"]


def test_full_disk(prepare, corpus, tmp_path, monkeypatch):
    write = beam_pipeline._write

    def fill(folder, name, content):
        if name.startswith("train-00001"):
            raise OSError(28, "No space left on device")
        write(folder, name, content)

    monkeypatch.setattr(beam_pipeline, "_write", fill)
    with pytest.raises(OSError, match="train-00001.*No space left"):
        prepare([corpus])
    assert os.listdir(tmp_path / "data") == [".lock"]


def test_unknown_runner(prepare, corpus):
    with pytest.raises(ValueError, match="FlinkRunner.*NoRunner"):
        prepare([corpus], runner="NoRunner")


def test_killed_run_leaves_nothing_to_read(
    prepare, corpus, tmp_path, vocabulary
):
    code = (
        "import os, sys\n"
        "from keras_albert.pretraining import beam_pipeline, preparation\n"
        "write = beam_pipeline._write\n"
        "def die(folder, name, content):\n"
        "    write(folder, name, content)\n"
        "    os.kill(os.getpid(), 9)\n"
        "beam_pipeline._write = die\n"
        "preparation.prepare_pretraining(sys.argv[3:], *sys.argv[1:3],\n"
        f"    runner={IN_PROCESS!r})"
    )
    output = tmp_path / "data"
    killed = subprocess.run(
        [sys.executable, "-c", code, vocabulary, output, corpus],
        capture_output=True,
    )
    assert killed.returncode == -9
    assert list(output.rglob("*.tfrecord.gz"))  # In an unfinished folder.
    with pytest.raises(FileNotFoundError, match="has not finished"):
        read_dataset(output)
    again = prepare([corpus])
    assert set(content(again)) == {
        "dataset.json",
        *(s.name for split in again.splits.values() for s in split),
    }
