r"""What pretraining is worth: SST-2 from a preset, and from random weights.

    python benchmarks/pretrained.py PRESET --data DATA/glue/SST-2 -o DIR \
        [--rows 2000 0] [--seeds 3]

Fine-tunes by `keras-albert train classify`'s recipe from the preset and from
random weights of the same sizes, with the first `--rows` rows of the training
set shuffled once (0: all), a run a seed, and prints the dev accuracy after the
last epoch: mean, standard deviation and each. TF-IDF of words and pairs of
words with logistic regression, by scikit-learn, on the same rows is the third
line. Runs that DIR holds already are not done again.
"""

import argparse
import os
import random
import statistics

import keras

import keras_albert as ka
from keras_albert.data.readers import read_rows
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.text_classification import make_classifier

LABELS = ["0", "1"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("preset")
    add("--data", required=True, help="folder of train.tsv.gz and dev.tsv")
    add("-o", "--output", required=True)
    add("--rows", type=int, nargs="+", default=[2000, 0])
    add("--seeds", type=int, default=3)
    add("--learning-rate", type=float, help="from the preset [the preset's]")
    add("--random-learning-rate", type=float, default=5e-4)
    add("--epochs", type=int, nargs="+", default=[8, 2], help="for each --rows")
    add("--batch-size", type=int, default=32)
    add("--dropout", type=float, default=0.1)
    add("--only", choices=("preset", "random"))
    args = parser.parse_args()

    dev = _read(os.path.join(args.data, "dev.tsv"))
    texts, targets = _read(os.path.join(args.data, "train.tsv.gz"))
    order = list(range(len(texts)))
    random.Random(0).shuffle(order)
    for count, epochs in zip(args.rows, args.epochs, strict=True):
        rows = order[:count] if count else order
        train = [texts[i] for i in rows], [targets[i] for i in rows]
        name = str(count or "all")
        print(f"{name} rows: TF-IDF + LR {_baseline(train, dev):.4f}")
        for start in ("preset", "random"):
            if args.only in (None, start):
                accuracies = [
                    _accuracy(args, start, train, dev, epochs, seed)
                    for seed in range(args.seeds)
                ]
                _show(name, start, accuracies)


def _read(path):
    rows = read_rows(path, "sentence", None, "label")
    return rows.texts, [LABELS.index(label) for label in rows.labels]


def _baseline(train, dev):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000)
    )
    model.fit(*train)
    return model.score(*dev)


def _accuracy(args, start, train, dev, epochs, seed):
    folder = os.path.join(
        args.output, f"{start}-{len(train[0])}-{epochs}-{seed}"
    )
    if start == "preset":
        task = make_classifier(
            labels=LABELS,
            preset=args.preset,
            dropout=args.dropout,
            seed=seed,
        )
        rate = args.learning_rate or task.backbone.learning_rate
    else:
        task = _random_classifier(args, seed)
        rate = args.random_learning_rate
    fine_tune(
        task,
        train,
        dev,
        folder,
        epochs=epochs,
        batch_size=args.batch_size,
        learning_rate=rate,
        seed=seed,
        resume=True,
    )
    with open(os.path.join(folder, "history.csv"), encoding="utf-8") as file:
        names, *_, last = [line.strip().split(",") for line in file]
    return float(last[names.index("val_accuracy")])


def _random_classifier(args, seed):
    keras.utils.set_random_seed(seed)
    rates = {"dropout": args.dropout, "attention_dropout": args.dropout}
    backbone = ka.AlbertBackbone.from_preset(
        args.preset, load_weights=False, **rates
    )
    preprocessor = ka.AlbertTextClassifierPreprocessor.from_preset(args.preset)
    return ka.AlbertTextClassifier(
        backbone, preprocessor=preprocessor, labels=LABELS
    )


def _show(name, start, accuracies):
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    mean = statistics.mean(accuracies)
    each = ", ".join(f"{accuracy:.4f}" for accuracy in accuracies)
    print(
        f"{name} rows: {start} {mean:.4f} ± {spread:.4f} ({each})", flush=True
    )


if __name__ == "__main__":
    main()
