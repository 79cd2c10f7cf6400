"""What of a day's requests to an assistant belongs into the diary?

    python examples/summarization.py [--epochs 10]
        [--output runs/extractor.tflite]

Makes documents of eight sentences of the bundled sample, of which two are
about appointments and are the summary, fine-tunes the embedded default on
them with `model.fit`, prints the F1 of the sentences that are taken beside
that of the first two, sums up a document, and writes a file that scores
sentences on a phone.
"""

import argparse
import csv
import pathlib
import random

import keras

import keras_albert as ka

DATA = pathlib.Path(__file__).parent / "data"
WANTED, OF_A_SUMMARY, OF_A_DOCUMENT = "calendar", 2, 8


def read(split, count, seed):
    """Documents as lists of sentences, and their labels."""
    draw = random.Random(seed)
    path = DATA / f"intents_{split}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted, others = (
        [row["text"] for row in rows if (row["label"] == WANTED) == is_wanted]
        for is_wanted in (True, False)
    )
    documents, labels = [], []
    for _ in range(count):
        sentences = [(text, 1) for text in draw.sample(wanted, OF_A_SUMMARY)]
        number = OF_A_DOCUMENT - OF_A_SUMMARY
        sentences += [(text, 0) for text in draw.sample(others, number)]
        draw.shuffle(sentences)
        documents.append([text for text, _ in sentences])
        labels.append([label for _, label in sentences])
    return documents, labels


def f1(chosen, labels):
    """Of sentences: as many are taken as are wanted, so it is a share."""
    right = sum(
        of_one[i]
        for part, of_one in zip(chosen, labels, strict=True)
        for i in part
    )
    taken, wanted = sum(map(len, chosen)), sum(map(sum, labels))
    return 2 * right / (taken + wanted)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output", default="runs/extractor.tflite")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    documents, labels = read("train", count=240, seed=0)
    test, expected = read("test", count=60, seed=1)

    extractor = ka.AlbertSentenceExtractor.from_preset("albert_tiny_en")
    extractor.fit(
        documents, labels, batch_size=16, epochs=arguments.epochs, verbose=2
    )

    summaries = extractor.summarize(test, sentences=OF_A_SUMMARY)
    chosen = [[x["index"] for x in summary] for summary in summaries]
    score = f1(chosen, expected)
    lead = f1([[*range(OF_A_SUMMARY)]] * len(test), expected)
    print(f"sentence F1 {score:.3f}, of the first sentences {lead:.3f}")

    text = (
        "Play something quiet. Move my dentist appointment to Friday. Is it "
        "cold outside? What is on my calendar tomorrow? Turn off the lights."
    )
    for x in extractor.summarize(text, sentences=OF_A_SUMMARY):
        print(f"{x['start']:3}-{x['end']:3} {x['score']:.2f} {x['text']}")

    # Of each document the logits at its [CLS] tokens are its sentences'.
    output = pathlib.Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    print(ka.export.export_model(extractor, output))
    return score, lead


if __name__ == "__main__":
    main()
