"""Comments in a forum: what to let through, and how sure to be of it.

    python examples/moderation.py [--epochs 30] [--data FILE] [--fine fine]
        [--precision 0.9] [--preset albert_tiny_en]

Trains a classifier, prints precision, recall and F1 of each class, and holds a
comment back when the probability that it is not `--fine` reaches a threshold.
That is chosen on dev comments: the lowest at which at least `--precision` of
what is held back should be, so that as much as possible is found; the test
comments then say what it is worth. `FILE` has columns `text` and `label`; the
bundled comments of an invented potters' forum by default. Of the words of an
insult a small model knows what it was shown: people decide, it sorts.
"""

import argparse
import pathlib
import random

import keras
import numpy as np

import keras_albert as ka
from keras_albert.data.readers import read_rows

DATA = pathlib.Path(__file__).parent / "data" / "comments.tsv"


def report(given, expected, labels):
    """Precision, recall and F1 of each class, and their mean F1."""
    print(f"{'':<12}{'precision':>10}{'recall':>8}{'F1':>6}{'texts':>7}")
    scores = []
    for number, label in enumerate(labels):
        found, there = given == number, expected == number
        right = (found & there).sum()
        precision = right / max(found.sum(), 1)
        recall = right / max(there.sum(), 1)
        scores.append(2 * right / max(found.sum() + there.sum(), 1))
        print(
            f"{label:<12}{precision:10.2f}{recall:8.2f}{scores[-1]:6.2f}"
            f"{there.sum():7}"
        )
    print(f"macro F1 {np.mean(scores):.3f}")
    return float(np.mean(scores))


def choose_threshold(scores, is_wrong, precision):
    """The lowest score from which on enough of what is held back should be.

    `None` where no threshold is that precise.
    """
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(is_wrong[order])
    # Equal scores are held back together.
    ends = np.append(np.diff(scores[order]) != 0, True)
    enough = ends & (right >= precision * np.arange(1, len(order) + 1))
    if not enough.any():
        return None
    return float(scores[order][np.flatnonzero(enough)[-1]])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--fine", default="fine")
    parser.add_argument("--precision", type=float, default=0.9)
    parser.add_argument("--preset", default="albert_tiny_en")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    rows = read_rows(arguments.data, "text", None, "label")
    labels = sorted(set(rows.labels))
    fine = labels.index(arguments.fine)
    classes = np.array([labels.index(label) for label in rows.labels])
    order = list(range(len(rows)))
    random.Random(0).shuffle(order)
    half, most = len(rows) // 2, 3 * len(rows) // 4
    train, dev, test = order[:half], order[half:most], order[most:]

    classifier = ka.AlbertTextClassifier.from_preset(
        arguments.preset, labels=labels
    )
    # Rare classes count as much as frequent ones.
    counts = np.bincount(classes[train], minlength=len(labels))
    classifier.fit(
        [rows.texts[row] for row in train],
        classes[train],
        sample_weight=len(train) / (len(labels) * counts[classes[train]]),
        batch_size=8,
        epochs=arguments.epochs,
        verbose=2,
    )

    outputs = classifier.predict_by_length(rows.texts)
    values = keras.ops.convert_to_numpy(classifier.probabilities(outputs))
    score = report(values[test].argmax(axis=-1), classes[test], labels)
    suspicion, is_wrong = 1 - values[:, fine], classes != fine
    threshold = choose_threshold(
        suspicion[dev], is_wrong[dev], arguments.precision
    )
    if threshold is None:
        print("No threshold is that precise on dev: nothing is held back.")
        return score, None
    held, wrong = suspicion[test] >= threshold, is_wrong[test]
    print(
        f"threshold {threshold:.2f}: holds back {(held & wrong).sum()} of "
        f"{wrong.sum()} that should be, and {(held & ~wrong).sum()} of "
        f"{(~wrong).sum()} that should not"
    )
    return score, threshold


if __name__ == "__main__":
    main()
