"""The Apache Beam pipeline from text files to shards of token ids.

    blocks ─ read ─ encode ─┬─ records by shard ────────────┐
                            └─ buckets ─ near-duplicates ───┴─ write shards

Documents are shuffled once, as they will be written. What a shard holds, and
its bytes, follow from the documents alone: neither the number of workers nor
the runner changes them.
"""

import collections
import dataclasses
import gzip
import hashlib
import io
import itertools
import json
import os
import struct
from collections.abc import Iterable, Iterator
from typing import IO, cast

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from keras_albert.data.minhash import minhash
from keras_albert.pretraining import near_duplicates
from keras_albert.pretraining.documents import (
    Block,
    TextFormat,
    open_binary,
    read_chunks,
    sentences_of,
)
from keras_albert.pretraining.encoding import (
    DocumentEncoder,
    document_hash,
    serialize_document,
    tfrecord,
)

REPORT_FILE = "report.json"
# Before each record on its way to a shard: hash, segments, tokens, and length
# of the record.
_HEADER = struct.Struct("<16sIII")
_HASH = struct.Struct(">QQ")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a pipeline is to do; the workers get a copy.

    Attributes:
        blocks: What to read.
        text_format: How documents are written.
        model: The folded SentencePiece model.
        folder: Where shards and report are written.
        shards: Names of files, those of training first.
        train_shards: Number of these.
        dev_fraction: Share of the documents that go to the other ones.
        seed: Of the choice of these.
        min_tokens: Shorter documents are left out.
        max_segment_tokens: Longer sentences are cut.
        similarity: From which on documents are near-duplicates; 1 keeps them.
        progress_file: To which workers on this machine add what they did.
    """

    blocks: tuple[Block, ...]
    text_format: TextFormat
    model: bytes
    folder: str
    shards: tuple[str, ...]
    train_shards: int
    dev_fraction: float
    seed: int
    min_tokens: int
    max_segment_tokens: int
    similarity: float
    progress_file: str | None

    def shard_of(self, digest: bytes) -> int:
        """The shard of a document, by its hash."""
        number = int.from_bytes(digest[8:])
        if self.train_shards < len(self.shards):
            key = b"%d:%s" % (self.seed, digest)
            draw = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
            if draw < self.dev_fraction * 2**64:
                dev_shards = len(self.shards) - self.train_shards
                return self.train_shards + number % dev_shards
        return number % self.train_shards


def build(pipeline: beam.Pipeline, plan: Plan) -> None:
    """Adds the pipeline's steps.

    Args:
        pipeline: Apache Beam's pipeline.
        plan: What it is to do.
    """
    # A compressed file has one reader, but not one worker for all its text.
    whole = [block for block in plan.blocks if block.end is None]
    parts = [block for block in plan.blocks if block.end is not None]
    chunks, reports = [], []
    for name, blocks in (("files", whole), ("blocks", parts)):
        if not blocks:
            continue
        read = (
            pipeline
            | f"list {name}" >> beam.Create(blocks)
            | f"spread {name}" >> beam.Reshuffle()
            | f"read {name}"
            >> beam.ParDo(_Read(plan.text_format)).with_outputs(
                "reports", main="chunks"
            )
        )
        reports.append(read.reports)
        chunks.append(
            read.chunks
            if name == "blocks"
            else read.chunks | "spread text" >> beam.Reshuffle()
        )
    encoded = (
        chunks
        | "all text" >> beam.Flatten()
        | "encode"
        >> beam.ParDo(_Encode(plan)).with_outputs(
            "reports", "buckets", main="records"
        )
    )
    removed = (
        encoded.buckets
        | "buckets" >> beam.GroupByKey()
        | "compare" >> beam.ParDo(_FindNearDuplicates(plan))
    )
    every_shard = pipeline | "shards" >> beam.Create(
        [(index, True) for index in range(len(plan.shards))]
    )
    written = (
        {"records": encoded.records, "removed": removed, "shard": every_shard}
        | "by shard" >> beam.CoGroupByKey()
        | "write" >> beam.ParDo(_WriteShard(plan))
    )
    (
        [*reports, encoded.reports, written]
        | "all reports" >> beam.Flatten()
        | "one key" >> beam.Map(_with_one_key)
        | "together" >> beam.GroupByKey()
        | "report" >> beam.ParDo(_WriteReport(plan.folder))
    )


class _Read(beam.DoFn):
    def __init__(self, text_format: TextFormat):
        self._text_format = text_format

    def process(self, block: Block) -> Iterator:
        try:
            yield from read_chunks(block, self._text_format, open_anywhere)
        except ValueError as error:
            yield beam.pvalue.TaggedOutput("reports", {"failure": str(error)})


class _Encode(beam.DoFn):
    """Chunks of documents to records and to what tells their likeness.

    They leave in few large pieces: Beam takes its time for each element.
    """

    def __init__(self, plan: Plan):
        self._plan = plan

    def setup(self) -> None:
        plan = self._plan
        self._encoder = DocumentEncoder(plan.model, plan.max_segment_tokens)

    def process(self, chunk: list[bytes]) -> Iterator:
        plan = self._plan
        counts: collections.Counter = collections.Counter()
        shards: dict[int, bytearray] = collections.defaultdict(bytearray)
        digests, signatures = bytearray(), []
        documents = itertools.chain.from_iterable(
            sentences_of(document, plan.text_format, counts)
            for document in chunk
        )
        for sentences in documents:
            ids, lengths = self._encoder.encode(sentences)
            counts["documents_read"] += 1
            if len(ids) < plan.min_tokens:
                counts["too_short" if len(ids) else "without_text"] += 1
                continue
            counts["tokens_read"] += len(ids)
            counts["unknown_tokens"] += int(
                np.count_nonzero(ids == self._encoder.unknown_id)
            )
            digest = document_hash(ids)
            record = serialize_document(ids, lengths)
            shards[plan.shard_of(digest)] += (
                _HEADER.pack(digest, len(lengths), len(ids), len(record))
                + record
            )
            if plan.similarity < 1:
                digests += digest
                signatures.append(minhash(ids))
        for shard, content in shards.items():
            yield shard, bytes(content)
        if signatures:
            yield from self._buckets(np.array(signatures), bytes(digests))
        yield beam.pvalue.TaggedOutput("reports", {"counts": dict(counts)})
        note_progress(plan.progress_file, sum(map(len, chunk)))

    def _buckets(self, signatures: np.ndarray, digests: bytes) -> Iterator:
        documents = np.frombuffer(digests, ">u8").reshape(-1, 2)
        entries = near_duplicates.bucket_entries(
            signatures, documents.astype(np.uint64)
        )
        # As many tables of buckets as there are shards, by bucket.
        table = entries["band"] % np.uint64(len(self._plan.shards))
        for index in np.unique(table):
            yield beam.pvalue.TaggedOutput(
                "buckets", (int(index), entries[table == index].tobytes())
            )


class _FindNearDuplicates(beam.DoFn):
    def __init__(self, plan: Plan):
        self._plan = plan

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator:
        entries = np.frombuffer(b"".join(element[1]), near_duplicates.ENTRY)
        shards = collections.defaultdict(list)
        for halves in near_duplicates.near_duplicates(
            entries, self._plan.similarity
        ):
            digest = _HASH.pack(*map(int, halves))
            shards[self._plan.shard_of(digest)].append(digest)
        for shard, digests in shards.items():
            yield shard, b"".join(digests)


class _WriteShard(beam.DoFn):
    def __init__(self, plan: Plan):
        self._plan = plan

    def process(self, element: tuple[int, dict]) -> Iterator[dict]:
        index, groups = element
        removed: set[bytes] = set()
        for digests in groups["removed"]:
            removed.update(
                digests[i : i + 16] for i in range(0, len(digests), 16)
            )
        # Of copies the one whose segments come first stays.
        records = sorted(_records(groups["records"]))
        counts: collections.Counter = collections.Counter()
        content = io.BytesIO()
        former = None
        # Neither the time nor a name is in the file's header.
        with gzip.GzipFile("", "wb", 6, content, mtime=0) as file:
            for digest, record, segments, tokens in records:
                if digest == former:
                    counts["exact_duplicates"] += 1
                    continue
                former = digest
                if digest in removed:
                    counts["near_duplicates"] += 1
                    continue
                file.write(tfrecord(record))
                counts["documents"] += 1
                counts["segments"] += segments
                counts["tokens"] += tokens
                counts["one_segment"] += segments == 1
        name = self._plan.shards[index]
        try:
            _write(self._plan.folder, name, content.getvalue())
        except OSError as error:
            _remove(self._plan.folder, name)  # Room for the report.
            yield {"failure": f"Could not write {name}: {error}."}
            return
        shard = {
            "name": name,
            "documents": counts["documents"],
            "segments": counts["segments"],
            "tokens": counts["tokens"],
            "bytes": content.getbuffer().nbytes,
            "sha256": hashlib.sha256(content.getbuffer()).hexdigest(),
        }
        dropped = ("exact_duplicates", "near_duplicates", "one_segment")
        yield {"shard": shard, "counts": {n: counts[n] for n in dropped}}


def _records(groups: Iterable[bytes]) -> Iterator[tuple]:
    for group in groups:
        position = 0
        while position < len(group):
            digest, segments, tokens, length = _HEADER.unpack_from(
                group, position
            )
            position += _HEADER.size
            yield digest, group[position : position + length], segments, tokens
            position += length


class _WriteReport(beam.DoFn):
    def __init__(self, folder: str):
        self._folder = folder

    def process(self, element: tuple[None, Iterable[dict]]) -> None:
        counts: collections.Counter = collections.Counter()
        shards, failures = [], set()
        for report in element[1]:
            counts.update(report.get("counts", {}))
            if "shard" in report:
                shards.append(report["shard"])
            if "failure" in report:
                failures.add(report["failure"])
        content = {
            "counts": dict(sorted(counts.items())),
            "shards": sorted(shards, key=lambda shard: shard["name"]),
            "failures": sorted(failures),
        }
        _write(self._folder, REPORT_FILE, json.dumps(content).encode())


def _with_one_key(report: dict) -> tuple[None, dict]:
    return None, report


def _write(folder: str, name: str, content: bytes) -> None:
    path = FileSystems.join(folder, name)
    with FileSystems.create(
        path, compression_type=CompressionTypes.UNCOMPRESSED
    ) as file:
        file.write(content)


def _remove(folder: str, name: str) -> None:
    path = FileSystems.join(folder, name)
    if not FileSystems.exists(path):
        return
    if is_local(path):
        # Beam would take brackets in a folder's name for a pattern.
        os.remove(path)
    else:
        FileSystems.delete([path])


def is_local(path: str) -> bool:
    """Whether a path is on this machine, not `gs://…` or the like."""
    return "://" not in path


def open_anywhere(path: str) -> IO[bytes]:
    """Opens a file, local or not, uncompressed when it ends in `.gz`."""
    if is_local(path):
        return open_binary(path)
    file = FileSystems.open(
        path, compression_type=CompressionTypes.UNCOMPRESSED
    )
    if path.endswith(".gz"):
        return cast(IO[bytes], gzip.open(file, "rb"))
    return file


def note_progress(path: str | None, amount: int) -> None:
    """Adds a number of bytes to what is done."""
    if path is None:
        return
    # One small write at a time: workers do not get between each other.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, struct.pack("<Q", amount))
    finally:
        os.close(descriptor)


def read_progress(path: str) -> int:
    """The bytes that are done."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return 0
    whole = len(content) // 8 * 8
    return int(np.frombuffer(content[:whole], "<u8").sum())
