"""From text files to a folder of tokenized documents."""

import contextlib
import dataclasses
import logging
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from typing import TextIO

from keras_albert.presets.locking import locked_folder
from keras_albert.pretraining.documents import (
    FORMATS,
    TextFormat,
    blocks_of,
    check_apart,
    check_text,
    text_files,
)
from keras_albert.pretraining.encoding import read_vocabulary
from keras_albert.pretraining.records import (
    DATASET_FILE,
    SPLITS,
    PreparedDataset,
    Shard,
    shard_name,
    write_dataset,
)

# Of folders with files that are not finished: no reader looks there.
PARTIAL_FOLDER = ".partial-"
_BYTES_OF_TEXT_A_SHARD = 4 << 20
_MOST_SHARDS = 1024
_COMPRESSION = 3  # Of text by gzip, about.


@dataclasses.dataclass(frozen=True)
class PreparationSettings:
    """What the content of prepared data depends on, next to text and seed.

    Attributes:
        format: `"text"`: a paragraph or sentence a line, blank lines between
            documents; `"jsonl"`: JSON lines, a document each.
        text_field: The field of JSON lines with the text.
        sentence_per_line: Whether each line is one sentence, not to be split.
        dev_fraction: Share of the documents, from 0 to below 1, that is kept
            apart, chosen by a hash of document and seed.
        min_tokens: Documents with fewer are left out.
        max_segment_tokens: Longer sentences are cut into segments, before
            the start of a word where there is one.
        similarity: Estimated Jaccard index of two documents' 5-token
            sequences from which on only one is kept; 1 keeps near-duplicates.
            Exact duplicates are always left out.
        shards: Number of files of training data; by default one for 4 MiB of
            text, 1024 at the most.

    Raises:
        ValueError: If one is out of its range.
    """

    format: str = "text"
    text_field: str = "text"
    sentence_per_line: bool = False
    dev_fraction: float = 0.01
    min_tokens: int = 8
    max_segment_tokens: int = 128
    similarity: float = 0.8
    shards: int | None = None

    def __post_init__(self) -> None:
        rules = {
            "format": (self.format in FORMATS, "one of text and jsonl"),
            "dev_fraction": (0 <= self.dev_fraction < 1, "from 0 to below 1"),
            "min_tokens": (self.min_tokens >= 1, "at least 1"),
            "max_segment_tokens": (
                8 <= self.max_segment_tokens <= 1 << 20,
                "from 8 to 1048576",
            ),
            "similarity": (0 < self.similarity <= 1, "above 0, at most 1"),
            "shards": (
                self.shards is None or 1 <= self.shards <= 99_999,
                "from 1 to 99999",
            ),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ValueError(
                    f"`{name}` must be {rule}. Received: "
                    f"{name}={getattr(self, name)!r}."
                )


def prepare_pretraining(
    files: Sequence[str | os.PathLike],
    vocabulary: str | os.PathLike,
    output: str | os.PathLike,
    *,
    settings: PreparationSettings | None = None,
    seed: int = 0,
    runner: str | None = None,
    workers: int | None = None,
    pipeline_options: Sequence[str] = (),
    overwrite: bool = False,
    stream: TextIO | None = None,
) -> PreparedDataset:
    """Tokenizes documents into shards that pretraining reads.

    Sentences are split, documents that occur twice or nearly so are left out
    but for one, and so are short ones. The folder is described in
    `keras_albert.pretraining.records`. Same documents, vocabulary, settings
    and seed: same bytes, whatever the number of workers, the runner, the
    order of the files, and how documents are spread over them.

    Args:
        files: Paths of UTF-8 text files, `.gz` compressed or not, and of
            folders with them. With a distributed runner also other
            filesystems' paths that Apache Beam knows (`gs://…`).
        vocabulary: Path of a SentencePiece model with ALBERT's special
            tokens.
        output: Path of the folder to write.
        settings: See `PreparationSettings`.
        seed: Seed of the choice of dev documents.
        runner: Name of an Apache Beam runner, such as `FlinkRunner`,
            `SparkRunner` or `DataflowRunner`. By default this machine, with
            one process a worker.
        workers: Processes on this machine; by default one a core.
        pipeline_options: More options of Apache Beam, as its command line
            has them.
        overwrite: Whether prepared data in `output` is replaced.
        stream: Where progress is shown, stderr by default.

    Returns:
        The dataset.

    Raises:
        ImportError: If Apache Beam is not installed.
        FileNotFoundError: If a file is missing.
        ValueError: If there is no text, no document is left, a file is
            binary or damaged, or the vocabulary lacks a special token.
        OSError: If the folder cannot be written, holds prepared data
            already, or another run is writing to it.
    """
    pipeline_module = _import_beam()
    settings = settings or PreparationSettings()
    stream = sys.stderr if stream is None else stream
    if workers is not None and workers < 1:
        raise ValueError(
            f"`workers` must be at least 1. Received: workers={workers}."
        )
    spm = read_vocabulary(vocabulary)
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    output = os.fspath(output)
    if pipeline_module.is_local(output):
        check_apart(files, output)
    sizes = _sizes(files, pipeline_module)
    with _exclusive(output, overwrite, pipeline_module) as (
        folder,
        partial,
    ):
        plan = _plan(partial, sizes, spm, settings, seed, runner)
        text_size = sum(
            size * (_COMPRESSION if path.endswith(".gz") else 1)
            for path, size in sizes.items()
        )
        from keras_albert.pretraining.running import run

        report = run(plan, runner, workers, pipeline_options, text_size, stream)
        return _finish(folder, report, plan, spm, settings, seed)


def _import_beam():
    # It warns of clouds' client libraries that are not there.
    logging.disable(logging.WARNING)
    try:
        import apache_beam  # noqa: F401
        import google_crc32c  # noqa: F401

        from keras_albert.pretraining import beam_pipeline
    except ImportError as error:
        raise ImportError(
            "Preparing data for pretraining needs Apache Beam. Install it: "
            "`pip install keras-albert[beam]`."
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    return beam_pipeline


def _sizes(files, beam_pipeline) -> dict[str, int]:
    """The size of each file in bytes, in a fixed order."""
    files = [os.fspath(path) for path in files]
    remote = [path for path in files if not beam_pipeline.is_local(path)]
    local = [os.path.abspath(p) for p in files if p not in remote]
    sizes = {}
    for path in text_files(local) if local or not remote else []:
        sizes[path] = os.path.getsize(path)
        with beam_pipeline.open_binary(path) as file:
            check_text(path, file)
    if remote:
        found = beam_pipeline.FileSystems.match(remote)
        for match in found:
            for metadata in match.metadata_list:
                sizes[metadata.path] = metadata.size_in_bytes
    if not any(sizes.values()):
        raise ValueError(
            "The files must hold text. Received only empty ones: "
            f"{', '.join(files)}."
        )
    return sizes


@contextlib.contextmanager
def _exclusive(output, overwrite, beam_pipeline) -> Iterator[tuple[str, str]]:
    """Holds the output folder, with an empty one for unfinished files."""
    systems = beam_pipeline.FileSystems
    with contextlib.ExitStack() as stack:
        if beam_pipeline.is_local(output):
            output = stack.enter_context(locked_folder(output))
        description = systems.join(output, DATASET_FILE)
        if systems.exists(description) and not overwrite:
            raise FileExistsError(
                f"The output folder must not hold prepared data. {output} "
                "does; choose another one, or give --overwrite."
            )
        # A new name a run: what is left of the workers of one that was
        # killed does not write into this one's.
        partial = systems.join(output, PARTIAL_FOLDER + uuid.uuid4().hex)
        _remove_partial_folders(output, beam_pipeline)
        systems.mkdirs(partial)
        try:
            yield output, partial
        finally:
            if beam_pipeline.is_local(output):
                shutil.rmtree(partial, ignore_errors=True)
            elif systems.exists(partial):
                systems.delete([partial])


def _remove_partial_folders(output, beam_pipeline) -> None:
    """Removes what runs that were interrupted have left."""
    if not beam_pipeline.is_local(output):
        return  # Without a lock, it may be another run's.
    for entry in list(os.scandir(output)):
        if entry.is_dir() and entry.name.startswith(PARTIAL_FOLDER):
            shutil.rmtree(entry.path, ignore_errors=True)


def _plan(partial, sizes, vocabulary, settings, seed, runner):
    from keras_albert.pretraining.beam_pipeline import Plan

    count = settings.shards or min(
        -(-sum(sizes.values()) // _BYTES_OF_TEXT_A_SHARD), _MOST_SHARDS
    )
    dev_count = 0
    if settings.dev_fraction:
        dev_count = max(round(count * settings.dev_fraction), 1)
    return Plan(
        blocks=tuple(
            block
            for path, size in sizes.items()
            for block in blocks_of(path, size)
        ),
        text_format=TextFormat(
            settings.format, settings.text_field, settings.sentence_per_line
        ),
        model=vocabulary.model,
        folder=partial,
        shards=tuple(
            shard_name(split, index, split_count)
            for split, split_count in zip(
                SPLITS, (count, dev_count), strict=True
            )
            for index in range(split_count)
        ),
        train_shards=count,
        dev_fraction=settings.dev_fraction,
        seed=seed,
        min_tokens=settings.min_tokens,
        max_segment_tokens=settings.max_segment_tokens,
        similarity=settings.similarity,
        progress_file=None if runner else os.path.join(partial, "progress.bin"),
    )


def _finish(folder, report, plan, vocabulary, settings, seed):
    """Checks what came out, and puts it in place, `dataset.json` last."""
    counts = {
        name: report["counts"].get(name, 0)
        for name in (
            "documents_read",
            "tokens_read",
            "unknown_tokens",
            "invalid_utf8_lines",
            "invalid_json_lines",
            "without_text",
            "too_short",
            "exact_duplicates",
            "near_duplicates",
            "one_segment",
        )
    }
    if report["failures"]:
        raise OSError(
            report["failures"][0]
            + f" Nothing was written to {folder}."
            + (
                f" {len(report['failures']) - 1} more files failed."
                if report["failures"][1:]
                else ""
            )
        )
    shards = {shard["name"]: Shard(**shard) for shard in report["shards"]}
    splits = {
        split: tuple(
            shards[name] for name in plan.shards if name.startswith(f"{split}-")
        )
        for split in SPLITS
    }
    # Of a split without documents there is nothing to read.
    splits = {
        split: found if any(shard.documents for shard in found) else ()
        for split, found in splits.items()
    }
    if not splits["train"]:
        raise ValueError(
            "There must be documents to train on. None was left: "
            + "".join(f"{n} {c}, " for n, c in counts.items() if c)
            + f"{_remedy(counts, splits, settings)}."
        )
    dataset = PreparedDataset(
        folder=folder,
        vocabulary_sha256=vocabulary.sha256,
        vocabulary_size=vocabulary.size,
        special_ids=vocabulary.special_ids,
        seed=seed,
        splits=splits,
        settings=dataclasses.asdict(settings),
        report=counts,
    )
    try:
        _put_in_place(dataset, plan.folder)
    except OSError as error:
        raise OSError(
            f"{folder} must be writable, and its disk have room. The data "
            f"could not be put there: {error}"
        ) from error
    return dataset


def _remedy(counts, splits, settings) -> str:
    """What to do where no document is left to train on."""
    if splits["dev"]:
        return "all others are for dev; give more text or --dev-fraction 0"
    if counts["too_short"]:
        return (
            f"documents need at least {settings.min_tokens} tokens "
            "(--min-tokens)"
        )
    if counts["invalid_json_lines"]:
        return (
            "lines must be JSON objects with a string in the field "
            f"{settings.text_field!r} (--text-field)"
        )
    if counts["invalid_utf8_lines"]:
        return "convert the files to UTF-8: `iconv -f latin1 -t utf-8`"
    return "the files hold only blank lines"


def _put_in_place(dataset: PreparedDataset, partial: str) -> None:
    from keras_albert.pretraining.beam_pipeline import FileSystems, is_local

    folder = dataset.folder
    names = [s.name for split in SPLITS for s in dataset.splits[split]]
    if is_local(folder):
        # Beam would take brackets in a folder's name for a pattern.
        _remove_prepared(folder)
        for name in names:
            os.replace(os.path.join(partial, name), os.path.join(folder, name))
        write_dataset(dataset)
        return
    former = [
        metadata.path
        for match in FileSystems.match(
            [FileSystems.join(folder, "*.tfrecord.gz")]
        )
        for metadata in match.metadata_list
    ]
    description = FileSystems.join(folder, DATASET_FILE)
    # From here on there is no finished data, until there is again.
    if FileSystems.exists(description):
        FileSystems.delete([description])
    if former:
        FileSystems.delete(former)
    FileSystems.rename(
        [FileSystems.join(partial, name) for name in names],
        [FileSystems.join(folder, name) for name in names],
    )
    unfinished = FileSystems.join(partial, DATASET_FILE)
    with FileSystems.create(unfinished) as file:
        file.write(dataset.to_json().encode())
    FileSystems.rename([unfinished], [description])


def _remove_prepared(folder: str) -> None:
    """Removes prepared data: from then on there is none that is finished."""
    names = os.listdir(folder)
    for name in [n for n in names if n == DATASET_FILE] + [
        n for n in names if n.endswith(".tfrecord.gz")
    ]:
        os.remove(os.path.join(folder, name))
