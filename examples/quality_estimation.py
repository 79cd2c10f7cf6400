"""How good is a translation? A score from source and translation alone.

    python examples/quality_estimation.py [--data FILE] [--epochs 40]
        [--preset albert_tiny_en]

Trains a regression on pairs of a sentence and its translation, and prints the
Pearson correlation with the scores of people for sentences that it has not
seen, beside that of the length of the translation, and the translations that
it likes most and least. `FILE` has columns `source`, `translation` and
`score`; the bundled ones, German to English, by default. So few teach little:
docs/results.md has figures of real data.
"""

import argparse
import pathlib

import keras
import numpy as np

import keras_albert as ka
from keras_albert.data.labels import parse_scores
from keras_albert.data.readers import read_rows

DATA = pathlib.Path(__file__).parent / "data" / "translations.tsv"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--preset", default="albert_tiny_en")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    rows = read_rows(arguments.data, "source", "translation", "score")
    scores = parse_scores(rows)
    # All translations of a sentence are in one split.
    sources = list(dict.fromkeys(source for source, _ in rows.texts))
    unseen = set(sources[::4])
    is_test = np.array([source in unseen for source, _ in rows.texts])
    test = [pair for pair in rows.texts if pair[0] in unseen]
    train = [pair for pair in rows.texts if pair[0] not in unseen]
    # Of mean 0 and deviation 1, as a regression learns best.
    mean, deviation = scores[~is_test].mean(), scores[~is_test].std()

    estimator = ka.AlbertTextClassifier.from_preset(
        arguments.preset, num_classes=1
    )
    estimator.fit(
        tuple(list(side) for side in zip(*train, strict=True)),
        (scores[~is_test] - mean) / deviation,
        batch_size=8,
        epochs=arguments.epochs,
        verbose=2,
    )

    given = [
        mean + deviation * result["score"]
        for result in estimator.classify(test)
    ]
    lengths = [len(translation) for _, translation in test]
    correlation = np.corrcoef(given, scores[is_test])[0, 1]
    baseline = np.corrcoef(lengths, scores[is_test])[0, 1]
    print(f"Pearson {correlation:.3f}, of the length {baseline:.3f}")
    order = np.argsort(given)
    for title, rows_shown in (("best", order[::-1][:3]), ("worst", order[:3])):
        print(f"{title}:")
        for row in rows_shown:
            print(
                f"  {given[row]:4.0f}, people {scores[is_test][row]:3.0f}: "
                f"{test[row][1]}"
            )
    return float(correlation), float(baseline)


if __name__ == "__main__":
    main()
