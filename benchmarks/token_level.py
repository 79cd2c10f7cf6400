"""Token-level tasks with tiny models from random weights, and baselines.

    python benchmarks/token_level.py tag --data DIR [--sets wnut17 conll2003]
        [--seeds 0 1 2] [--epochs 15] [--output runs/token_level]

`DIR` has the folders of docs/data.md. Each seed draws the weights of a model
of the bundled preset's size, trains it by the fine-tuning recipe, chooses the
epoch by the dev split, and scores that model on the test split. The baseline
gives each word the label that it has most often in the training split, and
unknown words none. What was run before is in `DIR/results.json` of the output
and is not run again, so that seeds can be run one by one.
"""

import argparse
import collections
import json
import os
import pathlib
import statistics

from keras_albert.data.conll import encode_tags, read_sentences, tag_set
from keras_albert.metrics.entities import score_entities
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.presets.registry import local_preset_folder
from keras_albert.tasks.loading import load_preset
from keras_albert.training.token_classification import (
    evaluate_token_classifier,
    train_token_classifier,
)

FILES = {
    "wnut17": "wnut17/{}.conll.gz",
    "conll2003": "conll2003/{}.txt.gz",
}
PRESET = "albert_tiny_en"
RECIPE = {"learning_rate": 1e-3, "tokens_per_batch": "auto"}
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


def sizes_of_preset():
    backbone = AlbertBackbone.from_preset(PRESET)
    names = (
        "hidden_dim",
        "num_layers",
        "num_heads",
        "embedding_dim",
        "intermediate_dim",
    )
    return {name: getattr(backbone, name) for name in names}


def vocabulary():
    folder = pathlib.Path(local_preset_folder(PRESET))
    return str(folder / "assets" / "tokenizer" / "vocabulary.spm")


def run_tagger(data, name, seed, epochs, output):
    paths = {
        split: os.path.join(data, FILES[name].format(split))
        for split in ("train", "dev", "test")
    }
    train, test = (read_sentences(paths[split]) for split in ("train", "test"))
    folder = os.path.join(output, f"{name}-{seed}")
    of_dev = train_token_classifier(
        paths["train"],
        paths["dev"],
        folder,
        model={
            "vocabulary": vocabulary(),
            "sizes": sizes_of_preset(),
            "max_length": MAX_LENGTH,
        },
        seed=seed,
        epochs=epochs,
        resume=True,
        **RECIPE,
    )
    task = load_preset(os.path.join(folder, "model"))
    classes = encode_tags(test, tag_set(train))
    of_test = evaluate_token_classifier(task, (test.words, classes))
    return {
        "set": name,
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
        "| data | seeds | dev F1 | test F1 | dictionary, test F1 |",
        "|---|---|---|---|---|",
    ]
    for name in FILES:
        of_set = [row for row in rows if row["set"] == name]
        if not of_set:
            continue
        cells = [
            spread([row[split]["f1"] for row in of_set])
            for split in ("dev", "test")
        ]
        baseline = 100 * of_set[0]["dictionary"]["f1"]
        lines.append(
            f"| {name} | {len(of_set)} | {cells[0]} | {cells[1]} | "
            f"{baseline:.1f} |"
        )
    return "\n".join(lines)


def spread(values):
    mean = 100 * statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {100 * statistics.stdev(values):.1f}"


def tag(arguments):
    path = pathlib.Path(arguments.output) / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(path.read_text()) if path.exists() else []
    for name in arguments.sets:
        for seed in arguments.seeds:
            if any((r["set"], r["seed"]) == (name, seed) for r in rows):
                continue
            rows.append(
                run_tagger(
                    arguments.data,
                    name,
                    seed,
                    arguments.epochs,
                    arguments.output,
                )
            )
            path.write_text(json.dumps(rows, indent=1))
            print(json.dumps(rows[-1]), flush=True)
    print(table([row for row in rows if row["set"] in arguments.sets]))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    tasks = parser.add_subparsers(dest="task", required=True)
    of_tag = tasks.add_parser("tag", help="entities: WNUT-17, CoNLL-2003")
    of_tag.add_argument("--data", required=True, help="folder of the data")
    of_tag.add_argument("--sets", nargs="+", choices=FILES, default=[*FILES])
    of_tag.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    of_tag.add_argument("--epochs", type=int, default=15)
    of_tag.add_argument("--output", default="runs/token_level")
    of_tag.set_defaults(run=tag)
    arguments = parser.parse_args(argv)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
