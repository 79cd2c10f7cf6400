"""A model that lives on another backend is exported too."""

import keras
import pytest

from keras_albert.export import to_litert, verify

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="test_litert.py tests TensorFlow itself",
)


def test_export(make_classifier, tmp_path):
    pytest.importorskip("ai_edge_litert")
    model = make_classifier(labels=["a", "b"])
    path = to_litert(model, tmp_path / "model.tflite")
    report = verify(model, path, ["Wake me at seven", ("Hm.", "Yes")[0], ""])
    assert report.passed and report.max_abs_diff < 1e-5
