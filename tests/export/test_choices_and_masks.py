"""Choosers and masked LMs with their preprocessors pass each format's gate."""

import keras
import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert import export

pytestmark = pytest.mark.once

FORMATS = {
    "litert": "model.tflite",
    "onnx": "model.onnx",
    "saved_model": "model",
}


@pytest.fixture(scope="module")
def chooser(tokenizer, tiny):
    keras.utils.set_random_seed(4)
    chooser = ka.AlbertMultipleChoice(
        ka.AlbertBackbone(**{**tiny, "num_layers": 1}),
        preprocessor=ka.AlbertMultipleChoicePreprocessor(tokenizer, 24),
    )
    contracts.randomize(chooser, seed=3)
    return chooser


@pytest.mark.parametrize("to", FORMATS)
def test_a_chooser_scores_a_choice_a_row(chooser, tmp_path, to):
    report = export.export_model(chooser, tmp_path / FORMATS[to], to=to)
    assert report.passed
    assert report.examples >= 200
    assert set(report.outputs) == {"logits"}
    with pytest.raises(ValueError, match="random tokens, not on texts"):
        export.verify(chooser, tmp_path / FORMATS[to], ["a text"])


def test_a_file_chooses_as_the_model(chooser, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path = tmp_path / "model.tflite"
    export.to_litert(chooser, path)
    question, choices = "Where is a fish?", ["In the sea", "In a tree", "Hm"]
    features = chooser.preprocessor({"question": question, "choices": choices})
    run = interpreter.Interpreter(str(path)).get_signature_runner()
    logits = run(**features)["logits"][:, 0].astype("float64")
    scores = np.exp(logits) / np.exp(logits).sum()
    expected = chooser.choose("", question, choices)["scores"]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["AlbertMaskedLM", "AlbertPretrainer"])
def test_models_that_draw_masks(tokenizer, tiny, tmp_path, name):
    """Compared on random tokens: their preprocessors draw other masks."""
    preprocessor = getattr(ka, f"{name}Preprocessor")(tokenizer, 24)
    model = getattr(ka, name)(
        ka.AlbertBackbone(**{**tiny, "num_layers": 1}),
        preprocessor=preprocessor,
    )
    contracts.randomize(model, seed=3)
    report = export.export_model(model, tmp_path / "model", to="saved_model")
    assert report.passed
