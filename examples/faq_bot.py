"""Answers questions from a FAQ, or says that it does not know.

    python examples/faq_bot.py [--epochs 30] [--output runs/faq.tflite]
        ["A question" …]

Fine-tunes the embedded default on questions that have the same answer, finds
for a new question the nearest one that is known, and gives its answer if it is
near enough. How near is enough is chosen on the dev questions, some of which
no answer is for. Prints recall@1 beside that of guessing, how many test
questions are treated as they should be, and writes a file for a phone.
"""

import argparse
import csv
import pathlib

import keras
import numpy as np

import keras_albert as ka

DATA = pathlib.Path(__file__).parent / "data"


def read(split):
    """Questions, and their answers, empty where there is none."""
    with open(DATA / f"faq_{split}.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["question"] for row in rows], [row["answer"] for row in rows]


def pairs(questions, answers):
    """Each question with all others that have the same answer."""
    rows = [
        (one, other, answer)
        for one, answer in zip(questions, answers, strict=True)
        for other, same in zip(questions, answers, strict=True)
        if answer == same and one != other
    ]
    texts, positives, classes = map(list, zip(*rows, strict=True))
    return {"text": texts, "positive": positives}, classes


class Bot:
    """The nearest known question's answer, if it is near enough."""

    def __init__(self, embedder, questions, answers):
        self.embedder = embedder
        self.answers = np.array(answers, dtype=object)
        self.known = embedder.embed(questions)  # of length 1
        self.threshold = -1.0

    def ask(self, questions):
        """Answers and cosine similarities; `""` where it does not know."""
        cosine = self.embedder.embed(questions) @ self.known.T
        best, score = cosine.argmax(axis=1), cosine.max(axis=1)
        found = np.where(score >= self.threshold, self.answers[best], "")
        return found, score

    def choose_threshold(self, questions, answers):
        """The one with which most of the questions are treated rightly."""
        found, score = self.ask(questions)
        right = found == np.array(answers, dtype=object)
        unknown = np.array(answers, dtype=object) == ""
        candidates = np.sort(np.append(score, np.inf))
        counts = [
            (right & (score >= t)).sum() + (unknown & (score < t)).sum()
            for t in candidates
        ]
        self.threshold = float(candidates[int(np.argmax(counts))])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", nargs="*")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--output", default="runs/faq.tflite")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    questions, answers = read("train")
    embedder = ka.AlbertTextEmbedder.from_preset("albert_tiny_en")
    x, classes = pairs(questions, answers)
    # Of one answer are no negatives: the classes say so.
    embedder.fit(x, classes, batch_size=64, epochs=arguments.epochs, verbose=2)

    bot = Bot(embedder, questions, answers)
    test, expected = read("test")
    expected = np.array(expected, dtype=object)
    found, _ = bot.ask(test)
    has_answer = expected != ""
    recall = float((found == expected)[has_answer].mean())
    chance = 1 / len({*answers})
    print(f"recall@1 {recall:.3f}, by guessing {chance:.3f}")

    bot.choose_threshold(*read("dev"))
    found, _ = bot.ask(test)
    share = float((found == expected).mean())
    kept = float((found == "")[~has_answer].mean())
    print(
        f"threshold {bot.threshold:.2f}: {share:.3f} of all test questions "
        f"right, {kept:.3f} of those without an answer refused"
    )
    for question in arguments.questions or ["Do I need a helmet?"]:
        (answer,), (score,) = bot.ask([question])
        print(f"{question} -> {answer or 'I do not know.'} ({score:.2f})")

    output = pathlib.Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    print(ka.export.export_model(embedder, output))
    return recall, share


if __name__ == "__main__":
    main()
