"""CommonsenseQA with tiny models, beside guessing.

    python benchmarks/multiple_choice.py --data DIR [--seeds 0 1 2]
        [--epochs 5] [--preset P] [--train-questions N] [--dev-questions N]
        [--output runs/multiple_choice]

`DIR` has the folders of docs/data.md. CommonsenseQA's test answers are not
public: a tenth of the training questions chooses the epoch, and the dev
questions are the test. Each seed draws the weights of a small model (or, with
`--preset`, of its head), trains it by the fine-tuning recipe, and scores it.
Baselines in the same run: guessing, and the choice that shares most words with
its question. What was run before is in `results.json` of the output and is not
run again.
"""

import argparse
import json
import os
import pathlib
import statistics

import numpy as np

import splits
from keras_albert.data.choices import read_choices
from keras_albert.tasks.loading import load_preset
from keras_albert.tasks.multiple_choice import AlbertMultipleChoice
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.multiple_choice import (
    choice_batches,
    evaluate_multiple_choice,
    labelled,
)
from keras_albert.training.start import make_task

MAX_LENGTH = 96


def words(text):
    return set(text.lower().split())


def overlap_accuracy(questions, answers):
    """Of the choice with most words of the question; ties share."""
    right = []
    for (_, question, choices), answer in zip(questions, answers, strict=True):
        shared = [len(words(question) & words(choice)) for choice in choices]
        best = [i for i, n in enumerate(shared) if n == max(shared)]
        right.append((answer in best) / len(best))
    return float(np.mean(right))


def read(path, most):
    questions, answers = labelled(read_choices(path))
    return questions[:most], answers[:most]


def run(arguments, seed, train, test):
    questions, answers = train
    held_out = len(questions) // 10
    start = splits.start_name(arguments.preset)
    folder = os.path.join(arguments.output, f"commonsenseqa-{start}-{seed}")
    task = make_task(
        AlbertMultipleChoice,
        max_length=MAX_LENGTH,
        seed=seed,
        **splits.model_start(arguments.preset),
    )
    metrics = fine_tune(
        task,
        (questions[held_out:], answers[held_out:]),
        (questions[:held_out], answers[:held_out]),
        folder,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        tokens_per_batch="auto",
        seed=seed,
        resume=True,
        batches=choice_batches,
        evaluate=evaluate_multiple_choice,
        monitor="accuracy",
    )
    best = load_preset(os.path.join(folder, "model"))
    scores = evaluate_multiple_choice(best, test)
    names = ("best_epoch", "train_rows", "parameters", "backend", "seconds")
    return {
        "seed": seed,
        "accuracy": scores["accuracy"],
        "loss": scores["loss"],
        "chance": scores["chance"],
        "word_overlap": overlap_accuracy(*test),
        "questions": len(test[0]),
        "start": start,
        "epochs": arguments.epochs,
        "learning_rate": arguments.learning_rate,
        **{name: metrics[name] for name in names},
    }


def table(rows):
    values = [100 * row["accuracy"] for row in rows]
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    first = rows[0]
    # Of a share of right answers, by its binomial distribution.
    error = 100 * (first["chance"] * (1 - first["chance"])) ** 0.5
    error /= first["questions"] ** 0.5
    return "\n".join(
        [
            "| seeds | training questions | accuracy | guessing | words |",
            "|---|---|---|---|---|",
            f"| {len(rows)} | {first['train_rows']:,} | "
            f"{statistics.mean(values):.1f}{spread} | "
            f"{100 * first['chance']:.1f} ± {error:.1f} | "
            f"{100 * first['word_overlap']:.1f} |",
        ]
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--data", required=True, help="folder of the data sets")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--epochs", type=int, default=5)
    add("--learning-rate", type=float, default=5e-4)
    add("--preset", help="start from it, not from random weights")
    add("--train-questions", type=int, help="the first N only [all]")
    add("--dev-questions", type=int, help="the first N only [all]")
    add("--output", default="runs/multiple_choice")
    arguments = parser.parse_args()

    folder = pathlib.Path(arguments.data) / "commonsenseqa"
    train = read(folder / "train.jsonl.gz", arguments.train_questions)
    test = read(folder / "valid.jsonl.gz", arguments.dev_questions)
    path = pathlib.Path(arguments.output) / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(path.read_text()) if path.exists() else []
    start = splits.start_name(arguments.preset)
    for seed in arguments.seeds:
        if all((row["seed"], row["start"]) != (seed, start) for row in rows):
            rows.append(run(arguments, seed, train, test))
            path.write_text(json.dumps(rows, indent=1))
    print(table([row for row in rows if row["start"] == start]))


if __name__ == "__main__":
    main()
