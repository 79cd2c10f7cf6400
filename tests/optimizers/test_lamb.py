"""ALBERT's LAMB against the original's formulas in NumPy."""

import keras
import numpy as np
import pytest

from keras_albert.optimizers.lamb import AlbertLAMB
from keras_albert.optimizers.schedules import (
    WarmupLinearDecay,
    WarmupPolynomialDecay,
)

SHAPES = {"kernel": (4, 3), "bias": (3,), "gamma": (3,), "embeddings": (5, 2)}


class Reference:
    """google-research/albert `lamb_optimizer.py`, `optimization.py`."""

    def __init__(self, weights, rate):
        self.weights = {n: w.astype("float64") for n, w in weights.items()}
        self.rate = rate
        self.m = {n: np.zeros_like(w) for n, w in self.weights.items()}
        self.v = {n: np.zeros_like(w) for n, w in self.weights.items()}
        self.step = 0

    def apply(self, gradients):
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        rate = self.rate(self.step)
        for name, weight in self.weights.items():
            gradient = gradients[name] * (1.0 / max(norm, 1.0))
            self.m[name] = 0.9 * self.m[name] + 0.1 * gradient
            self.v[name] = 0.999 * self.v[name] + 0.001 * gradient**2
            update = self.m[name] / (np.sqrt(self.v[name]) + 1e-6)
            ratio = 1.0
            if name not in ("bias", "gamma"):
                update = update + 0.01 * weight
                weight_norm = np.linalg.norm(weight)
                update_norm = np.linalg.norm(update)
                if weight_norm > 0 and update_norm > 0:
                    ratio = weight_norm / update_norm
            self.weights[name] = weight - rate * ratio * update
        self.step += 1


def polynomial_with_warmup(rate, steps, warmup):
    def schedule(step):
        if step < warmup:
            return rate * step / warmup
        return rate * (1.0 - min(step, steps) / steps)

    return schedule


def make_variables(generator):
    weights = {n: generator.normal(size=s) for n, s in SHAPES.items()}
    weights["gamma"][:] = 1.0
    variables = [
        keras.Variable(w.astype("float32"), name=n) for n, w in weights.items()
    ]
    return weights, variables


def gradients_of_step(generator):
    # Some steps are clipped, some are not; one variable starts without any.
    scale = 10.0 ** generator.uniform(-2, 1)
    return {n: scale * generator.normal(size=s) for n, s in SHAPES.items()}


@pytest.mark.parametrize("scheduled", [False, True], ids=["constant", "decay"])
def test_agrees_with_the_original_over_50_steps(scheduled):
    generator = np.random.default_rng(0)
    weights, variables = make_variables(generator)
    if scheduled:
        rate = WarmupPolynomialDecay(0.05, steps=40, warmup_steps=10)
        expected_rate = polynomial_with_warmup(0.05, 40, 10)
    else:
        rate, expected_rate = 0.05, lambda step: 0.05
    weights = {n: w.astype("float32") for n, w in weights.items()}
    reference = Reference(weights, expected_rate)
    optimizer = AlbertLAMB(rate)
    for _ in range(50):
        gradients = gradients_of_step(generator)
        reference.apply(gradients)
        optimizer.apply(
            [
                keras.ops.convert_to_tensor(g.astype("float32"))
                for g in gradients.values()
            ],
            variables,
        )
    for variable, (name, expected) in zip(
        variables, reference.weights.items(), strict=True
    ):
        received = keras.ops.convert_to_numpy(variable.value)
        np.testing.assert_allclose(
            received, expected, rtol=0, atol=1e-6 * (1 + np.abs(expected).max())
        )
        assert np.abs(received - weights[name]).max() > 1e-3


def test_zero_weights_and_zero_gradients_stay_finite():
    zero = keras.Variable(np.zeros((2, 2), "float32"), name="kernel")
    still = keras.Variable(np.ones((2, 2), "float32"), name="kernel")
    optimizer = AlbertLAMB(0.1, weight_decay_rate=0.0)
    gradient = np.full((2, 2), 0.5, "float32")
    optimizer.apply(
        [keras.ops.convert_to_tensor(gradient), keras.ops.zeros((2, 2))],
        [zero, still],
    )
    # A trust ratio of 1: m / (sqrt(v) + epsilon) of clipped gradients.
    expected = -0.1 * 0.05 / (np.sqrt(0.001 * 0.25) + 1e-6)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(zero.value), expected, rtol=1e-5
    )
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(still.value), np.ones((2, 2))
    )


def test_config_makes_it_again():
    optimizer = AlbertLAMB(0.1, weight_decay_rate=0.02, exclude=("bias",))
    config = keras.optimizers.serialize(optimizer)
    twin = keras.optimizers.deserialize(config)
    assert type(twin) is AlbertLAMB
    assert twin.get_config() == optimizer.get_config()


@pytest.mark.once
def test_a_fresh_process_loads_compiled_models(tmp_path, run_python):
    """As it loads layers: only the package itself is imported there."""
    schedules = (
        WarmupPolynomialDecay(0.05, steps=40, warmup_steps=10),
        WarmupLinearDecay(0.05, warmup_steps=10, total_steps=40),
    )
    expected = []
    for index, schedule in enumerate(schedules):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile(AlbertLAMB(schedule), "mse", run_eagerly=True)
        for _ in range(3):
            model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
        model.save(tmp_path / f"{index}.keras")
        velocity = keras.ops.convert_to_numpy(model.optimizer.variables[2])
        assert velocity.min() > 0.0
        expected += [type(schedule).__name__, str(float(schedule(3)))]
        expected += [str(x) for x in velocity.reshape(-1).tolist()]
    code = (
        "import sys, keras, keras_albert\n"
        "for path in sys.argv[1:]:\n"
        "    optimizer = keras.models.load_model(path).optimizer\n"
        "    schedule = optimizer._learning_rate\n"
        "    assert type(optimizer).__name__ == 'AlbertLAMB'\n"
        "    print(type(schedule).__name__, float(schedule(3)))\n"
        "    velocity = keras.ops.convert_to_numpy(optimizer.variables[2])\n"
        "    print(*velocity.reshape(-1).tolist())"
    )
    paths = [tmp_path / "0.keras", tmp_path / "1.keras"]
    assert run_python(code, *paths).split() == expected
