"""Documents longer than a model reads: which manual is a section from?

    python examples/document_classification.py [--data FILE] [--epochs 20]
        [--max-length 96] [--preset albert_tiny_en]

Cuts each document into windows of at most `--max-length` tokens at the ends of
its paragraphs and sentences, trains on windows, each with the label of its
document, and gives a document the label whose mean log-probability over its
windows is highest; beside that of the first window alone, which is what
cutting off would see. `FILE` has columns `text` and `label`; by default the
documents are the sections of this repository's manuals, and the label is the
manual. A fifth of the documents, in none of which the model was trained, are
the test.
"""

import argparse
import pathlib
import random
import re

import keras
import numpy as np

import keras_albert as ka
from keras_albert.data.readers import read_rows

DOCS = pathlib.Path(__file__).parent.parent / "docs"
LEAST = 3  # Sections that a manual needs to be one of the classes.


def sections():
    """Sections of the manuals, without their headings, and the manuals."""
    examples = []
    for path in sorted(DOCS.glob("*.md")):
        parts = re.split(r"^#+ .*$", path.read_text("utf-8"), flags=re.M)
        texts = [part.strip() for part in parts if len(part.split()) > 20]
        if len(texts) >= LEAST:
            examples += [(text, path.stem) for text in texts]
    return examples


def windows(text, tokenizer, tokens):
    """Parts of a text, of whole sentences as long as these are no longer."""
    sentences = re.split(r"(?<=[.!?:])\s+|\n\n+", text)
    parts, length = [[]], 0
    for sentence in filter(None, sentences):
        size = len(tokenizer(sentence))
        if parts[-1] and length + size > tokens:
            parts.append([])
            length = 0
        parts[-1].append(sentence)
        length += size
    return [" ".join(part) for part in parts]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--max-length", type=int, default=96)
    parser.add_argument("--preset", default="albert_tiny_en")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    if arguments.data is None:
        examples = sections()
    else:
        rows = read_rows(arguments.data, "text", None, "label")
        examples = list(zip(rows.texts, rows.labels, strict=True))
    random.Random(0).shuffle(examples)
    labels = sorted({label for _, label in examples})
    count = len(examples) // 5
    test, train = examples[:count], examples[count:]

    preprocessor = ka.AlbertTextClassifierPreprocessor.from_preset(
        arguments.preset, sequence_length=arguments.max_length
    )
    classifier = ka.AlbertTextClassifier.from_preset(
        arguments.preset, labels=labels, preprocessor=preprocessor
    )

    def cut(text):
        # [CLS] and [SEP] need a place, too.
        return windows(text, preprocessor.tokenizer, arguments.max_length - 2)

    texts, classes = [], []
    for text, label in train:
        parts = cut(text)
        texts += parts
        classes += [labels.index(label)] * len(parts)
    print(f"{len(train)} documents for training, {len(texts)} windows")
    classifier.fit(
        texts, classes, batch_size=16, epochs=arguments.epochs, verbose=2
    )

    right = {"all windows": 0, "first window": 0}
    for text, label in test:
        outputs = classifier.predict_by_length(cut(text))
        values = keras.ops.convert_to_numpy(classifier.probabilities(outputs))
        for name, part in (
            ("all windows", values),
            ("first window", values[:1]),
        ):
            best = np.log(part).mean(axis=0).argmax()
            right[name] += labels[best] == label
    most = max(labels, key=[label for _, label in train].count)
    guessed = sum(label == most for _, label in test)
    for name, number in {**right, f"always {most}": guessed}.items():
        print(f"{name:<24}{number / count:.2f} of {count} documents")
    return right["all windows"] / count, guessed / count


if __name__ == "__main__":
    main()
