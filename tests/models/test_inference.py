"""The rolled program gives what the model predicts, whatever became of it."""

import keras
import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert.layers import packed_dense
from keras_albert.layers.activations import get_activation

TASKS = {
    "classes": (ka.AlbertTextClassifier, {"num_classes": 3}),
    "tokens": (ka.AlbertTokenClassifier, {"num_classes": 3}),
    "spans": (ka.AlbertQuestionAnswerer, {}),
    "masked tokens": (ka.AlbertMaskedLM, {}),
}


def make_task(config, name, dtype=None):
    task_class, arguments = TASKS[name]
    task = task_class(ka.AlbertBackbone(**config, dtype=dtype), **arguments)
    contracts.randomize(task)
    return task


def assert_inference_is_prediction(task, config, tolerance=2e-6):
    for rows, length in ((4, 12), (1, 5)):
        batch = contracts.random_batch(config, rows, length)
        if isinstance(task, ka.AlbertMaskedLM):
            batch["mask_positions"] = np.ones((rows, 2), "int32")
        received = task.compute_batch(batch)
        assert all(
            isinstance(x, np.ndarray) for x in keras.tree.flatten(received)
        )
        if not isinstance(received, dict):
            received = {"outputs": received}
        expected = contracts.predict(task, batch)
        received = {n: np.asarray(x, "float32") for n, x in received.items()}
        contracts.assert_same(received, expected, tolerance)


@pytest.mark.inference
@pytest.mark.parametrize("name", TASKS)
def test_equals_prediction(shared, name):
    task = make_task(shared, name)
    assert_inference_is_prediction(task, shared)


def test_weights_are_read_at_each_call(shared):
    task = make_task(shared, "classes")
    assert_inference_is_prediction(task, shared)
    contracts.randomize(task, seed=5)
    assert_inference_is_prediction(task, shared)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="packs kernels on torch only"
)
def test_kernels_are_packed_once_and_again_after_training(shared, monkeypatch):
    packings, pack = [], packed_dense._operators()[0]

    def counting():
        return lambda w: packings.append(w) or pack(w), multiply

    multiply = packed_dense._operators()[1]
    monkeypatch.setattr(packed_dense, "_operators", counting)
    task = make_task(shared, "classes")
    layers = sum(map(len, task.backbone.transformer_layers))
    for _ in range(2):
        assert_inference_is_prediction(task, shared)
    assert len(packings) == 6 * layers  # Not once an application.
    batch = contracts.random_batch(shared)
    before = task.compute_batch(batch)
    task.compile(optimizer=keras.optimizers.SGD(0.1))
    task.fit(batch, np.zeros(len(batch["token_ids"]), "int32"), verbose=0)
    assert_inference_is_prediction(task, shared)
    assert len(packings) == 12 * layers
    assert not np.allclose(before, task.compute_batch(batch), atol=1e-4)

    # A torch without these operators.
    monkeypatch.setattr(packed_dense, "_operators", lambda: None)
    assert_inference_is_prediction(task, shared)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="packs kernels on torch only"
)
@pytest.mark.parametrize(
    "activation", ["gelu_approximate", "gelu", "relu", "tanh", "silu", None]
)
def test_activations_within_a_product(activation):
    layer = keras.layers.Dense(
        40, activation=get_activation(activation), bias_initializer="normal"
    )
    x = 4 * np.random.default_rng(0).normal(size=(30, 24)).astype("float32")
    expected = keras.ops.convert_to_numpy(layer(x))
    packed = packed_dense.PackedDense()
    x = keras.ops.convert_to_tensor(x)
    assert packed.takes(layer, x)
    received = keras.ops.convert_to_numpy(packed(layer, x))
    np.testing.assert_allclose(received, expected, rtol=2e-6, atol=2e-6)


def test_adapters_and_quantization(shared):
    task = make_task(shared, "classes")
    before = task.compute_batch(contracts.random_batch(shared))
    task.backbone.enable_lora(2)
    contracts.randomize(task, seed=5)
    assert_inference_is_prediction(task, shared)
    task = make_task(shared, "classes")
    assert_inference_is_prediction(task, shared)
    task.quantize("int8")
    after = task.compute_batch(contracts.random_batch(shared))
    assert not np.array_equal(before, after)
    # Rounding of activations, where sums differ in their last bit.
    assert_inference_is_prediction(task, shared, tolerance=2e-2)


def test_mixed_precision(shared):
    task = make_task(shared, "classes", dtype="mixed_bfloat16")
    assert_inference_is_prediction(task, shared, tolerance=5e-2)
