"""SavedModels: texts in, labels out, with TensorFlow and its text ops alone."""

import json
import pathlib

import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert.export import to_saved_model, verify
from keras_albert.export.examples import AWKWARD_TEXTS

pytestmark = pytest.mark.once

SERVING = pathlib.Path(__file__).parents[2] / "export" / "serving"
TEXTS = ["Wake me at seven", "Hm.", "CAFÉ naïve", *AWKWARD_TEXTS]
PAIRS = [("Wake me", "at seven"), ("", "b"), ("Hm.", "Yes, yes\tyes.")]
# A server has neither this package nor what it is built on.
SERVE = """
import json, sys
for name in ("keras_nlp", "keras_hub", "keras_albert", "sentencepiece"):
    sys.modules[name] = None
import tensorflow as tf
import tensorflow_text
model = tf.saved_model.load(sys.argv[1])
results = []
for name, inputs in json.loads(sys.argv[2]):
    outputs = model.signatures[name](
        **{key: tf.constant(value) for key, value in inputs.items()}
    )
    results.append(
        {
            key: [x.decode() for x in value.numpy().ravel().tolist()]
            if value.dtype == tf.string
            else value.numpy().tolist()
            for key, value in outputs.items()
        }
    )
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def model(make_classifier):
    return make_classifier(labels=["a", "b", "c"])


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return to_saved_model(model, tmp_path_factory.mktemp("served") / "model")


@pytest.fixture(scope="module")
def signatures(folder):
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    model = tf.saved_model.load(folder)

    def run(name, **inputs):
        inputs = {key: tf.constant(value) for key, value in inputs.items()}
        outputs = model.signatures[name](**inputs)
        return {key: value.numpy() for key, value in outputs.items()}

    run.model = model
    return run


def scores_of(model, texts):
    outputs = model.predict_by_length(texts)
    return np.asarray(model.probabilities(outputs))


def test_served_by_tensorflow_alone(model, folder, run_python):
    calls = [
        ("text", {"text": TEXTS}),
        (
            "pair",
            dict(zip(("text", "pair"), zip(*PAIRS, strict=True), strict=True)),
        ),
        (
            "serving_default",
            {
                "token_ids": [[2, 48, 25, 3, 0]],
                "segment_ids": [[0] * 5],
                "padding_mask": [[1, 1, 1, 1, 0]],
            },
        ),
    ]
    out = run_python(SERVE, folder, json.dumps(calls))
    texts, pairs, ids = json.loads(out.splitlines()[-1])
    for result, given in ((texts, TEXTS), (pairs, PAIRS)):
        assert set(result) == {"probabilities", "labels"}
        np.testing.assert_allclose(
            result["probabilities"], scores_of(model, given), atol=1e-5
        )
        labels = [x["label"] for x in model.classify(given)]
        assert result["labels"] == labels
    assert len(set(texts["labels"])) > 1
    assert np.shape(ids["probabilities"]) == (1, 3)


def test_several_labels_are_named_or_empty(make_classifier, tmp_path):
    import tensorflow as tf

    model = make_classifier(labels=["x", "y", "z"], multi_label=True)
    folder = to_saved_model(model, tmp_path / "model")
    served = tf.saved_model.load(folder).signatures["text"]
    outputs = served(text=tf.constant(TEXTS))
    for row, result in zip(
        outputs["labels"].numpy(), model.classify(TEXTS), strict=True
    ):
        given = {label.decode() for label in row} - {""}
        assert given == {entry["label"] for entry in result}
    names = outputs["labels"].numpy()
    assert names.shape == (len(TEXTS), 3)
    assert set(names[:, 1]) <= {b"", b"y"}
    assert (names == b"").any() and (names != b"").any()


def test_without_labels_or_texts(make_classifier, shared, tmp_path):
    import tensorflow as tf

    model = make_classifier(num_classes=1)
    folder = to_saved_model(model, tmp_path / "regression")
    served = tf.saved_model.load(folder).signatures["text"]
    assert set(served.structured_outputs) == {"probabilities"}
    assert verify(model, folder, ["Hm.", "Wake me"]).passed

    tagger = ka.AlbertTokenClassifier(ka.AlbertBackbone(**shared), 5)
    contracts.randomize(tagger, scale=0.1)
    folder = to_saved_model(tagger, tmp_path / "tagger")
    report = verify(tagger, folder)
    assert report.passed and set(report.inputs) == {"serving_default"}


def test_the_gate_runs_texts_too(model, folder):
    report = verify(model, folder)
    assert report.passed and report.quantization == "float32"
    assert set(report.outputs) == {"probabilities", "probabilities of text"}
    assert report.inputs["pair"] == ["text", "pair"]


# === TensorFlow Serving ===


@pytest.mark.parametrize("name", ["text", "pair", "ids"])
def test_requests_fit_the_signatures(signatures, name):
    """What TensorFlow Serving makes of a request, without the server."""
    request = json.loads((SERVING / f"request_{name}.json").read_text())
    assert set(request) == {"signature_name", "inputs"}
    signature = request["signature_name"]
    specs = signatures.model.signatures[signature].structured_input_signature
    assert set(request["inputs"]) == set(specs[1])
    outputs = signatures(signature, **request["inputs"])
    rows = len(next(iter(request["inputs"].values())))
    assert {len(value) for value in outputs.values()} == {rows}

    # The same by rows, as the server's other form of a request has it.
    instances = [
        dict(zip(request["inputs"], row, strict=True))
        for row in zip(*request["inputs"].values(), strict=True)
    ]
    by_rows = signatures(
        signature,
        **{key: [row[key] for row in instances] for key in instances[0]},
    )
    for key, value in outputs.items():
        np.testing.assert_array_equal(value, by_rows[key])


def test_the_servers_configuration_names_what_is_there():
    config = (SERVING / "models.config").read_text()
    documentation = (SERVING / "README.md").read_text()
    assert 'name: "albert"' in config and "base_path:" in config
    for name in ("request_text", "request_pair", "request_ids"):
        assert f"{name}.json" in documentation
    assert "/v1/models/albert:predict" in documentation
