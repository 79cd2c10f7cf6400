"""Embedders of tiny size from random weights, beside TF-IDF cosine.

    python benchmarks/embedding.py --data DIR [--sets stsb covid_faq]
        [--seeds 0 1 2] [--epochs N] [--learning-rate F] [--preset P]
        [--output runs/embedding]

`DIR` has the folders of docs/data.md. Each seed draws the weights of a model
of the bundled preset's size (or takes those of `--preset`), trains it by the
fine-tuning recipe, chooses the epoch by the dev split, and scores that model
on the test split. Baselines of the same run: the cosine of TF-IDF vectors
(words, sublinear counts; fitted on the training texts and, for retrieval, the
FAQ), and the model before it was trained.

- `stsb`: STS-B, scores of 0 to 5, Spearman's correlation on the test split.
  Training pairs that are in another split are dropped.
- `covid_faq`: a question to the same question of 210 in the FAQ, all of them
  candidates. Questions of the FAQ are dealt to five folds; the pairs of one
  are the test, of the next the dev split, and the seed is the fold. The FAQ
  itself is known, as to a bot: each question and its answer are trained on,
  no other wording of a test question is.

What was run before is in `results.json` of the output and is not run again.
"""

import argparse
import csv
import functools
import gzip
import json
import os
import pathlib
import statistics

import numpy as np

from keras_albert.data.readers import read_rows
from keras_albert.metrics.retrieval import score_retrieval
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.presets.registry import local_preset_folder
from keras_albert.tasks.loading import load_preset
from keras_albert.tasks.text_embedder import AlbertTextEmbedder
from keras_albert.training.evaluation import pearson
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.start import make_task
from keras_albert.training.text_embedding import (
    evaluate_embedder,
    pair_batches,
    ranks,
    unit_length,
)

SIZED_AS = "albert_tiny_en"
MAX_LENGTH = 64
SIZES = (
    "hidden_dim",
    "num_layers",
    "num_heads",
    "embedding_dim",
    "intermediate_dim",
)
FOLDS = 5
RECIPES = {
    "stsb": {"epochs": 4, "learning_rate": 5e-4, "batch_size": 32},
    "covid_faq": {"epochs": 20, "learning_rate": 5e-4, "batch_size": 64},
}
METRICS = {"stsb": ("spearman",), "covid_faq": ("recall@1", "recall@5", "mrr")}


# === Data ===


def read_stsb(data, seed):
    parts = {}
    for split in ("train", "dev", "test"):
        path = os.path.join(data, "glue", "STS-B", f"sts-{split}.tsv.gz")
        rows = read_rows(path, "5", "6", "4")
        scores = np.array([float(x) for x in rows.labels], "float32")
        parts[split] = (rows.texts, scores)
    held_out = {
        frozenset(pair) for split in ("dev", "test") for pair in parts[split][0]
    }
    texts, scores = parts["train"]
    kept = [i for i, pair in enumerate(texts) if {*pair} not in held_out]
    parts["train"] = ([texts[i] for i in kept], scores[kept])
    parts["known"] = []
    return parts


def read_covid_faq(data, seed):
    folder = pathlib.Path(data) / "covid_faq"
    with gzip.open(folder / "faq_covidbert.csv.gz", "rt", -1, "utf-8") as file:
        answers = {
            row["question"]: row["answer"] for row in csv.DictReader(file)
        }
    with open(folder / "question_similarity_en.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pairs = [
        (row["question_2"], row["question_1"])
        for row in rows
        if row["similar"] == "1" and row["question_1"] in answers
    ]
    asked = sorted({question for _, question in pairs})
    order = np.random.default_rng(0).permutation(len(asked))
    fold = {asked[i]: place % FOLDS for place, i in enumerate(order)}
    test, dev = seed % FOLDS, (seed + 1) % FOLDS
    parts = {"train": [], "dev": [], "test": []}
    for pair in pairs:
        name = {test: "test", dev: "dev"}.get(fold[pair[1]], "train")
        parts[name].append(pair)
    held_out = {x for name in ("dev", "test") for x, _ in parts[name]}
    parts["train"] = [x for x in parts["train"] if x[0] not in held_out]
    parts["train"] += [*answers.items()]
    parts = {name: (examples, None) for name, examples in parts.items()}
    parts["known"] = [*answers]
    return parts


READERS = {"stsb": read_stsb, "covid_faq": read_covid_faq}


# === Scores ===


def score(embed, examples, scores, known):
    """The metrics of vectors, `embed` from a list of texts to an array."""
    first, second = ([*x] for x in zip(*examples, strict=True))
    if scores is not None:
        a, b = (unit_length(embed(texts)) for texts in (first, second))
        return {"spearman": pearson(ranks((a * b).sum(axis=1)), ranks(scores))}
    place = {text: index for index, text in enumerate(known)}
    return score_retrieval(
        unit_length(embed(first)),
        unit_length(embed(known)),
        [[place[text]] for text in second],
    )


def evaluate_on_faq(known, task, data, batch_size):
    """As the test is: all of the FAQ are candidates."""
    loss = evaluate_embedder(task, data, batch_size)["loss"]
    return {**score(task.embed, *data, known), "loss": loss}


def tf_idf(parts):
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [text for pair in parts["train"][0] for text in pair]
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\b\w+\b")
    vectorizer.fit(texts + parts["known"])
    return lambda texts: vectorizer.transform(texts).toarray()


def start(preset):
    if preset is not None:
        return {"preset": preset}
    backbone = AlbertBackbone.from_preset(SIZED_AS, load_weights=False)
    folder = pathlib.Path(local_preset_folder(SIZED_AS))
    return {
        "vocabulary": str(folder / "assets" / "tokenizer" / "vocabulary.spm"),
        "sizes": {name: getattr(backbone, name) for name in SIZES},
    }


def run(arguments, name, seed):
    parts = READERS[name](arguments.data, seed)
    scored = name == "stsb"
    task = make_task(
        AlbertTextEmbedder,
        max_length=MAX_LENGTH,
        objective="cosine" if scored else "contrastive",
        score_range=(0, 5),
        seed=seed,
        **start(arguments.preset),
    )
    known = parts["known"]
    untrained = score(task.embed, *parts["test"], known)
    evaluate = evaluate_embedder
    if not scored:
        evaluate = functools.partial(evaluate_on_faq, known)
    recipe = dict(RECIPES[name])
    for option in ("epochs", "learning_rate"):
        if getattr(arguments, option) is not None:
            recipe[option] = getattr(arguments, option)
    folder = os.path.join(arguments.output, f"{name}-{seed}")
    metrics = fine_tune(
        task,
        parts["train"],
        parts["dev"],
        folder,
        tokens_per_batch="auto",
        seed=seed,
        resume=True,
        batches=pair_batches,
        evaluate=evaluate,
        monitor="spearman" if scored else "mrr",
        **recipe,
    )
    best = load_preset(os.path.join(folder, "model"))
    kept = ("best_epoch", "train_rows", "parameters", "backend", "seconds")
    return {
        "set": name,
        "seed": seed,
        "test": score(best.embed, *parts["test"], known),
        "tf_idf": score(tf_idf(parts), *parts["test"], known),
        "untrained": untrained,
        "queries": len(parts["test"][0]),
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
        "| data | seeds | metric | test | TF-IDF | untrained |",
        "|---|---|---|---|---|---|",
    ]
    for name, metrics in METRICS.items():
        of_set = [row for row in rows if row["set"] == name]
        for metric in metrics if of_set else ():
            cells = [
                spread(of_set, source, metric)
                for source in ("test", "tf_idf", "untrained")
            ]
            lines.append(
                f"| {name} | {len(of_set)} | {metric} | {' | '.join(cells)} |"
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
    add("--output", default="runs/embedding")
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
