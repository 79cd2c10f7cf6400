"""What every layer, model and preprocessor must keep, as plain functions."""

import json
import random

import keras
import numpy as np
from keras import tree


def randomize(model, seed=0, scale=0.3):
    """Draws all weights, also scales and biases: a swapped one shows."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        value = generator.normal(scale=scale, size=variable.shape)
        if variable.name == "gamma":
            value = 1.0 + value
        variable.assign(value.astype("float32"))


def random_batch(config, rows=4, length=12, seed=0):
    """Token ids, segments and right-padded masks, the first row unpadded."""
    generator = np.random.default_rng(seed)
    tokens = generator.integers(2, length + 1, size=rows)
    tokens[0] = length
    mask = np.arange(length) < tokens[:, None]
    second = generator.integers(1, length, size=(rows, 1))
    return {
        "token_ids": generator.integers(
            0, config["vocabulary_size"], (rows, length)
        ).astype("int32"),
        "segment_ids": (np.arange(length) >= second).astype("int32"),
        "padding_mask": mask.astype("int32"),
    }


def to_numpy(outputs):
    """The leaves of a structure of tensors, as float arrays."""
    return [
        np.asarray(keras.ops.convert_to_numpy(x), dtype="float32")
        for x in tree.flatten(outputs)
    ]


def predict(model, batch):
    """A model's outputs by name, however the backend runs it."""
    if keras.backend.backend() == "openvino":
        batch = tree.map_structure(keras.ops.convert_to_numpy, batch)
        outputs = keras.Model.predict_on_batch(model, batch)
    else:
        # Operation by operation: the same weights, the same bits.
        outputs = tree.map_structure(
            keras.ops.convert_to_numpy, model(batch, training=False)
        )
    if not isinstance(outputs, dict):
        outputs = {"outputs": outputs}
    return {name: np.asarray(x, "float32") for name, x in outputs.items()}


def assert_same(received, expected, tolerance=1e-6):
    if isinstance(expected, dict):
        assert set(received) == set(expected)
        received = [received[name] for name in expected]
        expected = list(expected.values())
    for a, b in zip(received, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=0)


# === Configuration ===


def check_config_round_trip(layer, call):
    """A config is JSON, and makes a layer that computes the same.

    Args:
        layer: a built layer or model.
        call: function of a layer, its outputs on fixed inputs.
    """
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(layer.get_config())
    call(twin)  # Builds it.
    twin.set_weights(layer.get_weights())
    assert_same(to_numpy(call(twin)), to_numpy(call(layer)))
    assert json.loads(json.dumps(twin.get_config())) == config
    assert [w.path for w in twin.weights] == [w.path for w in layer.weights]


# === Saving ===


def check_saving(model, batch, path):
    """`.keras` gives back the class, and the outputs to the last bit."""
    expected = predict(model, batch)
    model.save(path)
    loaded = keras.models.load_model(path)
    assert type(loaded) is type(model)
    assert_same(predict(loaded, batch), expected, tolerance=0.0)
    assert len(loaded.weights) == len(model.weights)
    return expected


# === Numbers ===


def check_mixed_precision(make, call, policy):
    """Variables in float32, computation in 16 bits, near the same outputs.

    Args:
        make: function of a dtype policy that makes a layer.
        call: function of a layer, its outputs on fixed inputs.
        policy: name of a mixed policy.
    """
    reference, mixed = make("float32"), make(policy)
    call(reference), call(mixed)
    randomize(reference)
    mixed.set_weights(reference.get_weights())
    assert {
        keras.backend.standardize_dtype(w.dtype) for w in mixed.weights
    } <= {"float32"}
    outputs = call(mixed)
    compute_dtype = keras.dtype_policies.get(policy).compute_dtype
    for output in tree.flatten(outputs):
        assert keras.backend.standardize_dtype(output.dtype) == compute_dtype
    # Rounding at every step of layers that repeat.
    tolerance = 0.15 if "bfloat16" in policy else 0.02
    expected, received = to_numpy(call(reference)), to_numpy(outputs)
    assert_same(received, expected, tolerance=tolerance)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(received, expected, strict=True)
    )


def check_padding_is_ignored(call, batch, per_token=("sequence_output",)):
    """Neither what padding holds nor how much there is changes tokens.

    Args:
        call: function of a batch, a dictionary of outputs.
        batch: inputs with some padding.
        per_token: names of the outputs with an entry for each token.
    """
    mask = batch["padding_mask"].astype(bool)
    assert not mask.all()
    generator = np.random.default_rng(1)
    other = {
        "token_ids": np.where(
            mask,
            batch["token_ids"],
            generator.permutation(batch["token_ids"].ravel()).reshape(
                mask.shape
            ),
        ),
        "segment_ids": np.where(
            mask, batch["segment_ids"], 1 - batch["segment_ids"]
        ),
        "padding_mask": batch["padding_mask"],
    }
    longer = {
        name: np.pad(
            x, ((0, 0), (0, 5)), constant_values=(name != "padding_mask")
        )
        for name, x in batch.items()
    }
    expected = call(batch)
    for changed in (other, longer):
        received = call(changed)
        for name, value in expected.items():
            came = received[name]
            if name in per_token:
                value, came = value[mask], came[:, : mask.shape[1]][mask]
            np.testing.assert_allclose(came, value, atol=1e-5, rtol=0)
    # The mask does something at all.
    unmasked = call({**batch, "padding_mask": np.ones_like(mask, "int32")})
    assert any(
        np.abs(unmasked[name] - value).max() > 1e-3
        for name, value in expected.items()
    )


# === Side effects ===


def check_global_generators(call):
    """Calling leaves NumPy's and Python's generators as they were."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    call()
    after = np.random.get_state()
    assert all(
        np.array_equal(a, b) for a, b in zip(after, numpy_state, strict=True)
    )
    assert random.getstate() == python_state
