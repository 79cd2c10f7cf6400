"""The tokenized documents that pretraining reads: schema, writing, reading.

A prepared folder holds

- `train-00000-of-00004.tfrecord.gz`, …, `dev-00000-of-00001.tfrecord.gz`:
  gzipped TFRecord files, a `tf.train.Example` a document, with two int64
  lists: `token_ids`, all segments of the document one after the other,
  without special tokens; and `segment_lengths`, in tokens, one a segment (a
  sentence, or a line), each at least 1, their sum the number of tokens;
- `dataset.json`, written last: a folder without it is not finished.

Where words start is not stored: it follows from the vocabulary's pieces.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator

import numpy as np

from keras_albert.presets.saving import whole_file

DATASET_FILE = "dataset.json"
SPLITS = ("train", "dev")
TOKEN_IDS = "token_ids"
SEGMENT_LENGTHS = "segment_lengths"
# Raised when files that are written would be misread by what read earlier
# ones.
FORMAT_VERSION = 1
_FORMAT = "keras_albert.pretraining"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records.

    Attributes:
        name: File name, without the folder.
        documents: Number of records.
        segments: Number of segments in them.
        tokens: Number of tokens in them.
        bytes: Size of the file.
        sha256: Checksum of the file, hexadecimal.
    """

    name: str
    documents: int
    segments: int
    tokens: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
    """A finished folder of records, as `dataset.json` describes it.

    Attributes:
        folder: Path of the folder.
        vocabulary_sha256: Checksum of the folded SentencePiece model, the
            `proto` of `AlbertTokenizer`, hexadecimal.
        vocabulary_size: Number of pieces.
        special_ids: Ids of `<pad>`, `<unk>`, `[CLS]`, `[SEP]` and `[MASK]`
            under the keys `pad`, `unk`, `cls`, `sep` and `mask`.
        seed: Seed of the choice of dev documents.
        splits: `train` and `dev`, with the shards of each in order; a split
            without documents has none.
        settings: What else the data was prepared with.
        report: What was read, dropped and kept.
    """

    folder: str
    vocabulary_sha256: str
    vocabulary_size: int
    special_ids: dict[str, int]
    seed: int
    splits: dict[str, tuple[Shard, ...]]
    settings: dict
    report: dict

    def paths(self, split: str) -> list[str]:
        """Paths of a split's shards, in order."""
        return [
            os.path.join(self.folder, shard.name)
            for shard in self.splits[split]
        ]

    def count(self, split: str, what: str) -> int:
        """Documents, segments, tokens or bytes of a split.

        Args:
            split: `"train"` or `"dev"`.
            what: A number that `Shard` has.
        """
        return sum(getattr(shard, what) for shard in self.splits[split])

    def summary(self) -> dict:
        """The counts: what was read and left out, and each split's content."""
        return self.report | {
            f"{split}_{what}": self.count(split, what)
            for split in SPLITS
            for what in ("documents", "segments", "tokens", "bytes")
        }

    def to_json(self) -> str:
        """The content of `dataset.json`."""
        content = {"format": _FORMAT, "format_version": FORMAT_VERSION}
        content |= dataclasses.asdict(self)
        del content["folder"]
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def check_vocabulary(self, model: bytes) -> None:
        """Checks that the data was tokenized with this vocabulary.

        Args:
            model: A folded SentencePiece model, `AlbertTokenizer.proto`.

        Raises:
            ValueError: If it was another one.
        """
        found = hashlib.sha256(model).hexdigest()
        if found != self.vocabulary_sha256:
            raise ValueError(
                "The vocabulary must be the one that the data was prepared "
                f"with (sha256 {self.vocabulary_sha256[:12]}…, "
                f"{self.vocabulary_size} pieces). Received one with sha256 "
                f"{found[:12]}…, for {self.folder}; prepare the data with it, "
                "or give the other one."
            )

    def check_shards(self, contents: bool = False) -> None:
        """Checks that every shard is there as a whole.

        Args:
            contents: Whether files are read and compared with their
                checksums, too; else only their sizes are.

        Raises:
            FileNotFoundError: If a shard is missing; named.
            ValueError: If one was cut or changed; named.
        """
        for shard in (s for split in SPLITS for s in self.splits[split]):
            path = os.path.join(self.folder, shard.name)
            if not os.path.isfile(path):
                raise FileNotFoundError(
                    f"{DATASET_FILE} lists {shard.name}, which is missing "
                    f"from {self.folder}. Copy it there, or prepare the data "
                    "again."
                )
            size = os.path.getsize(path)
            if size != shard.bytes:
                raise _damaged(path, f"{shard.bytes} bytes", f"{size}")
            if contents and _sha256(path) != shard.sha256:
                raise _damaged(path, f"sha256 {shard.sha256}", "another")


def shard_name(split: str, index: int, count: int) -> str:
    """The name of a shard's file."""
    return f"{split}-{index:05d}-of-{count:05d}.tfrecord.gz"


def read_dataset(folder: str | os.PathLike) -> PreparedDataset:
    """Reads the description of a finished folder, and checks the sizes.

    Args:
        folder: Path of what `prepare-pretraining` wrote.

    Raises:
        FileNotFoundError: If the folder, its `dataset.json` or a shard is
            missing.
        ValueError: If `dataset.json` is none, or of another version, or a
            shard was cut.
    """
    folder = os.path.abspath(os.fspath(folder))
    path = os.path.join(folder, DATASET_FILE)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"Prepared data must have a {DATASET_FILE}. {folder} has none: "
            "`keras-albert prepare-pretraining` has not finished there."
        )
    with open(path, encoding="utf-8") as file:
        try:
            content = json.load(file)
            dataset = _from_json(folder, content)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} must describe prepared data, format {_FORMAT}, "
                f"version {FORMAT_VERSION}. It does not: {error!r}. Prepare "
                "the data again."
            ) from error
    dataset.check_shards()
    return dataset


def write_dataset(dataset: PreparedDataset) -> None:
    """Writes `dataset.json`, as a whole or not at all.

    Args:
        dataset: The description; its shards are in the folder already.
    """
    with (
        whole_file(os.path.join(dataset.folder, DATASET_FILE)) as partial,
        open(partial, "w", encoding="utf-8") as file,
    ):
        file.write(dataset.to_json())


def parse_document(record):
    """Reads a record in a `tf.data` pipeline.

    Args:
        record: string tensor, one record.

    Returns:
        A dictionary with `token_ids` `(tokens,)` and `segment_lengths`
        `(segments,)`, int64.
    """
    import tensorflow as tf

    return tf.io.parse_single_example(
        record,
        {
            name: tf.io.FixedLenSequenceFeature([], tf.int64, True)
            for name in (TOKEN_IDS, SEGMENT_LENGTHS)
        },
    )


def read_documents(
    path: str | os.PathLike,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reads a shard in Python.

    Args:
        path: Path of the shard.

    Yields:
        `token_ids` and `segment_lengths` of a document, int64.

    Raises:
        ValueError: If the shard is cut or damaged.
    """
    import tensorflow as tf

    path = os.fspath(path)
    records = tf.data.TFRecordDataset([path], compression_type="GZIP")
    try:
        for record in records.as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            token_ids, segment_lengths = (
                np.array(features[name].int64_list.value, dtype=np.int64)
                for name in (TOKEN_IDS, SEGMENT_LENGTHS)
            )
            if segment_lengths.sum() != len(token_ids):
                raise _damaged(path, "segments that make up the tokens", "not")
            yield token_ids, segment_lengths
    except tf.errors.DataLossError as error:
        raise _damaged(path, "whole records", error.message) from error


def _damaged(path: str, expected: str, found: str) -> ValueError:
    return ValueError(
        f"A shard must be as it was written. {path} was cut or changed: "
        f"expected {expected}, found {found}. Copy it again, or prepare the "
        "data again."
    )


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_json(folder: str, content: dict) -> PreparedDataset:
    version = (content.pop("format"), content.pop("format_version"))
    if version != (_FORMAT, FORMAT_VERSION):
        raise ValueError(f"format and version {version}")
    splits = content.pop("splits")
    for shard in (shard for split in SPLITS for shard in splits[split]):
        # Nothing that is read lies outside of the folder.
        if os.path.basename(shard["name"]) != shard["name"]:
            raise ValueError(f"the shard name {shard['name']!r}")
    return PreparedDataset(
        folder=folder,
        splits={
            split: tuple(Shard(**shard) for shard in splits[split])
            for split in SPLITS
        },
        **content,
    )
