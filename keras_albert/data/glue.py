"""GLUE's tasks: their files, labels and metrics, as the benchmark has them.

Wang et al. 2019, https://arxiv.org/abs/1804.07461. The folders are those of
the official archives, one a task; files may end in `.gz`. CoLA, MRPC and
STS-B are also read as their authors publish them.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np

from keras_albert.data.labels import encode_labels, parse_scores
from keras_albert.data.readers import Rows, read_rows, read_text

_BINARY = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")
# What the site's sample submissions have; STS-B's scores are 0 to 5.
_SCORE_FORMAT = "{:.3f}"
_LARGEST_SCORE = 5.0


@dataclasses.dataclass(frozen=True)
class Source:
    """Files that together are one split of a task.

    Attributes:
        files: names, in the folder of the data.
        texts: columns of the text, or of the two texts: names, or numbers
            from 0 where there is no header.
        label: column of the label; `None`: of a test split, which has none.
        skips_broken: bool. Whether rows with missing fields are left out, as
            in the original's code: the official files have such.
    """

    files: tuple[str, ...]
    texts: tuple[str, ...]
    label: str | None = None
    skips_broken: bool = False


@dataclasses.dataclass(frozen=True)
class GlueTask:
    """A task of GLUE.

    Attributes:
        name: string, of its folder.
        labels: the classes in order, as they stand in files and submissions;
            `None`: scores.
        metrics: the official ones, by the names of `score_glue`.
        train: sources; the first one whose files are there counts.
        dev: sources by name; the name is `""` for tasks with one dev split.
        tests: sources by the name of the submission file, without `.tsv`.
    """

    name: str
    labels: tuple[str, ...] | None
    metrics: tuple[str, ...]
    train: tuple[Source, ...]
    dev: Mapping[str, tuple[Source, ...]]
    tests: Mapping[str, tuple[Source, ...]]


@dataclasses.dataclass
class Examples:
    """A split that was read.

    Attributes:
        texts: list of strings, or of pairs of strings as 2-tuples.
        targets: `(texts,)` int32 classes or float32 scores; `None`: a test
            split.
        index: what the rows of a test split are called in a submission, list
            of strings; `None`: of other splits.
        left_out: int, the rows with missing fields.
    """

    texts: list
    targets: np.ndarray | None
    index: list[str] | None
    left_out: int

    def __len__(self):
        return len(self.texts)


@dataclasses.dataclass
class TaskData:
    """What there is of a task.

    Attributes:
        train: an `Examples`.
        dev: `Examples` by name.
        tests: `Examples` by the name of the submission file; those that
            there are.
        missing: the names of the others.
    """

    train: Examples
    dev: dict[str, Examples]
    tests: dict[str, Examples]
    missing: list[str]


# === The tasks ===


def _usual(name, labels, metrics, *texts, skips_broken=False, label="label"):
    """A task with a header in all of its files."""

    def source(split, label=None):
        return Source(
            (f"{name}/{split}.tsv",), texts, label, skips_broken and bool(label)
        )

    return GlueTask(
        name,
        labels,
        metrics,
        (source("train", label),),
        {"": (source("dev", label),)},
        {name: (source("test"),)},
    )


def _cola():
    def source(*splits):
        # No header: source, label, the author's mark, sentence.
        files = tuple(f"CoLA/{split}.tsv" for split in splits)
        return Source(files, ("3",), "1")

    return dataclasses.replace(
        _usual("CoLA", _BINARY, ("matthews",), "sentence"),
        train=(source("train"), source("in_domain_train")),
        dev={"": (source("dev"), source("in_domain_dev", "out_of_domain_dev"))},
    )


def _sts_b():
    task = _usual(
        "STS-B",
        None,
        ("pearson", "spearman"),
        "sentence1",
        "sentence2",
        label="score",
    )

    def published(split, label="4"):
        # No header: genre, file, year, number, score, sentences, at times
        # licences.
        return Source((f"STS-B/sts-{split}.tsv",), ("5", "6"), label)

    return dataclasses.replace(
        task,
        train=(*task.train, published("train")),
        dev={"": (*task.dev[""], published("dev"))},
        tests={"STS-B": (*task.tests["STS-B"], published("test", None))},
    )


def _mnli():
    def source(split, label=None, name="MNLI"):
        return (
            Source((f"{name}/{split}.tsv",), ("sentence1", "sentence2"), label),
        )

    return GlueTask(
        "MNLI",
        ("contradiction", "entailment", "neutral"),
        ("accuracy",),
        source("train", "gold_label"),
        {
            "matched": source("dev_matched", "gold_label"),
            "mismatched": source("dev_mismatched", "gold_label"),
        },
        {
            "MNLI-m": source("test_matched"),
            "MNLI-mm": source("test_mismatched"),
            # The diagnostic set, where the archives and the usual scripts
            # that fetch them put it.
            "AX": (
                *source("AX", name="AX"),
                *source("AX"),
                *source("diagnostic", name="diagnostic"),
            ),
        },
    )


TASKS = {
    task.name: task
    for task in (
        _cola(),
        _usual("SST-2", _BINARY, ("accuracy",), "sentence"),
        _usual(
            "MRPC",
            _BINARY,
            ("f1", "accuracy"),
            "#1 String",
            "#2 String",
            label="Quality",
        ),
        _sts_b(),
        _usual(
            "QQP",
            _BINARY,
            ("f1", "accuracy"),
            "question1",
            "question2",
            label="is_duplicate",
            skips_broken=True,
        ),
        _mnli(),
        _usual("QNLI", _ENTAILMENT, ("accuracy",), "question", "sentence"),
        _usual("RTE", _ENTAILMENT, ("accuracy",), "sentence1", "sentence2"),
        _usual("WNLI", _BINARY, ("accuracy",), "sentence1", "sentence2"),
    )
}


# === Reading ===


def tasks_in(folder: str | os.PathLike) -> list[str]:
    """The tasks whose training files are in a folder.

    Args:
        folder: path, with a folder a task.

    Returns:
        list of names, in GLUE's order, at least one.

    Raises:
        ValueError: if there are none.
        OSError: if there is no such folder.
    """
    if not os.path.isdir(folder):
        raise NotADirectoryError(
            f"GLUE's data must be a folder with a folder for each task. There "
            f"is no folder {os.fspath(folder)}; check the path."
        )
    names = [
        name
        for name, task in TASKS.items()
        if _found(folder, task.train) is not None
    ]
    if not names:
        raise ValueError(
            f"{os.fspath(folder)} must hold GLUE's tasks in folders called "
            f"{', '.join(TASKS)}, each with its train.tsv (or .tsv.gz). It "
            "holds none."
        )
    return names


def read_task(
    folder: str | os.PathLike, name: str, rows: int | None = None
) -> TaskData:
    """Reads a task's splits.

    Args:
        folder: path, with a folder a task.
        name: string, of the task.
        rows: int, the most training rows: as many are drawn at random, the
            same ones every time. All by default.

    Returns:
        A `TaskData`.

    Raises:
        ValueError: if a file or a row is not as described; the message names
            file and line.
        OSError: if training or dev files are not there, or one cannot be
            read.
    """
    if name not in TASKS:
        raise ValueError(
            f"The task must be one of {', '.join(TASKS)}. Received: {name!r}."
        )
    if rows is not None and rows < 1:
        raise ValueError(f"`rows` must be positive. Received: rows={rows}.")
    task = TASKS[name]
    train = _read(folder, task, _needed(folder, task, task.train))
    if rows is not None and rows < len(train):
        chosen = np.random.default_rng(0).permutation(len(train))[:rows]
        chosen.sort()
        train.texts = [train.texts[i] for i in chosen]
        train.targets = train.targets[chosen]
    dev = {
        key: _read(folder, task, _needed(folder, task, sources))
        for key, sources in task.dev.items()
    }
    found = {key: _found(folder, x) for key, x in task.tests.items()}
    return TaskData(
        train,
        dev,
        {
            key: _read(folder, task, source)
            for key, source in found.items()
            if source is not None
        },
        [key for key, source in found.items() if source is None],
    )


def _path(folder, name):
    """The path of a file, plain or packed; `None` if there is neither."""
    for path in (
        os.path.join(folder, name),
        os.path.join(folder, name + ".gz"),
    ):
        if os.path.isfile(path):
            return path
    return None


def _found(folder, sources):
    for source in sources:
        if all(_path(folder, name) for name in source.files):
            return source
    return None


def _needed(folder, task, sources):
    source = _found(folder, sources)
    if source is None:
        names = " or ".join(" with ".join(x.files) for x in sources)
        raise FileNotFoundError(
            f"GLUE's {task.name} must have {names} (or .gz) in "
            f"{os.fspath(folder)}. It is not there; add it, or leave out the "
            "task."
        )
    return source


def _read(folder, task, source):
    examples = Examples([], None, None, 0)
    targets, index = [], []
    for name in source.files:
        path = _path(folder, name)
        broken: list[int] = []
        column = source.label or _index_column(path)
        rows = read_rows(
            path,
            *(*source.texts, None)[:2],
            column,
            broken if source.skips_broken else None,
        )
        examples.texts += rows.texts
        examples.left_out += len(broken)
        if source.label is None:
            numbers = [str(i) for i in range(len(rows))]
            index += numbers if column is None else _unique(rows)
        else:
            targets.append(_targets(rows, task))
    if source.label is None:
        examples.index = index
    else:
        examples.targets = np.concatenate(targets)
    return examples


def _index_column(path):
    """The column that numbers the rows of a test file, where it has one."""
    header = read_text(path).partition("\n")[0].rstrip("\r").split("\t")
    # QQP's is called `id`. Authors' own test files have none.
    return next((name for name in ("index", "id") if name in header), None)


def _unique(rows: Rows) -> list[str]:
    lines: dict[str, int] = {}
    for row, name in enumerate(rows.labels or ()):
        if not name.strip():
            raise ValueError(
                f"{rows.where(row)}: the index must not be empty, since "
                "answers go by it. Give it one."
            )
        if lines.setdefault(name, row) != row:
            raise ValueError(
                f"{rows.where(row)}: the index must be another than that of "
                f"line {rows.lines[lines[name]]}. Both are {name!r}; correct "
                "one, since answers go by it."
            )
    return list(lines)


def _targets(rows, task):
    if task.labels is not None:
        return encode_labels(rows, task.labels)
    scores = parse_scores(rows)
    for row in np.flatnonzero((scores < 0) | (scores > _LARGEST_SCORE)):
        raise ValueError(
            f"{rows.where(row)}: the score must lie between 0 and 5. It is "
            f"{scores[row]:g}; correct it, or remove the row."
        )
    return scores


# === Submissions ===


def submission(task: GlueTask, index: Sequence[str], values: np.ndarray) -> str:
    """A file of predictions as GLUE's site takes it.

    Args:
        task: a `GlueTask`.
        index: what the test rows are called.
        values: `(rows, classes)` float, the largest of which is the class;
            `(rows, 1)` float scores, which are clipped to 0 to 5.

    Returns:
        string: the header `index`, `prediction`, and a row a text, between
        tabs; classes go by the names that they have in the files.
    """
    if task.labels is None:
        scores = np.clip(values[:, 0], 0.0, _LARGEST_SCORE)
        answers = [_SCORE_FORMAT.format(score) for score in scores]
    else:
        answers = [task.labels[i] for i in values.argmax(axis=-1)]
    rows = [("index", "prediction"), *zip(index, answers, strict=True)]
    return "".join(f"{name}\t{answer}\n" for name, answer in rows)
