"""Extractive summaries of tiny models from random weights, beside lead-k.

    python benchmarks/summarization.py --data DIR [--sets bbc scitldr]
        [--seeds 0 1 2] [--epochs N] [--learning-rate F] [--preset P]
        [--documents N] [--output runs/summarization]

`DIR` has the folders of docs/data.md; needs `rouge-score`. Each seed draws the
weights of a model of 2 layers (or takes those of `--preset`), trains it by the
fine-tuning recipe, chooses the epoch by the dev split, and scores that model
on the test split. Baselines of the same run: the first k sentences (lead-k),
and, as the most that k sentences can reach, those with the best labels.

- `bbc`: BBC News Summary. The summaries are sentences of the articles, which
  are the labels. Articles that occur twice are dropped, then a tenth each,
  drawn once, is dev and test. A summary has as many sentences as those of the
  training articles have on average.
- `scitldr`: SciTLDR (abstracts), its own splits and labels, one sentence; the
  best of several references counts for ROUGE.

`--documents` trains on the first N only. What was run before is in
`results.json` of the output and is not run again.
"""

import argparse
import functools
import gzip
import json
import os
import pathlib
import statistics

import numpy as np

from keras_albert.preprocessing.sentences import document_spans
from keras_albert.presets.registry import local_preset_folder
from keras_albert.tasks.loading import load_preset
from keras_albert.tasks.sentence_extractor import AlbertSentenceExtractor
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.sentence_extraction import (
    block_batches,
    evaluate_extractor,
    score_extraction,
)
from keras_albert.training.start import make_task

VOCABULARY_OF = "albert_tiny_en"
SIZES = {
    "hidden_dim": 128,
    "num_layers": 2,
    "num_heads": 4,
    "embedding_dim": 128,
    "intermediate_dim": 512,
}
RECIPES = {
    "bbc": {"epochs": 4, "learning_rate": 5e-4, "batch_size": 8},
    "scitldr": {"epochs": 5, "learning_rate": 5e-4, "batch_size": 16},
}
METRICS = ("rouge1", "rouge2", "rougeL", "sentence_f1")


# === Data ===


def lines_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_bbc(data):
    rows = lines_of(os.path.join(data, "bbc_news_summary", "bbc.jsonl.gz"))
    rows = [*{row["text"]: row for row in reversed(rows)}.values()][::-1]
    examples = []
    for row in rows:
        text = row["text"]
        sentences = [text[start:end] for start, end in document_spans(text)]
        labels = [int(sentence in row["summary"]) for sentence in sentences]
        # The sentences of a summary have no spaces between them.
        summary = " ".join(
            s for s, x in zip(sentences, labels, strict=True) if x
        )
        if any(labels):
            examples.append((sentences, labels, summary))
    order = np.random.default_rng(0).permutation(len(examples))
    examples = [examples[i] for i in order]
    tenth = len(examples) // 10
    return {
        "test": examples[:tenth],
        "dev": examples[tenth : 2 * tenth],
        "train": examples[2 * tenth :],
    }


def read_scitldr(data):
    parts = {}
    for split in ("train", "dev", "test"):
        rows = lines_of(os.path.join(data, "scitldr", f"{split}.jsonl.gz"))
        parts[split] = []
        for row in rows:
            kept = [
                (sentence, label)
                for sentence, label in zip(
                    row["source"], row["source_labels"], strict=True
                )
                if sentence.strip()
            ]
            sentences, labels = ([*x] for x in zip(*kept, strict=True))
            parts[split].append((sentences, labels, tuple(row["target"])))
    held_out = {tuple(x) for part in ("dev", "test") for x, *_ in parts[part]}
    parts["train"] = [x for x in parts["train"] if tuple(x[0]) not in held_out]
    return parts


READERS = {"bbc": read_bbc, "scitldr": read_scitldr}


# === Scores ===


def best_possible(documents, labels, summaries, sentences):
    """Of the first labelled sentences, no more than a summary has."""
    chosen = [
        [i for i, label in enumerate(of_one) if label][:sentences]
        for of_one in labels
    ]
    return score_extraction(documents, chosen, labels, summaries)


def start(preset):
    if preset is not None:
        return {"preset": preset}
    folder = pathlib.Path(local_preset_folder(VOCABULARY_OF))
    return {
        "vocabulary": str(folder / "assets" / "tokenizer" / "vocabulary.spm"),
        "sizes": SIZES,
    }


def run(arguments, name, seed):
    parts = {
        split: tuple([*x] for x in zip(*examples, strict=True))
        for split, examples in READERS[name](arguments.data).items()
    }
    documents, labels, _ = (x[: arguments.documents] for x in parts["train"])
    sentences = round(float(np.mean([sum(x) for x in parts["train"][1]])))
    task = make_task(
        AlbertSentenceExtractor, seed=seed, **start(arguments.preset)
    )
    recipe = dict(RECIPES[name])
    for option in ("epochs", "learning_rate"):
        if getattr(arguments, option) is not None:
            recipe[option] = getattr(arguments, option)
    folder = os.path.join(arguments.output, f"{name}-{seed}")
    metrics = fine_tune(
        task,
        (documents, labels),
        parts["dev"][:2],
        folder,
        tokens_per_batch="auto",
        seed=seed,
        resume=True,
        batches=block_batches,
        evaluate=functools.partial(evaluate_extractor, sentences=sentences),
        monitor="sentence_f1",
        **recipe,
    )
    best = load_preset(os.path.join(folder, "model"))
    test = evaluate_extractor(best, parts["test"], None, sentences)
    possible = best_possible(*parts["test"], sentences)
    kept = ("best_epoch", "parameters", "backend", "seconds")
    return {
        "set": name,
        "seed": seed,
        "sentences": sentences,
        "test": {key: test[key] for key in METRICS},
        "lead": {key: test[f"lead_{key}"] for key in METRICS},
        "possible": {key: possible[key] for key in METRICS},
        "train_documents": len(documents),
        "test_documents": len(parts["test"][0]),
        "preset": arguments.preset,
        **recipe,
        **{key: metrics[key] for key in kept},
    }


def spread(rows, source, metric):
    values = [100 * row[source][metric] for row in rows]
    text = f"{statistics.mean(values):.1f}"
    if len({*values}) > 1:
        text += f" ± {statistics.stdev(values):.1f}"
    return text


def table(rows):
    lines = [
        "| data | seeds | k | metric | test | lead-k | best labels |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in READERS:
        of_set = [row for row in rows if row["set"] == name]
        for metric in METRICS if of_set else ():
            cells = [
                spread(of_set, source, metric)
                for source in ("test", "lead", "possible")
            ]
            lines.append(
                f"| {name} | {len(of_set)} | {of_set[0]['sentences']} | "
                f"{metric} | {' | '.join(cells)} |"
            )
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--data", required=True, help="folder of the data sets")
    add("--sets", nargs="+", choices=READERS, default=[*READERS])
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--epochs", type=int)
    add("--learning-rate", type=float)
    add("--preset", help="start from it, not from random weights")
    add("--documents", type=int, help="train on the first N only [all]")
    add("--output", default="runs/summarization")
    arguments = parser.parse_args(argv)

    path = pathlib.Path(arguments.output) / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(path.read_text()) if path.exists() else []
    for name in arguments.sets:
        for seed in arguments.seeds:
            if any((r["set"], r["seed"]) == (name, seed) for r in rows):
                continue
            rows.append(run(arguments, name, seed))
            path.write_text(json.dumps(rows, indent=1))
            print(json.dumps(rows[-1]), flush=True)
    print(
        table(
            [
                row
                for row in rows
                if row["set"] in arguments.sets
                and row["seed"] in arguments.seeds
            ]
        )
    )


if __name__ == "__main__":
    main()
