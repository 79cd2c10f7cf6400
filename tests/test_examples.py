"""Each example runs, on small data."""

import importlib.util
import math
import pathlib

import pytest

import keras_albert as ka

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


def test_question_answering(tmp_path):
    output = tmp_path / "answers.tflite"
    arguments = ["--epochs", "4", "--output", str(output)]
    f1 = load("question_answering").main(arguments)
    assert 0 <= f1 <= 100
    assert output.stat().st_size < 3e6


def test_multiple_choice(tmp_path):
    output = tmp_path / "chooser.tflite"
    arguments = ["--epochs", "4", "--output", str(output)]
    accuracy, chance = load("multiple_choice").main(arguments)
    assert 0.3 < chance < 0.4
    assert accuracy > chance
    assert output.is_file()


def test_pseudo_perplexity():
    before, after = load("pseudo_perplexity").main(["--epochs", "3"])
    assert before == pytest.approx(8000, rel=0.2)  # It knows nothing yet.
    assert after < 0.5 * before


def test_faq_bot(tmp_path):
    output = tmp_path / "faq.tflite"
    arguments = ["--epochs", "8", "--output", str(output)]
    recall, share = load("faq_bot").main(arguments)
    assert recall > 0.25  # 0.083 by chance.
    assert share > 10 / 34  # When it never knows.
    assert output.is_file()


def test_summarization(tmp_path):
    output = tmp_path / "extractor.tflite"
    arguments = ["--epochs", "3", "--output", str(output)]
    f1, lead = load("summarization").main(arguments)
    assert f1 > lead + 0.1
    assert output.is_file()


def test_every_example_has_a_test_and_is_short():
    tests = pathlib.Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'load("{path.stem}")' in tests
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 120
