import gzip
import hashlib
import json

import numpy as np
import pytest

from keras_albert.pretraining.encoding import serialize_document
from keras_albert.pretraining.records import (
    PreparedDataset,
    Shard,
    parse_document,
    read_dataset,
    read_documents,
    shard_name,
    write_dataset,
)

pytestmark = pytest.mark.once

DOCUMENTS = [(np.arange(2, 2 + n), np.array([n - 1, 1])) for n in range(2, 60)]


@pytest.fixture
def dataset(tmp_path):
    """Two shards, written by TensorFlow."""
    import tensorflow as tf

    shards = []
    for index in range(2):
        name = shard_name("train", index, 2)
        path = tmp_path / name
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for ids, lengths in DOCUMENTS:
                writer.write(serialize_document(ids + index, lengths))
        content = path.read_bytes()
        shards.append(
            Shard(
                name=name,
                documents=len(DOCUMENTS),
                segments=2 * len(DOCUMENTS),
                tokens=sum(len(ids) for ids, _ in DOCUMENTS),
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
            )
        )
    written = PreparedDataset(
        folder=str(tmp_path),
        vocabulary_sha256=hashlib.sha256(b"model").hexdigest(),
        vocabulary_size=100,
        special_ids={"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4},
        seed=0,
        splits={"train": tuple(shards), "dev": ()},
        settings={},
        report={},
    )
    write_dataset(written)
    return written


def test_round_trip(dataset):
    import tensorflow as tf

    read = read_dataset(dataset.folder)
    assert read == dataset
    assert read.count("train", "documents") == 2 * len(DOCUMENTS)
    assert read.count("dev", "documents") == 0
    in_graph = tf.data.TFRecordDataset(
        read.paths("train")[:1], compression_type="GZIP"
    ).map(parse_document)
    in_python = read_documents(read.paths("train")[0])
    for graph, python, (ids, lengths) in zip(
        in_graph, in_python, DOCUMENTS, strict=True
    ):
        assert graph["token_ids"].numpy().tolist() == ids.tolist()
        assert graph["segment_lengths"].numpy().tolist() == lengths.tolist()
        assert python[0].tolist() == ids.tolist()
        assert python[1].tolist() == lengths.tolist()


def test_unfinished_folder(dataset, tmp_path):
    (tmp_path / "dataset.json").unlink()
    with pytest.raises(FileNotFoundError, match="has not finished"):
        read_dataset(tmp_path)


def test_another_vocabulary(dataset):
    dataset.check_vocabulary(b"model")
    with pytest.raises(ValueError, match="must be the one that the data"):
        dataset.check_vocabulary(b"another")


def test_missing_shard(dataset, tmp_path):
    (tmp_path / dataset.splits["train"][1].name).unlink()
    with pytest.raises(FileNotFoundError, match="train-00001-of-00002"):
        read_dataset(tmp_path)


def test_shard_cut_in_the_middle(dataset, tmp_path):
    path = tmp_path / dataset.splits["train"][1].name
    content = path.read_bytes()
    for cut in (0, 5, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="train-00001-of-00002.*was cut"):
            read_dataset(tmp_path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="train-00001-of-00002"):
        list(read_documents(path))


def test_changed_shard_of_the_same_size(dataset, tmp_path):
    path = tmp_path / dataset.splits["train"][0].name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    read = read_dataset(tmp_path)
    with pytest.raises(ValueError, match="train-00000-of-00002"):
        read.check_shards(contents=True)


def test_segments_that_do_not_make_up_the_tokens(tmp_path):
    import tensorflow as tf

    path = tmp_path / "shard"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        writer.write(serialize_document(np.arange(5), np.array([2, 2])))
    with pytest.raises(ValueError, match="segments"):
        list(read_documents(path))


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"format": "other"},
        {"splits": {"train": []}},
        {"seed": None, "more": 1},
    ],
)
def test_other_descriptions(dataset, tmp_path, change):
    path = tmp_path / "dataset.json"
    content = json.loads(path.read_text()) | change
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="must describe prepared data"):
        read_dataset(tmp_path)


def test_shards_outside_of_the_folder(dataset, tmp_path):
    path = tmp_path / "dataset.json"
    content = json.loads(path.read_text())
    content["splits"]["train"][0]["name"] = "../elsewhere"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="elsewhere"):
        read_dataset(tmp_path)


def test_shards_are_plain_gzip(dataset):
    with gzip.open(dataset.paths("train")[0]) as file:
        assert len(file.read()) > 0
