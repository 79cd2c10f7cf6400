"""The same weights give the same numbers on every backend.

A process for each backend loads, in a fresh Python that has imported nothing
but Keras and the package, what TensorFlow saved here, saves what it made of
it, and loads what the other training backends saved in the meantime.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import contracts

pytestmark = pytest.mark.once

TEXTS = ["Wake me at seven", "", "What is the weather like?", "Hm."]
TRAINING = ("tensorflow", "jax", "torch")
INFERENCE = ("numpy", "openvino")
# Of logits of order 1; those that only predict have kernels of their own.
TOLERANCES = dict.fromkeys(TRAINING, 1e-05) | dict.fromkeys(INFERENCE, 0.0001)

# Both orders of the imports are right.
IMPORTS = {
    "jax": "import keras_albert, keras",
    "openvino": "import keras_albert, keras",
}
PROGRAM = """
import json, os, sys, time
{imports}
import numpy as np

folder, others = sys.argv[1], json.loads(sys.argv[2])
backend = keras.backend.backend()
with np.load(os.path.join(folder, "batch.npz")) as file:
    batch = dict(file)
texts = json.load(open(os.path.join(folder, "texts.json")))
results = {{}}

def compute(name, model):
    outputs = keras.Model.predict_on_batch(model, batch)
    if not isinstance(outputs, dict):
        outputs = {{"logits": outputs}}
    for output, value in outputs.items():
        results[f"{{name}}/{{output}}"] = np.asarray(value)

def path(name):
    return os.path.join(folder, name)

# `load_model` first: nothing of the package is imported yet.
classifier = keras.models.load_model(path("tensorflow.keras"))
compute("classifier.keras", classifier)
compute("layers.keras", keras.models.load_model(path("layers.keras")))
results["classify"] = [r["score"] for r in classifier.classify(texts)]
preset = keras_albert.AlbertTextClassifier.from_preset(path("tensorflow"))
compute("preset", preset)

if others:
    classifier.save(path(f"{{backend}}.partial.keras"))
    os.rename(path(f"{{backend}}.partial.keras"), path(f"{{backend}}.keras"))
    preset.save_to_preset(path(backend))
    for other in others:
        while not os.path.exists(path(other)):
            time.sleep(0.2)
        load = keras_albert.AlbertTextClassifier.from_preset
        compute(f"preset of {{other}}", load(path(other)))
        loaded = keras.models.load_model(path(f"{{other}}.keras"))
        compute(f"{{other}}.keras", loaded)
elif sys.argv[3] == "predicts":
    try:
        classifier.fit(texts, [0] * len(texts))
    except Exception as error:
        results["fit"] = str(error)
np.savez(path(f"{{backend}}.npz"), **results)
"""


@pytest.fixture(scope="module")
def saved(make_classifier, tmp_path_factory):
    """What TensorFlow saves, and its outputs, here in this process."""
    import keras

    from keras_albert.layers.encoder import (
        AlbertEncoderLayer,
        AttentionProbabilities,
    )

    folder = tmp_path_factory.mktemp("backends")
    classifier = make_classifier(
        labels=["a", "b", "c"],
        backbone={"num_layers": 3, "num_groups": 2},
    )
    backbone = classifier.backbone
    batch = contracts.random_batch({"vocabulary_size": 8000}, 5, 20)
    np.savez(folder / "batch.npz", **batch)
    (folder / "texts.json").write_text(json.dumps(TEXTS))
    classifier.save(folder / "tensorflow.keras")
    classifier.save_to_preset(folder / "tensorflow")
    # A model of the user's own.
    mask = backbone.input["padding_mask"]
    encoder = AlbertEncoderLayer(4, 24)
    states = encoder(backbone.output["sequence_output"], padding_mask=mask)
    attention = AttentionProbabilities(encoder)(states, mask)
    layers = keras.Model(
        backbone.input, {"states": states, "attention": attention}
    )
    layers.save(folder / "layers.keras")

    expected = {
        f"{name}/{output}": value
        for name, model in (
            ("classifier.keras", classifier),
            ("layers.keras", layers),
        )
        for output, value in contracts.predict(model, batch).items()
    }
    scores = [result["score"] for result in classifier.classify(TEXTS)]
    expected["classify"] = np.array(scores)
    expected["preset/outputs"] = expected["classifier.keras/outputs"]
    return folder, {
        name.replace("/outputs", "/logits"): value
        for name, value in expected.items()
    }


@pytest.fixture(scope="module")
def results(saved):
    """What the processes computed, all of them at the same time."""
    pytest.importorskip("jax")
    pytest.importorskip("torch")
    folder, _ = saved
    backends = [b for b in (*TRAINING, *INFERENCE) if b != "openvino"]
    try:
        import openvino  # noqa: F401

        backends.append("openvino")
    except ImportError:
        pass
    processes = {}
    for backend in backends:
        others = [b for b in TRAINING[1:] if b != backend]
        program = PROGRAM.format(
            imports=IMPORTS.get(backend, "import keras, keras_albert")
        )
        if backend not in TRAINING[1:]:
            others = []
        kind = "trains" if backend in TRAINING else "predicts"
        arguments = [str(folder), json.dumps(others), kind]
        with open(folder / f"{backend}.log", "w") as log:
            processes[backend] = subprocess.Popen(
                [sys.executable, "-c", program, *arguments],
                env={**os.environ, "KERAS_BACKEND": backend},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
    try:
        for backend, process in processes.items():
            code = process.wait(timeout=240)
            log = (folder / f"{backend}.log").read_text()
            assert code == 0, f"{backend}: {log[-3000:]}"
    finally:
        for process in processes.values():
            process.kill()
    computed = {}
    for backend in backends:
        with np.load(folder / f"{backend}.npz") as file:
            computed[backend] = {name: file[name] for name in file.files}
    return computed


@pytest.mark.parametrize("backend", [*TRAINING, *INFERENCE])
def test_same_numbers(saved, results, backend):
    if backend not in results:
        pytest.skip(f"{backend} is not installed")
    _, expected = saved
    for name, value in expected.items():
        if backend == "openvino" and name.startswith("layers.keras"):
            # Keras's own class: in bfloat16 where the processor has it.
            continue
        received = results[backend][name]
        assert received.shape == value.shape
        np.testing.assert_allclose(
            received, value, atol=TOLERANCES[backend], rtol=0, err_msg=name
        )
    # These are no constants, in which a mistake would not show.
    assert expected["classifier.keras/logits"].std(axis=0).min() > 0.1


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_weights_of_each_load_on_the_others(saved, results, backend):
    _, expected = saved
    (other,) = {"jax", "torch"} - {backend}
    for name in (f"preset of {other}", f"{other}.keras"):
        np.testing.assert_allclose(
            results[backend][f"{name}/logits"],
            expected["classifier.keras/logits"],
            atol=1e-5,
            rtol=0,
        )


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_weights_of_each_load_here(saved, results, backend):
    import keras

    import keras_albert as ka

    folder, expected = saved
    with np.load(folder / "batch.npz") as file:
        batch = dict(file)
    for model in (
        ka.AlbertTextClassifier.from_preset(folder / backend),
        keras.models.load_model(folder / f"{backend}.keras"),
    ):
        np.testing.assert_allclose(
            contracts.predict(model, batch)["outputs"],
            expected["classifier.keras/logits"],
            atol=1e-6,
            rtol=0,
        )


@pytest.mark.parametrize("backend", INFERENCE)
def test_training_elsewhere_gives_one_clear_line(results, backend):
    if backend not in results:
        pytest.skip(f"{backend} is not installed")
    message = str(results[backend]["fit"])
    assert backend in message and "KERAS_BACKEND" in message
    assert "\n" not in message
