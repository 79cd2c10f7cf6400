"""Named entities with tiny models, beside a dictionary.

    python benchmarks/token_level.py --data DIR [--sets wnut17 conll2003]
        [--preset P] [--seeds 0 1 2] [--epochs 15] [--learning-rate F]
        [--output runs/token_level]

`DIR` has the folders of docs/data.md. Each seed draws the weights of a small
model (or, with `--preset`, of its head), trains it by the fine-tuning recipe,
chooses the epoch by the dev split, and scores that model on the test split.
The baseline gives each word the label that it has most often in the training
split, and unknown words none. What was run before is in `results.json` of the
output and is not run again, so that seeds can be run one by one.
"""

import argparse
import collections
import json
import os
import pathlib
import statistics

import splits
from keras_albert.data.conll import encode_tags, read_sentences, tag_set
from keras_albert.metrics.entities import score_entities
from keras_albert.tasks.loading import load_preset
from keras_albert.training.token_classification import (
    evaluate_token_classifier,
    train_token_classifier,
)

FILES = {
    "wnut17": "wnut17/{}.conll.gz",
    "conll2003": "conll2003/{}.txt.gz",
}
RANDOM_RATE = 1e-3
MAX_LENGTH = 128


def dictionary_scores(train, test):
    """Entity F1 of each word's most frequent label."""
    counts = collections.defaultdict(collections.Counter)
    for words, labels in zip(train.words, train.labels, strict=True):
        for word, label in zip(words, labels, strict=True):
            counts[word][label] += 1
    best = {
        word: labels.most_common(1)[0][0] for word, labels in counts.items()
    }
    given = [[best.get(word, "O") for word in words] for words in test.words]
    return score_entities(test.labels, given)


def run_tagger(arguments, name, seed):
    data = arguments.data
    rate = arguments.learning_rate
    if rate is None and arguments.preset is None:
        rate = RANDOM_RATE
    paths = {
        split: os.path.join(data, FILES[name].format(split))
        for split in ("train", "dev", "test")
    }
    train, test = (read_sentences(paths[split]) for split in ("train", "test"))
    start = splits.start_name(arguments.preset)
    folder = os.path.join(arguments.output, f"{name}-{start}-{seed}")
    of_dev = train_token_classifier(
        paths["train"],
        paths["dev"],
        folder,
        model={
            **splits.model_start(arguments.preset),
            "max_length": MAX_LENGTH,
        },
        seed=seed,
        epochs=arguments.epochs,
        learning_rate=rate,
        tokens_per_batch="auto",
        resume=True,
    )
    task = load_preset(os.path.join(folder, "model"))
    classes = encode_tags(test, tag_set(train))
    of_test = evaluate_token_classifier(task, (test.words, classes))
    return {
        "set": name,
        "start": start,
        "seed": seed,
        "test": of_test,
        "dev": {key: of_dev[key] for key in ("f1", "accuracy")},
        "dictionary": dictionary_scores(train, test),
        "run": {
            key: of_dev[key]
            for key in (
                "epochs",
                "best_epoch",
                "steps",
                "tokens_per_batch",
                "parameters",
                "backend",
                "seconds",
            )
        },
    }


def table(rows):
    """Lines of Markdown, a row a set: mean ± standard deviation."""
    lines = [
        "| data | weights | seeds | dev F1 | test F1 | dictionary, test F1 |",
        "|---|---|---|---|---|---|",
    ]
    for name, start in dict.fromkeys((r["set"], r["start"]) for r in rows):
        of_set = [
            row for row in rows if (row["set"], row["start"]) == (name, start)
        ]
        cells = [
            spread([row[split]["f1"] for row in of_set])
            for split in ("dev", "test")
        ]
        baseline = 100 * of_set[0]["dictionary"]["f1"]
        lines.append(
            f"| {name} | {start} | {len(of_set)} | {cells[0]} | {cells[1]} | "
            f"{baseline:.1f} |"
        )
    return "\n".join(lines)


def spread(values):
    mean = 100 * statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {100 * statistics.stdev(values):.1f}"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", required=True, help="folder of the data")
    add("--sets", nargs="+", choices=FILES, default=[*FILES])
    add("--preset", help="start from it, not from random weights")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--epochs", type=int, default=15)
    add("--learning-rate", type=float, help="[1e-3; a preset's own]")
    add("--output", default="runs/token_level")
    arguments = parser.parse_args(argv)
    start = splits.start_name(arguments.preset)
    path = pathlib.Path(arguments.output) / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(path.read_text()) if path.exists() else []
    for name in arguments.sets:
        for seed in arguments.seeds:
            if any(
                (row["set"], row["start"], row["seed"]) == (name, start, seed)
                for row in rows
            ):
                continue
            rows.append(run_tagger(arguments, name, seed))
            path.write_text(json.dumps(rows, indent=1))
            print(json.dumps(rows[-1]), flush=True)
    print(table([row for row in rows if row["set"] in arguments.sets]))


if __name__ == "__main__":
    main()
