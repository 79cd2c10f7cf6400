"""Requests to a phone's assistant: train, look at mistakes, ship.

    python examples/intents.py [--epochs 15] [--output runs/intents.tflite]

Fine-tunes the embedded default on the bundled sample with `model.fit`, prints
the accuracy of each intent and the surest mistakes, and writes an int8 file
for the phone that has been compared with the model.
"""

import argparse
import collections
import csv
import pathlib

import keras

import keras_albert as ka

DATA = pathlib.Path(__file__).parent / "data"


def read(split):
    path = DATA / f"intents_{split}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--output", default="runs/intents.tflite")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    train_texts, train_labels = read("train")
    test_texts, test_labels = read("test")
    labels = sorted(set(train_labels))

    classifier = ka.AlbertTextClassifier.from_preset(
        "albert_tiny_en", labels=labels
    )
    targets = [labels.index(label) for label in train_labels]
    classifier.fit(
        train_texts,
        targets,
        batch_size=16,
        epochs=arguments.epochs,
        verbose=2,
    )

    results = classifier.classify(test_texts)
    right, mistakes = collections.Counter(), []
    for text, label, result in zip(
        test_texts, test_labels, results, strict=True
    ):
        if result["label"] == label:
            right[label] += 1
        else:
            mistakes.append((result["score"], text, label, result["label"]))
    for label in labels:
        print(f"{label:<12} {right[label] / test_labels.count(label):.2f}")
    accuracy = sum(right.values()) / len(test_texts)
    print(f"{'accuracy':<12} {accuracy:.3f} on {len(test_texts)} texts")
    for score, text, label, wrong in sorted(mistakes, reverse=True)[:5]:
        print(f"  {score:.2f} {wrong}, not {label}: {text}")

    output = pathlib.Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    ka.export.to_litert(classifier, output, quantization="int8")
    print(ka.export.verify(classifier, output, test_texts))
    return accuracy


if __name__ == "__main__":
    main()
