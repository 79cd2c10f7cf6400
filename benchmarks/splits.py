"""Splits of labelled texts without duplicates, for the other benchmarks."""

import json
import os
import random
import statistics

from keras_albert.data.duplicates import SEPARATOR, duplicate_groups
from keras_albert.data.inspection import Columns, inspect_files
from keras_albert.preprocessing.text_classifier import (
    AlbertTextClassifierPreprocessor,
)
from keras_albert.presets.registry import local_preset_folder
from keras_albert.tasks.loading import load_preset
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.start import load_tokenizer, make_task

BUNDLED = "albert_tiny_en"
# From random weights, so small that three runs take minutes.
SIZES = {
    "hidden_dim": 128,
    "embedding_dim": 128,
    "num_layers": 2,
    "num_heads": 4,
    "intermediate_dim": 512,
}


def add_arguments(parser, sets):
    """Adds what these benchmarks have in common."""
    add = parser.add_argument
    add("set", choices=sets, help="data set")
    add("--data", required=True, help="folder of the data sets, docs/data.md")
    add("--preset", help="start from it, not from random weights")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--epochs", type=int, help="[the set's]")
    add("--learning-rate", type=float, help="[5e-4; with a preset, its own]")
    add("--max-length", type=int, help="tokens [the set's]")
    add("--rows", type=int, help="train on the first N rows only [all]")
    add("--output", help="folder of the runs [runs/SET]")


def without_duplicates(rows, kept):
    """Rows of which none is, or nearly is, another one or one that is kept.

    Args:
        rows: list of tuples, the text or a pair of texts first.
        kept: list of the same, that stays as it is.
    """
    texts = [
        row[0] if isinstance(row[0], str) else SEPARATOR.join(row[0])
        for row in [*kept, *rows]
    ]
    groups = duplicate_groups(texts).tolist()
    first = range(len(kept), len(texts))
    return [rows[i - len(kept)] for i in first if groups[i] == i]


def split(rows, test=None, parts=(0.1, 0.2), seed=0):
    """Shuffles rows, and splits them into training, dev and test rows.

    Args:
        rows: list.
        test: list, where there is an official one; or `None`.
        parts: pair of floats, the shares of dev and test rows.
        seed: int.
    """
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    dev = round(parts[0] * len(rows))
    if test is not None:
        return rows[dev:], rows[:dev], test
    both = dev + round(parts[1] * len(rows))
    return rows[both:], rows[:dev], rows[dev:both]


def prove_no_leakage(splits, folder, max_length, regression=False):
    """Writes the splits, and has `inspect` look at them; prints what it says.

    Args:
        splits: lists of training, dev and test rows, tuples: the text or a
            pair of texts first, then the label, where there is one.
        folder: string, where the splits are written.
        max_length: int, tokens.
        regression: bool, whether labels are numbers.

    Raises:
        RuntimeError: if a split has rows of another, or rows much like these.
    """
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, rows in zip(("train", "dev", "test"), splits, strict=True):
        paths.append(os.path.join(folder, f"{name}.jsonl"))
        with open(paths[-1], "w", encoding="utf-8") as file:
            for text, *label in rows:
                sides = [text] if isinstance(text, str) else text
                row = dict(zip(("text", "pair"), sides, strict=False))
                if label:
                    row["label"] = label[0]
                file.write(json.dumps(row) + "\n")
    text, *label = splits[0][0]
    pair = None if isinstance(text, str) else "pair"
    columns = Columns("text", pair, "label" if label else None, regression)
    inspection = inspect_files(paths, columns, load_tokenizer(), max_length)
    report = inspection.report
    rows = " + ".join(f"{facts['rows']:,}" for facts in report["files"])
    cut = ", ".join(f"{100 * x['cut_rate']:.1f}" for x in report["files"])
    print(
        f"rows {rows}; cut at {max_length} tokens: {cut} %; inspect finds "
        f"leakage: {'yes' if inspection.leaks else 'none'}",
        flush=True,
    )
    if inspection.leaks:
        raise RuntimeError(f"Splits must not share rows: {report['between']}")


def start_name(preset, pooling="cls"):
    """What a model starts from, as tables and folders name it."""
    name = "random" if preset is None else os.path.basename(preset)
    return name if pooling == "cls" else f"{name}-{pooling}"


def model_start(preset):
    """Arguments of `make_task`: of a preset, or of a small random model."""
    if preset is not None:
        return {"preset": preset}
    vocabulary = "assets/tokenizer/vocabulary.spm"
    path = os.path.join(local_preset_folder(BUNDLED), vocabulary)
    return {"vocabulary": path, "sizes": SIZES}


def train_and_score(
    task_class, args, train, dev, score, monitor, *, seeds, recipe=None, **task
):
    """Fine-tunes a run a seed, and scores the best epoch of each.

    Runs that the folder holds already are not done again.

    Args:
        task_class: class of the task.
        args: what `add_arguments` added.
        train: see `fine_tune`.
        dev: likewise.
        score: function from a task to a dictionary of test metrics.
        monitor: string, the dev metric that tells which epoch is best.
        seeds: ints.
        recipe: dictionary of further arguments of `fine_tune`.
        **task: further arguments of the task.

    Returns:
        list of what `score` gives, an entry a seed.
    """
    results = []
    pooling = getattr(args, "pooling", "cls")
    name = start_name(args.preset, pooling)
    rate = args.learning_rate
    if rate is None and args.preset is None:
        rate = 5e-4
    for seed in seeds:
        model = make_task(
            task_class,
            max_length=args.max_length,
            dropout=0.1,
            seed=seed,
            **model_start(args.preset),
            **task,
        )
        folder = os.path.join(args.output, f"{name}-{seed}")
        fine_tune(
            model,
            train,
            dev,
            folder,
            epochs=args.epochs,
            learning_rate=rate,
            tokens_per_batch="auto",
            seed=seed,
            resume=True,
            monitor=monitor,
            **(recipe or {}),
        )
        results.append(score(load_preset(os.path.join(folder, "model"))))
    return results


def preprocessor(max_length):
    """That of the bundled vocabulary."""
    return AlbertTextClassifierPreprocessor.from_preset(
        BUNDLED, sequence_length=max_length
    )


def show_all(results, names, start):
    """Prints rows of metrics that `train_and_score` gave."""
    for name in names:
        show(f"{start}, {name}", [result[name] for result in results])


def show(name, values, scale=100):
    """Prints mean, standard deviation and each."""
    mean = scale * statistics.mean(values)
    spread = scale * statistics.stdev(values) if len(values) > 1 else 0.0
    each = ", ".join(f"{scale * value:.1f}" for value in values)
    print(f"{name:<34}{mean:6.1f} ± {spread:.1f}  ({each})", flush=True)
