"""Each example runs, on small data."""

import importlib.util
import pathlib

import pytest

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


def test_entities(tmp_path):
    output = tmp_path / "entities.tflite"
    f1 = load("entities").main(["--epochs", "8", "--output", str(output)])
    assert f1 > 0.3  # 0.0 when nothing is found.
    assert output.stat().st_size < 3e6


def test_every_example_has_a_test_and_is_short():
    tests = pathlib.Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'load("{path.stem}")' in tests
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 120
