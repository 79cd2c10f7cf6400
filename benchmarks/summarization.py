"""Extractive summaries of tiny models, beside lead-k.

    python benchmarks/summarization.py bbc|scitldr --data DIR
        [--preset P] [--seeds 0 1 2] [--epochs N] [--learning-rate F]
        [--rows N] [--output runs/SET]

`DIR` has the folders of docs/data.md; needs `rouge-score`. Each seed draws the
weights of a small model (or takes those of `--preset`), trains it by the
fine-tuning recipe, and scores the epoch that is best on the dev documents on
the test documents. Baselines on the same documents: the first k sentences
(lead-k), and, as the most that k sentences can reach, those with the labels.
Prints percent.

- `bbc`: BBC News Summary. The summaries are sentences of the articles, which
  are the labels. Articles that occur twice, or nearly, are dropped, then a
  tenth each, drawn once, is dev and test. A summary has as many sentences as
  those of the training articles have on average.
- `scitldr`: SciTLDR (abstracts), its own splits and labels, one sentence; the
  best of several references counts for ROUGE.

`inspect` proves that no split has documents of another. What was run before in
the folder of `--output` is not run again.
"""

import argparse
import functools
import gzip
import json
import os
import time

import keras
import numpy as np

import splits
from keras_albert.preprocessing.sentences import document_spans
from keras_albert.tasks.sentence_extractor import AlbertSentenceExtractor
from keras_albert.training.sentence_extraction import (
    block_batches,
    evaluate_extractor,
    score_extraction,
)

# Epochs, documents or blocks a batch.
SETS = {"bbc": (4, 8), "scitldr": (5, 16)}
METRICS = ("rouge1", "rouge2", "rougeL", "sentence_f1")


# === Data: rows of a document, its sentences, their labels, summaries ===


def lines_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_bbc(data):
    rows = []
    for row in lines_of(f"{data}/bbc_news_summary/bbc.jsonl.gz"):
        text = row["text"]
        sentences = [text[start:end] for start, end in document_spans(text)]
        labels = [int(sentence in row["summary"]) for sentence in sentences]
        # The sentences of a summary have no spaces between them.
        summary = " ".join(
            s for s, x in zip(sentences, labels, strict=True) if x
        )
        if any(labels):
            rows.append((text, sentences, labels, summary))
    return splits.split(splits.without_duplicates(rows, []), parts=(0.1, 0.1))


def read_scitldr(data):
    train, dev, test = (
        [
            scitldr_row(row)
            for row in lines_of(f"{data}/scitldr/{part}.jsonl.gz")
        ]
        for part in ("train", "dev", "test")
    )
    dev = splits.without_duplicates(dev, test)
    return splits.without_duplicates(train, [*test, *dev]), dev, test


def scitldr_row(row):
    labelled = zip(row["source"], row["source_labels"], strict=True)
    kept = [(text, label) for text, label in labelled if text.strip()]
    sentences, labels = ([*x] for x in zip(*kept, strict=True))
    return " ".join(sentences), sentences, labels, tuple(row["target"])


READERS = {"bbc": read_bbc, "scitldr": read_scitldr}


def best_possible(documents, labels, summaries, sentences):
    """Of the first labelled sentences, no more than a summary has."""
    chosen = [
        [i for i, label in enumerate(of_one) if label][:sentences]
        for of_one in labels
    ]
    return score_extraction(documents, chosen, labels, summaries)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    splits.add_arguments(parser, SETS)
    args = parser.parse_args()
    epochs, batch_size = SETS[args.set]
    args.epochs = args.epochs or epochs
    args.output = args.output or os.path.join("runs", args.set)

    begin = time.perf_counter()
    train, dev, test = READERS[args.set](args.data)
    train = train[: args.rows]
    splits.prove_no_leakage(
        [[row[:1] for row in rows] for rows in (train, dev, test)],
        args.output,
        args.max_length or 512,
    )
    train, dev, test = (
        [[*column] for column in zip(*rows, strict=True)][1:]
        for rows in (train, dev, test)
    )
    sentences = round(float(np.mean([sum(x) for x in train[1]])))
    results = splits.train_and_score(
        AlbertSentenceExtractor,
        args,
        train[:2],
        dev[:2],
        lambda best: evaluate_extractor(best, test, None, sentences),
        "sentence_f1",
        seeds=args.seeds,
        recipe={
            "batches": block_batches,
            "batch_size": batch_size,
            "evaluate": functools.partial(
                evaluate_extractor, sentences=sentences
            ),
        },
    )
    lead = {metric: results[0][f"lead_{metric}"] for metric in METRICS}
    start = splits.start_name(args.preset)
    splits.show_all([lead], METRICS, f"lead-{sentences}")
    splits.show_all([best_possible(*test, sentences)], METRICS, "best labels")
    splits.show_all(results, METRICS, start)
    minutes = (time.perf_counter() - begin) / 60
    print(f"{minutes:.1f} minutes on {keras.backend.backend()}")


if __name__ == "__main__":
    main()
