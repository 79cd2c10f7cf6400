"""The quickstart's training run, on the sample that comes with the package."""

import os

import numpy as np

from keras_albert.tasks.loading import load_preset
from keras_albert.training.evaluation import evaluate_classifier
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.text_classification import (
    TextFiles,
    make_classifier,
)

PRESET = "albert_tiny_en"
RECIPE = {"epochs": 15, "batch_size": 16, "learning_rate": 5e-4}


def train_on_sample(data, output):
    """Fine-tunes the bundled preset on the bundled sample.

    A tenth of the training texts chooses the best epoch, so that the test
    texts stay unseen.

    Args:
        data: string, the folder of `intents_train.csv` and
            `intents_test.csv`.
        output: string, the folder of the run, see `fine_tune`.

    Returns:
        The test texts, list of strings, and a dictionary: `"train_rows"`,
        `"test_rows"`, `"test_accuracy"`, and `"majority_accuracy"`, that of
        the commonest label.

    Raises:
        ValueError: if a file is not as described.
        OSError: if a file is not there, or the folder cannot be written.
    """
    files = TextFiles("text", "label")
    train, test = (
        files.read(os.path.join(data, f"intents_{part}.csv"))
        for part in ("train", "test")
    )
    labels = files.labels(train)
    x, y = train.texts, files.targets(train, labels)
    target = files.targets(test, labels)
    dev = np.arange(len(x)) % 10 == 0
    learn, choose = (
        ([x[i] for i in np.flatnonzero(part)], y[part]) for part in (~dev, dev)
    )
    task = make_classifier(labels=labels, preset=PRESET)
    fine_tune(task, learn, choose, output, **RECIPE)
    best = load_preset(os.path.join(output, "model"))
    metrics = evaluate_classifier(best, (test.texts, target))
    return test.texts, {
        "train_rows": len(train),
        "test_rows": len(test),
        "test_accuracy": metrics["accuracy"],
        "majority_accuracy": float(np.bincount(target).max() / len(test)),
    }
