import hashlib

import numpy as np
import pytest
import tensorflow as tf

from keras_albert.pretraining.records import (
    PreparedDataset,
    Shard,
    shard_name,
    write_dataset,
)


@pytest.fixture(scope="session")
def write_prepared(tokenizer):
    """Writes a folder as `prepare-pretraining` does."""

    def write(folder, splits):
        """`splits`: names to shards, lists of documents, lists of segments."""
        shards = {"train": [], "dev": []}
        for split, parts in splits.items():
            for index, documents in enumerate(parts):
                name = shard_name(split, index, len(parts))
                write_shard(folder / name, documents)
                content = (folder / name).read_bytes()
                segments = [s for document in documents for s in document]
                shards[split].append(
                    Shard(
                        name,
                        len(documents),
                        len(segments),
                        sum(map(len, segments)),
                        len(content),
                        hashlib.sha256(content).hexdigest(),
                    )
                )
        dataset = PreparedDataset(
            folder=str(folder),
            vocabulary_sha256=hashlib.sha256(tokenizer.proto).hexdigest(),
            vocabulary_size=tokenizer.vocabulary_size(),
            special_ids={"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4},
            seed=0,
            splits={name: tuple(part) for name, part in shards.items()},
            settings={},
            report={},
        )
        write_dataset(dataset)
        return dataset

    def write_shard(path, documents):
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for segments in documents:
                features = {
                    "token_ids": [i for segment in segments for i in segment],
                    "segment_lengths": [len(segment) for segment in segments],
                }
                features = {
                    name: tf.train.Feature(
                        int64_list=tf.train.Int64List(value=values)
                    )
                    for name, values in features.items()
                }
                writer.write(
                    tf.train.Example(
                        features=tf.train.Features(feature=features)
                    ).SerializeToString()
                )

    return write


@pytest.fixture(scope="session")
def random_documents():
    """Documents of random tokens: few kinds, so that models learn a little."""

    def make(count, seed=0):
        generator = np.random.default_rng(seed)
        return [
            [
                generator.integers(40, 60, generator.integers(3, 12)).tolist()
                for _ in range(generator.integers(1, 9))
            ]
            for _ in range(count)
        ]

    return make


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, write_prepared, random_documents):
    """A small prepared folder: three shards and one of dev documents."""
    folder = tmp_path_factory.mktemp("prepared")
    return write_prepared(
        folder,
        {
            "train": [random_documents(12, seed) for seed in range(3)],
            "dev": [random_documents(6, 9)],
        },
    )
