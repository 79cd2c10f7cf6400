"""What does a request to a phone's assistant ask for? One of several choices.

    python examples/multiple_choice.py [--epochs 15]
        [--output runs/multiple_choice.tflite]

Makes questions with two to four choices of the bundled sample, fine-tunes the
embedded default on them with `model.fit`, prints the accuracy beside that of
guessing, answers a question with all eight choices, and writes a file that
scores choices on a phone.
"""

import argparse
import csv
import pathlib
import random

import keras
import numpy as np

import keras_albert as ka

DATA = pathlib.Path(__file__).parent / "data"
# What each intent of the sample asks for, in words.
ACTIONS = {
    "alarm": "an alarm or a timer",
    "calendar": "the calendar or an appointment",
    "call": "a phone or video call",
    "message": "a message to somebody",
    "music": "music or something to listen to",
    "navigation": "the way to a place",
    "smart_home": "the lights or the heating at home",
    "weather": "the weather",
}


def read(split, seed):
    """Questions with choices, and the indices of the right ones."""
    draw = random.Random(seed)
    path = DATA / f"intents_{split}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    questions = {"context": [], "question": [], "choices": []}
    answers = []
    for row in rows:
        others = sorted(ACTIONS.keys() - {row["label"]})
        intents = [row["label"], *draw.sample(others, draw.randint(1, 3))]
        draw.shuffle(intents)
        questions["context"].append(row["text"])
        questions["question"].append("This asks for")
        questions["choices"].append([ACTIONS[intent] for intent in intents])
        answers.append(intents.index(row["label"]))
    return questions, np.array(answers)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--output", default="runs/multiple_choice.tflite")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    questions, answers = read("train", seed=0)
    test, expected = read("test", seed=1)

    chooser = ka.AlbertMultipleChoice.from_preset("albert_tiny_en")
    chooser.fit(
        questions, answers, batch_size=16, epochs=arguments.epochs, verbose=2
    )

    results = chooser.choose(test["context"], test["question"], test["choices"])
    found = np.array([result["index"] for result in results])
    accuracy = float(np.mean(found == expected))
    chance = np.mean([1 / len(choices) for choices in test["choices"]])
    print(f"accuracy {accuracy:.3f}, by guessing {chance:.3f}")

    request = "Will I need an umbrella tomorrow?"
    result = chooser.choose(request, "This asks for", [*ACTIONS.values()])
    print(f"{request} -> {result['choice']} ({result['score']:.2f})")

    # A row a choice: the logits of a question's choices go through a softmax.
    output = pathlib.Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    print(ka.export.export_model(chooser, output))
    return accuracy, chance


if __name__ == "__main__":
    main()
