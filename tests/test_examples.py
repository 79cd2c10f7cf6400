"""Each example runs, on small data.

Where learning takes minutes, a run is of one epoch: that tasks learn is shown
by their own tests, and that a file computes what its model does is checked
before it gets its name.
"""

import importlib.util
import json
import math
import pathlib
import re

import numpy as np
import pytest

import keras_albert as ka
from keras_albert.data.readers import read_rows
from keras_albert.data.squad import read_questions

pytestmark = pytest.mark.once

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_intents(tmp_path):
    output = tmp_path / "intents.tflite"
    accuracy = load("intents").main(["--epochs", "6", "--output", str(output)])
    assert accuracy > 0.4  # 0.125 by chance.
    assert output.stat().st_size < 3e6


def test_sentiment(tmp_path, capsys):
    output = tmp_path / "sentiment.tflite"
    arguments = ["--epochs", "1", "--output", str(output)]
    accuracy = load("sentiment").main([*arguments, "A horrible film."])
    printed = capsys.readouterr().out
    assert f"accuracy {accuracy:.3f} on 80 reviews" in printed
    assert ": A horrible film." in printed
    assert "always negative 0.500" in printed
    assert output.stat().st_size < 3e6


def test_pretraining(tmp_path):
    """On this repository's documents, a few steps."""
    files = map(str, (EXAMPLES.parent / "docs").glob("*.md"))
    options = ["--vocabulary-size", "600", "--sequence-length", "32"]
    options += ["--steps", "40", "--output", str(tmp_path)]
    metrics = load("pretraining").main([*files, *options])
    assert metrics["mlm_loss"] < math.log(600)  # Of guessing.
    pretrainer = ka.AlbertPretrainer.from_preset(tmp_path / "model")
    assert pretrainer.preprocessor.sequence_length == 32


def test_entities(tmp_path):
    output = tmp_path / "entities.tflite"
    f1 = load("entities").main(["--epochs", "8", "--output", str(output)])
    assert f1 > 0.3  # 0.0 when nothing is found.
    assert output.stat().st_size < 3e6


def test_question_answering(tmp_path, capsys):
    output = tmp_path / "answers.tflite"
    arguments = ["--epochs", "1", "--output", str(output)]
    module = load("question_answering")
    f1, baseline = module.main(arguments)
    printed = capsys.readouterr().out
    assert 20 < baseline < 40
    for name, value in (("model:", f1), ("baseline:", baseline)):
        assert re.search(
            rf"^{name} +exact match .*, F1 {value:.1f}$", printed, re.M
        )
    # Two answers to each question, parts of the document where they say so.
    document = "\n\n".join(
        dict.fromkeys(read_questions(module.DATA / "guests_test.json").contexts)
    )
    found = re.findall(r"^  (\d+)-(\d+) +0\.\d\d (.+)$", printed, re.M)
    assert len(found) == 2 * len(module.QUESTIONS)
    for start, end, text in found:
        assert document[int(start) : int(end)] == text
    assert output.stat().st_size < 3e6


def test_multiple_choice(tmp_path):
    output = tmp_path / "chooser.tflite"
    arguments = ["--epochs", "1", "--output", str(output)]
    accuracy, chance = load("multiple_choice").main(arguments)
    assert 0.3 < chance < 0.4
    assert accuracy > chance / 2
    assert output.is_file()


def test_moderation():
    module = load("moderation")
    score, threshold = module.main(["--epochs", "10", "--precision", "0.8"])
    assert score > 0.5  # At most 0.17 by always saying the same.
    assert 0 < threshold < 1

    # What is found, and what is held back in vain, at each threshold.
    scores = np.array([0.9, 0.8, 0.8, 0.6, 0.5, 0.1])
    is_wrong = np.array([True, True, False, True, False, False])
    for precision, expected in ((1.0, 0.9), (0.75, 0.6), (0.5, 0.1)):
        found = module.choose_threshold(scores, is_wrong, precision)
        assert found == pytest.approx(expected)
    assert module.choose_threshold(scores, ~is_wrong, 0.9) is None


def test_document_classification(tokenizer, tmp_path):
    module = load("document_classification")
    text = "One is short. Two is longer than that! And three?\n\nFour: five."
    parts = module.windows(text, tokenizer, 12)
    assert " ".join(parts).split() == text.split()
    assert len(parts) > 1
    assert all(len(tokenizer(part)) <= 12 for part in parts)

    assert len({label for _, label in module.sections()}) > 5

    # The manuals take minutes: documents of six requests on one matter.
    path = EXAMPLES / "data" / "intents_train.csv"
    requests = read_rows(path, "text", None, "label")
    matters = {}
    for text, label in zip(requests.texts, requests.labels, strict=True):
        matters.setdefault(label, []).append(text)
    data = tmp_path / "documents.jsonl"
    with open(data, "w", encoding="utf-8") as file:
        for label, texts in matters.items():
            for start in range(0, len(texts), 6):
                text = "\n\n".join(texts[start : start + 6])
                file.write(json.dumps({"text": text, "label": label}) + "\n")
    options = ["--data", str(data), "--max-length", "32"]
    accuracy, most = module.main([*options, "--epochs", "1"])
    assert accuracy >= most / 2
    assert most == pytest.approx(1 / len(matters), abs=0.1)


def test_quality_estimation(capsys):
    module = load("quality_estimation")
    correlation, of_length = module.main(["--epochs", "1"])
    printed = capsys.readouterr().out
    assert abs(of_length) < 0.5
    assert (
        f"Pearson {correlation:.3f}, of the length {of_length:.3f}" in printed
    )
    rows = read_rows(module.DATA, "source", "translation", "score")
    judged = {
        translation: round(float(score))
        for (_, translation), score in zip(rows.texts, rows.labels, strict=True)
    }
    best, worst = printed.split("best:")[1].split("worst:")
    shown = [
        re.findall(r"^ +(-?\d+), people +(\d+): (.+)$", part, re.M)
        for part in (best, worst)
    ]
    assert [len(part) for part in shown] == [3, 3]
    for _, score, translation in [*shown[0], *shown[1]]:
        assert judged[translation] == int(score)
    given = [[int(score) for score, _, _ in part] for part in shown]
    assert given[0] == sorted(given[0], reverse=True)
    assert given[1] == sorted(given[1]) and given[1][0] <= given[0][0]


def test_reranking():
    chosen, mean = load("reranking").main(["--epochs", "10"])
    assert chosen > mean + 10


def test_pseudo_perplexity():
    before, after = load("pseudo_perplexity").main(["--epochs", "3"])
    # Of 8,000 pieces: the preset knows English, and then learns requests.
    assert before < 1000
    assert after < 0.75 * before


def test_faq_bot(tmp_path):
    output = tmp_path / "faq.tflite"
    arguments = ["--epochs", "8", "--output", str(output)]
    recall, share = load("faq_bot").main(arguments)
    assert recall > 0.4  # 0.083 by chance.
    assert share > 13 / 34  # 10 / 34 when it never knows.
    assert output.is_file()


def test_summarization(tmp_path):
    output = tmp_path / "extractor.tflite"
    arguments = ["--epochs", "1", "--output", str(output)]
    f1, lead = load("summarization").main(arguments)
    assert f1 > lead / 2 > 0.1
    assert output.is_file()


def test_every_example_has_a_test_and_is_short():
    tests = pathlib.Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'load("{path.stem}")' in tests
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 120
