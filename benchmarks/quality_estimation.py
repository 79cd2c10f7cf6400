"""How good a translation is, of MLQE, beside two baselines.

    python benchmarks/quality_estimation.py ro-en|et-en|en-de --data DIR
        [--preset P] [--seeds 0 1 2] [--epochs N] [--output runs/SET]

`DIR` has the folders of docs/data.md. A pair of source and translation is
trained to its mean z-standardized human judgement, by the fine-tuning recipe;
training and dev rows that are, or nearly are, test rows are dropped, and
`inspect` proves that no split has rows of another. Prints the Pearson
correlation with the judgements of the test rows, in percent, of the epoch that
is best on the dev rows.

Baselines on the same rows: a linear regression on the lengths of both
sentences, and the log-probability that the translating model gave, a mean a
token, which the model here does not see. What was run before in the folder of
`--output` is not run again.
"""

import argparse
import os
import time

import keras
import numpy as np

import splits
from keras_albert.data.readers import read_rows
from keras_albert.tasks.text_classifier import AlbertTextClassifier
from keras_albert.training.evaluation import evaluate_classifier

SETS = ("ro-en", "et-en", "en-de")
EPOCHS = 6
MAX_LENGTH = 160
PARTS = ("train", "dev", "test20")


def read(data, pair, part):
    """Rows of source and translation, judgement, log-probability."""
    path = f"{data}/mlqe/{pair}.{part}.tsv.gz"
    rows = read_rows(path, "original", "translation", "z_mean")
    model = read_rows(path, "original", None, "model_scores")
    scores = zip(rows.labels, model.labels, strict=True)
    return [
        (text, float(judgement), float(probability))
        for text, (judgement, probability) in zip(
            rows.texts, scores, strict=True
        )
    ]


def lengths(rows):
    """`(rows, 3)`: words of both sentences, and a constant."""
    return np.array(
        [[*(len(side.split()) for side in row[0]), 1.0] for row in rows]
    )


def pearson(values, expected):
    return float(np.corrcoef(values, expected)[0, 1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    splits.add_arguments(parser, SETS)
    args = parser.parse_args()
    args.epochs = args.epochs or EPOCHS
    args.max_length = args.max_length or MAX_LENGTH
    args.output = args.output or os.path.join("runs", args.set)

    begin = time.perf_counter()
    train, dev, test = (read(args.data, args.set, part) for part in PARTS)
    dev = splits.without_duplicates(dev, test)
    train = splits.without_duplicates(train, [*test, *dev])[: args.rows]
    splits.prove_no_leakage(
        (train, dev, test), args.output, args.max_length, regression=True
    )
    targets = [np.array([x[1] for x in rows]) for rows in (train, dev, test)]
    weights = np.linalg.lstsq(lengths(train), targets[0], rcond=None)[0]
    splits.show(
        "sentence length", [pearson(lengths(test) @ weights, targets[2])]
    )
    splits.show(
        "NMT log-probability", [pearson([x[2] for x in test], targets[2])]
    )
    train, dev, test = (
        ([row[0] for row in rows], values.astype("float32"))
        for rows, values in zip((train, dev, test), targets, strict=True)
    )
    results = splits.train_and_score(
        AlbertTextClassifier,
        args,
        train,
        dev,
        lambda best: evaluate_classifier(best, test),
        "pearson",
        seeds=args.seeds,
        num_classes=1,
    )
    start = splits.start_name(args.preset)
    splits.show_all(results, ["pearson"], start)
    minutes = (time.perf_counter() - begin) / 60
    print(f"{minutes:.1f} minutes on {keras.backend.backend()}")


if __name__ == "__main__":
    main()
