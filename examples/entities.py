"""Names, places and times in requests to a phone's assistant.

    python examples/entities.py [--epochs 40] [--output runs/entities.tflite]

Fine-tunes the embedded default on words with labels with `model.fit`, prints
the entity F1 beside that of a dictionary, shows entities with their places in
a text, and writes a file for the phone that has been compared with the model.
"""

import argparse
import collections
import pathlib

import keras

import keras_albert as ka
from keras_albert.data.conll import read_sentences, tag_set
from keras_albert.metrics.entities import score_entities

DATA = pathlib.Path(__file__).parent / "data"
TEXT = "Tell Carla Rossi that I am in Lisbon on Sunday."


def dictionary(train):
    """The most frequent label of each word, the baseline."""
    counts = collections.defaultdict(collections.Counter)
    for words, labels in zip(train.words, train.labels, strict=True):
        for word, label in zip(words, labels, strict=True):
            counts[word][label] += 1
    return {
        word: labels.most_common(1)[0][0] for word, labels in counts.items()
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--output", default="runs/entities.tflite")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    train = read_sentences(DATA / "entities_train.conll")
    test = read_sentences(DATA / "entities_test.conll")

    tagger = ka.AlbertTokenClassifier.from_preset(
        "albert_tiny_en", labels=tag_set(train)
    )
    tagger.fit(
        train.words,
        train.labels,
        batch_size=8,
        epochs=arguments.epochs,
        verbose=2,
    )

    scores = score_entities(test.labels, tagger.tag(test.words))
    known = dictionary(train)
    baseline = score_entities(
        test.labels, [[known.get(x, "O") for x in row] for row in test.words]
    )
    print(f"entity F1 {scores['f1']:.3f}, of a dictionary {baseline['f1']:.3f}")

    print(TEXT)
    for entity in tagger.entities(TEXT):
        place = f"{entity['start']}-{entity['end']}"
        print(
            f"  {place:<7} {entity['label']:<5} {entity['score']:.2f} "
            f"{entity['text']}"
        )

    output = pathlib.Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    print(ka.export.export_model(tagger, output, quantization="int8"))
    return scores["f1"]


if __name__ == "__main__":
    main()
