"""Answers in a document: the notes that an inn has for its guests.

    python examples/question_answering.py [--epochs 80] [--output FILE]

Fine-tunes the embedded default with `model.fit` on questions about the notes,
asks them in other words, and prints exact match and F1 beside those of a
baseline, the sentence that shares most words with the question. Then it asks
the whole document, which is longer than what the model reads at once (and
harder: this small model has learned paragraphs), and writes a file for the
phone that has been compared with the model.
"""

import argparse
import pathlib
import re

import keras

import keras_albert as ka
from keras_albert.data.squad import read_questions
from keras_albert.metrics.squad import normalize_answer, score_answers

DATA = pathlib.Path(__file__).parent / "data"
QUESTIONS = ["Where do I find blankets?", "How often does the ferry leave?"]


def nearest_sentence(question, text):
    """The sentence that shares most words with a question, the baseline."""
    words = set(normalize_answer(question).split())
    return max(
        re.split(r"(?<=[.!?]) ", text),
        key=lambda sentence: len(
            words & set(normalize_answer(sentence).split())
        ),
    )


def score(name, questions, texts):
    """Prints exact match and F1, in percent, and gives F1."""
    predictions = dict(zip(questions.ids, texts, strict=True))
    metrics = score_answers(questions.texts(), predictions)
    exact_match, f1 = metrics["exact_match"], metrics["f1"]
    print(f"{name:<9} exact match {exact_match:.1f}, F1 {f1:.1f}")
    return f1


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--output", default="runs/answers.tflite")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    train = read_questions(DATA / "guests_train.json")
    test = read_questions(DATA / "guests_test.json")

    answerer = ka.AlbertQuestionAnswerer.from_preset(
        "albert_tiny_en",
        preprocessor=ka.AlbertQuestionAnswererPreprocessor.from_preset(
            "albert_tiny_en",
            sequence_length=128,
            stride=48,
            question_length=24,
        ),
    )
    answerer.fit(
        (train.questions, train.contexts),
        train.answers,
        batch_size=8,
        epochs=arguments.epochs,
        verbose=2,
    )

    results = answerer.answer(test.questions, test.contexts)
    f1 = score("model:", test, [result["text"] for result in results])
    nearest = list(map(nearest_sentence, test.questions, test.contexts))
    baseline = score("baseline:", test, nearest)

    document = "\n\n".join(dict.fromkeys(test.contexts))
    for question in QUESTIONS:
        print(question)
        for result in answerer.answer(question, document, top_k=2):
            place = f"{result['start']}-{result['end']}"
            print(f"  {place:<9} {result['score']:.2f} {result['text']}")

    output = pathlib.Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    print(ka.export.export_model(answerer, output, quantization="int8"))
    return f1, baseline


if __name__ == "__main__":
    main()
