"""Which of several translations to show: by quality and by how it reads.

    python examples/reranking.py [--data FILE] [--epochs 40]
        [--preset albert_tiny_en]

A translation system gives several candidates. Two scores rank them: the
quality that a regression on source and translation estimates, and the
pseudo-log-likelihood a token that a masked language model gives the
translation alone (Salazar et al. 2020, https://arxiv.org/abs/1910.14659). The
weight of the second is chosen on dev sentences. Prints what people think of
the candidate that is chosen, beside the mean of all and the best there is.
`FILE` has columns `source`, `translation` and `score`; the bundled ones by
default.
"""

import argparse
import pathlib

import keras
import numpy as np

import keras_albert as ka
from keras_albert.data.labels import parse_scores
from keras_albert.data.readers import read_rows

DATA = pathlib.Path(__file__).parent / "data" / "translations.tsv"
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)


def standardize(values):
    values = np.asarray(values, "float64")
    return (values - values.mean()) / (values.std() or 1.0)


def human_score(groups, ranking, scores):
    """What people gave the candidates that rank first, a mean."""
    chosen = [max(group, key=lambda row: ranking[row]) for group in groups]
    return float(scores[chosen].mean())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--preset", default="albert_tiny_en")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    rows = read_rows(arguments.data, "source", "translation", "score")
    scores = parse_scores(rows)
    candidates = {}
    for row, (source, _) in enumerate(rows.texts):
        candidates.setdefault(source, []).append(row)
    groups = list(candidates.values())
    dev, test = groups[::4], groups[1::4]
    train = [row for group in groups[2::4] + groups[3::4] for row in group]

    estimator = ka.AlbertTextClassifier.from_preset(
        arguments.preset, num_classes=1
    )
    sides = zip(*(rows.texts[row] for row in train), strict=True)
    estimator.fit(
        tuple(map(list, sides)),
        standardize(scores[train]),
        batch_size=8,
        epochs=arguments.epochs,
        verbose=2,
    )
    # What it was trained on needs no ranking.
    others = [row for group in dev + test for row in group]
    texts = [rows.texts[row] for row in others]
    quality, fluency = np.zeros(len(rows)), np.zeros(len(rows))
    quality[others] = standardize(
        [result["score"] for result in estimator.classify(texts)]
    )
    masked_lm = ka.AlbertMaskedLM.from_preset(arguments.preset)
    results = masked_lm.score([translation for _, translation in texts])
    fluency[others] = standardize(
        [result["score"] / max(result["tokens"], 1) for result in results]
    )

    weight = max(
        WEIGHTS, key=lambda w: human_score(dev, quality + w * fluency, scores)
    )
    print(f"weight of the pseudo-log-likelihood, chosen on dev: {weight}")
    chosen = human_score(test, quality + weight * fluency, scores)
    mean = float(np.mean([scores[group].mean() for group in test]))
    for name, value in {
        "any candidate": mean,
        "quality alone": human_score(test, quality, scores),
        "likelihood alone": human_score(test, fluency, scores),
        "both": chosen,
        "the best there is": human_score(test, scores, scores),
    }.items():
        print(f"{name:<20}{value:6.1f} of 100")
    group = test[0]
    print(rows.texts[group[0]][0])
    for row in sorted(group, key=lambda x: -(quality + weight * fluency)[x]):
        print(f"  people {scores[row]:3.0f}: {rows.texts[row][1]}")
    return chosen, mean


if __name__ == "__main__":
    main()
