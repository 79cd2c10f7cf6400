"""Vectors of tiny models, beside the cosine of TF-IDF vectors.

    python benchmarks/embedding.py stsb|covid_faq --data DIR
        [--preset P] [--seeds 0 1 2] [--epochs N] [--learning-rate F]
        [--rows N] [--output runs/SET]

`DIR` has the folders of docs/data.md. Each seed draws the weights of a small
model (or takes those of `--preset`), trains it by the fine-tuning recipe, and
scores the epoch that is best on the dev pairs on the test pairs. Baselines on
the same pairs: the cosine of TF-IDF vectors (words, sublinear counts; fitted
on the training texts), and the model before it was trained. Prints percent.

- `stsb`: STS-B, scores from 0 to 5; Spearman's correlation on the test pairs.
  Pairs of dev and training that are, or nearly are, others' are dropped.
- `covid_faq`: from a question to the same question of 210 in the FAQ, all of
  them candidates. Questions of the FAQ are dealt to five folds; the pairs of
  one are the test, of the next the dev pairs, and the seed is the fold. The
  FAQ itself is known, as to a bot: each question and its answer are trained
  on, no other wording of a test question is.

`inspect` proves that no split has rows of another. What was run before in the
folder of `--output` is not run again.
"""

import argparse
import csv
import functools
import gzip
import itertools
import os
import pathlib
import time

import keras
import numpy as np

import splits
from keras_albert.data.readers import read_rows
from keras_albert.metrics.retrieval import score_retrieval
from keras_albert.metrics.spearman import SpearmanCorrelation
from keras_albert.tasks.text_embedder import AlbertTextEmbedder
from keras_albert.training.evaluation import result_of
from keras_albert.training.start import make_task
from keras_albert.training.text_embedding import (
    evaluate_embedder,
    pair_batches,
    unit_length,
)

MAX_LENGTH = 64
FOLDS = 5
SCORES = (0, 5)
# Epochs, examples a batch.
SETS = {"stsb": (6, 32), "covid_faq": (20, 64)}


# === Data: rows of a pair of texts, and maybe its score ===


def read_stsb(data):
    train, dev, test = (
        [
            (pair, float(score))
            for pair, score in zip(rows.texts, rows.labels, strict=True)
        ]
        for rows in (
            read_rows(f"{data}/glue/STS-B/sts-{part}.tsv.gz", "5", "6", "4")
            for part in ("train", "dev", "test")
        )
    )
    dev = splits.without_duplicates(dev, test)
    return splits.without_duplicates(train, [*test, *dev]), dev, test


def read_faq(data):
    path = pathlib.Path(data) / "covid_faq" / "faq_covidbert.csv.gz"
    with gzip.open(path, "rt", -1, "utf-8") as file:
        return {row["question"]: row["answer"] for row in csv.DictReader(file)}


def read_covid_faq(data, faq, seed):
    path = pathlib.Path(data) / "covid_faq" / "question_similarity_en.csv"
    with open(path, encoding="utf-8") as file:
        pairs = [
            (row["question_2"], row["question_1"])
            for row in csv.DictReader(file)
            if row["similar"] == "1" and row["question_1"] in faq
        ]
    asked = sorted({question for _, question in pairs})
    order = np.random.default_rng(0).permutation(len(asked))
    fold = {asked[i]: place % FOLDS for place, i in enumerate(order)}
    places = [(fold[question] - seed) % FOLDS for _, question in pairs]
    test, dev, *train = (
        [(pair,) for pair, x in zip(pairs, places, strict=True) if x == part]
        for part in range(FOLDS)
    )
    dev = splits.without_duplicates(dev, test)
    train = [*itertools.chain(*train), *((entry,) for entry in faq.items())]
    return splits.without_duplicates(train, [*test, *dev]), dev, test


# === Scores ===


def spearman(embed, rows):
    """Of the cosine of pairs, whose vectors `embed` gives."""
    a, b = (
        unit_length(embed([row[0][side] for row in rows])) for side in (0, 1)
    )
    metric = SpearmanCorrelation(len(rows))
    cosine = (a * b).sum(axis=1)
    return {"spearman": result_of(metric, cosine, [row[1] for row in rows])}


def retrieval(known, embed, rows):
    """Of questions, among all that are known."""
    place = {text: index for index, text in enumerate(known)}
    return score_retrieval(
        unit_length(embed([row[0][0] for row in rows])),
        unit_length(embed(known)),
        [[place[row[0][1]]] for row in rows],
    )


def evaluate_retrieval(known, task, data, batch_size):
    """On dev pairs as on the test: all of the FAQ are candidates."""
    loss = evaluate_embedder(task, data, batch_size)["loss"]
    rows = [(pair,) for pair in data[0]]
    return {**retrieval(known, task.embed, rows), "loss": loss}


def tf_idf(texts):
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\b\w+\b")
    vectorizer.fit(texts)
    return lambda texts: vectorizer.transform(texts).toarray()


def run(args, parts, seeds, score, monitor, recipe, task):
    """Results of TF-IDF, of untrained models and of trained ones."""
    train, dev, test = parts
    train = train[: args.rows]
    splits.prove_no_leakage(
        (train, dev, test), args.output, args.max_length, "cosine" in task
    )
    examples = [
        (
            [row[0] for row in rows],
            np.array([row[1] for row in rows], "float32")
            if len(rows[0]) > 1
            else None,
        )
        for rows in (train, dev)
    ]
    untrained = [
        score(
            make_task(
                AlbertTextEmbedder,
                max_length=args.max_length,
                seed=seed,
                **splits.model_start(args.preset),
            ).embed,
            test,
        )
        for seed in seeds
    ]
    results = splits.train_and_score(
        AlbertTextEmbedder,
        args,
        *examples,
        lambda best: score(best.embed, test),
        monitor,
        seeds=seeds,
        recipe={"batches": pair_batches, **recipe},
        **task,
    )
    texts = [text for row in train for text in row[0]]
    return [score(tf_idf(texts), test)] * len(seeds), untrained, results


def run_stsb(args, batch_size):
    return run(
        args,
        read_stsb(args.data),
        args.seeds,
        spearman,
        "spearman",
        {"evaluate": evaluate_embedder, "batch_size": batch_size},
        {"objective": "cosine", "score_range": SCORES},
    )


def run_covid_faq(args, batch_size):
    faq = read_faq(args.data)
    known = [*faq]
    of_folds = [
        run(
            args,
            read_covid_faq(args.data, faq, seed),
            [seed],
            functools.partial(retrieval, known),
            "mrr",
            {
                "evaluate": functools.partial(evaluate_retrieval, known),
                "batch_size": batch_size,
            },
            {"objective": "contrastive"},
        )
        for seed in args.seeds
    ]
    return [[*itertools.chain(*kind)] for kind in zip(*of_folds, strict=True)]


RUNS = {
    "stsb": (run_stsb, ("spearman",)),
    "covid_faq": (run_covid_faq, ("recall@1", "recall@5", "mrr")),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    splits.add_arguments(parser, SETS)
    args = parser.parse_args()
    epochs, batch_size = SETS[args.set]
    args.epochs = args.epochs or epochs
    args.max_length = args.max_length or MAX_LENGTH
    args.output = args.output or os.path.join("runs", args.set)

    begin = time.perf_counter()
    run_set, metrics = RUNS[args.set]
    baseline, untrained, results = run_set(args, batch_size)
    start = splits.start_name(args.preset)
    splits.show_all(baseline, metrics, "TF-IDF")
    splits.show_all(untrained, metrics, f"{start}, untrained")
    splits.show_all(results, metrics, start)
    minutes = (time.perf_counter() - begin) / 60
    print(f"{minutes:.1f} minutes on {keras.backend.backend()}")


if __name__ == "__main__":
    main()
