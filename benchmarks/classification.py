"""Texts to classes with tiny models, beside two baselines.

    python benchmarks/classification.py banking77|bbc|davidson --data DIR
        [--preset P] [--pooling mean] [--seeds 0 1 2] [--epochs N]
        [--output runs/SET]

`DIR` has the folders of docs/data.md. Duplicates and near-duplicates are
dropped before rows are split (of BANKING77, whose test set is official, those
of training rows and of test rows, from the training rows), and `inspect`
proves that no split has rows of another. Each seed draws the weights of a
small model (or, with `--preset`, of its head), trains it by the fine-tuning
recipe, and scores the epoch that is best on the dev rows on the test rows.

The baselines see the same rows: TF-IDF of words and pairs of words with
logistic regression, by scikit-learn, and a bag of embeddings, the mean of an
embedding a token of the same vocabulary and of the same width, and a dense
layer. Prints accuracy and macro F1, in percent. What was run before in the
folder of `--output` is not run again.
"""

import argparse
import csv
import gzip
import io
import json
import os
import time

import keras
import numpy as np

import splits
from keras_albert.tasks.text_classifier import AlbertTextClassifier
from keras_albert.training.batches import LengthBatches, tokenize_texts
from keras_albert.training.evaluation import evaluate_classifier

BAG_EPOCHS = 30


def read_csv(path):
    with gzip.open(path, "rb") as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield from csv.DictReader(text)


def banking77(data):
    train, test = (
        [
            (row["text"], row["category"])
            for row in read_csv(f"{data}/banking77/{name}.csv.gz")
        ]
        for name in ("train", "test")
    )
    return splits.split(splits.without_duplicates(train, test), test)


def bbc(data):
    path = f"{data}/bbc_news_summary/bbc.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [(f"{x['title']}\n{x['text']}", x["category"]) for x in rows]
    return splits.split(splits.without_duplicates(rows, []))


def davidson(data):
    path = f"{data}/davidson_hate/labeled_data.csv.gz"
    names = ("hate", "offensive", "neither")
    rows = [(x["tweet"], names[int(x["class"])]) for x in read_csv(path)]
    rows = splits.without_duplicates(rows, [])
    return splits.split(rows, parts=(0.1, 0.1))


# Reader, epochs, tokens of the longest text.
SETS = {
    "banking77": (banking77, 20, 64),
    "bbc": (bbc, 12, 192),
    "davidson": (davidson, 5, 64),
}


def tf_idf(train, test):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(max_iter=1000, C=10),
    )
    model.fit(*train)
    return scores(model.predict(test[0]), test[1])


def scores(given, expected):
    from sklearn.metrics import f1_score

    return {
        "accuracy": float(np.mean(np.asarray(given) == expected)),
        "macro_f1": float(f1_score(expected, given, average="macro")),
    }


def bag_of_embeddings(preprocessor, train, dev, test, monitor, seed):
    """A mean of embeddings and a dense layer, best epoch on dev."""
    classes = 1 + int(max(part[1].max() for part in (train, dev, test)))
    keras.utils.set_random_seed(seed)
    batches = LengthBatches(
        tokenize_texts(preprocessor, train[0]), train[1], 32, seed
    )
    pieces = preprocessor.tokenizer.vocabulary_size()
    width = splits.SIZES["embedding_dim"]
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    mask = keras.Input((None,), dtype="int32", name="padding_mask")
    embedded = keras.layers.Embedding(pieces, width)(ids)
    mean = keras.layers.GlobalAveragePooling1D()(
        embedded, mask=keras.ops.cast(mask, "bool")
    )
    mean = keras.layers.Dropout(0.1)(mean)
    model = keras.Model([ids, mask], keras.layers.Dense(classes)(mean))
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def predict(texts):
        features = preprocessor(texts)
        inputs = [np.asarray(features[x.name]) for x in model.inputs]
        return model.predict(inputs, batch_size=256, verbose=0).argmax(-1)

    best = (-1.0, None)
    for epoch in range(BAG_EPOCHS):
        data = batches.dataset(epoch).map(
            lambda x, y: ((x["token_ids"], x["padding_mask"]), y)
        )
        model.fit(data, shuffle=False, verbose=0)
        value = scores(predict(dev[0]), dev[1])[monitor]
        if value > best[0]:
            best = value, model.get_weights()
    model.set_weights(best[1])
    return scores(predict(test[0]), test[1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    splits.add_arguments(parser, SETS)
    parser.add_argument(
        "--pooling",
        choices=("cls", "mean"),
        default="cls",
        help="what the head is given [cls]",
    )
    args = parser.parse_args()
    read, epochs, max_length = SETS[args.set]
    args.epochs = args.epochs or epochs
    args.max_length = args.max_length or max_length
    args.output = args.output or os.path.join("runs", args.set)

    begin = time.perf_counter()
    train, dev, test = read(args.data)
    train = train[: args.rows]
    splits.prove_no_leakage((train, dev, test), args.output, args.max_length)
    labels = sorted({label for rows in (train, dev, test) for _, label in rows})
    monitor = "macro_f1" if args.set == "davidson" else "accuracy"
    train, dev, test = (
        (
            [text for text, _ in rows],
            np.array([labels.index(label) for _, label in rows], "int32"),
        )
        for rows in (train, dev, test)
    )
    metrics = ("accuracy", "macro_f1")
    baseline = tf_idf(train, test)
    splits.show_all([baseline], metrics, "TF-IDF + LR")
    results = splits.train_and_score(
        AlbertTextClassifier,
        args,
        train,
        dev,
        lambda best: evaluate_classifier(best, test),
        monitor,
        seeds=args.seeds,
        labels=labels,
        pooling=args.pooling,
    )
    preprocessor = splits.preprocessor(args.max_length)
    bags = [
        bag_of_embeddings(preprocessor, train, dev, test, monitor, seed)
        for seed in args.seeds
    ]
    start = splits.start_name(args.preset, args.pooling)
    splits.show_all(bags, metrics, "bag of embeddings")
    splits.show_all(results, metrics, start)
    minutes = (time.perf_counter() - begin) / 60
    print(f"{minutes:.1f} minutes on {keras.backend.backend()}")


if __name__ == "__main__":
    main()
