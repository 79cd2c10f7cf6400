"""Token classifiers with their preprocessor pass the gate of each format."""

import keras
import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert import export
from keras_albert.export.examples import default_texts

pytestmark = pytest.mark.once

LABELS = ["O", "B-PER", "I-PER"]
FORMATS = {
    "litert": "tagger.tflite",
    "onnx": "tagger.onnx",
    "saved_model": "tagger",
}


@pytest.fixture(scope="module")
def tagger(tokenizer, tiny):
    keras.utils.set_random_seed(4)
    tagger = ka.AlbertTokenClassifier(
        ka.AlbertBackbone(**tiny),
        preprocessor=ka.AlbertTokenClassifierPreprocessor(tokenizer, 24),
        labels=LABELS,
    )
    contracts.randomize(tagger, seed=3, scale=0.6)
    return tagger


@pytest.mark.parametrize("to", FORMATS)
def test_artifacts_give_the_probabilities_of_tokens(tagger, tmp_path, to):
    report = export.export_model(tagger, tmp_path / FORMATS[to], to=to)
    assert report.passed
    assert report.examples >= 200
    assert set(report.outputs) == {"probabilities"}
    # Word by word, the text's own ids went in.
    assert "text" not in {x for names in report.inputs.values() for x in names}
    with pytest.raises(ValueError, match="takes no pairs"):
        export.verify(tagger, tmp_path / FORMATS[to], [("a", "b")])


def test_examples_are_texts_of_words(tagger):
    texts = default_texts(tagger.preprocessor)
    assert len(texts) >= 200
    assert all(isinstance(text, str) for text in texts)


def test_words_of_an_artifact_are_those_of_the_model(tagger, tmp_path):
    """Ids and places from the preprocessor, probabilities from the file."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path = tmp_path / "tagger.tflite"
    export.to_litert(tagger, path)
    sentence = ["Anna", "Berg", "lives", "in", "Oslo"]
    window = tagger.preprocessor.windows([sentence])[0]
    features = tagger.preprocessor.pack([window])
    run = interpreter.Interpreter(str(path)).get_signature_runner()
    received = run(**features)["probabilities"][0, window.positions]
    expected = tagger.word_probabilities([sentence])[0]
    np.testing.assert_allclose(received, expected, atol=1e-5)
