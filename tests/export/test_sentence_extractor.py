"""Extractors pass each format's gate, and files score as the model."""

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
def extractor(tokenizer, tiny):
    keras.utils.set_random_seed(4)
    extractor = ka.AlbertSentenceExtractor(
        ka.AlbertBackbone(**{**tiny, "num_layers": 1}),
        preprocessor=ka.AlbertSentenceExtractorPreprocessor(tokenizer, 32),
    )
    contracts.randomize(extractor, seed=3)
    return extractor


@pytest.mark.parametrize("to", FORMATS)
def test_extractors_pass_the_gate(extractor, tmp_path, to):
    report = export.export_model(extractor, tmp_path / FORMATS[to], to=to)
    assert report.passed
    assert report.examples >= 200
    assert set(report.outputs) == {"sentence_logits"}


def test_a_file_scores_as_the_model(extractor, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path = tmp_path / "model.tflite"
    export.to_litert(extractor, path)
    documents = [["It rains.", "A bridge is built.", "Hm."]]
    (block,) = extractor.preprocessor.blocks(documents)
    inputs = extractor.preprocessor.pack([block])
    run = interpreter.Interpreter(str(path)).get_signature_runner()
    logits = run(**inputs)["sentence_logits"][0, block.positions]
    (expected,) = extractor.sentence_scores(documents)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected, atol=1e-5)
