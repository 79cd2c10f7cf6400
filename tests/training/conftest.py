import keras
import numpy as np
import pytest

from keras_albert.training.run_folder import RunFolder


class InterruptionError(Exception):
    pass


@pytest.fixture
def interrupt(monkeypatch):
    """Calls what trains, and ends it once a method of its folder was called.

    The first call by default of what keeps a state: after the first epoch.
    """

    def interrupt(train, method="save_state"):
        original = getattr(RunFolder, method)

        def call_and_end(self, *args, **kwargs):
            original(self, *args, **kwargs)
            raise InterruptionError

        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, method, call_and_end)
            with pytest.raises(InterruptionError):
                train()

    return interrupt


@pytest.fixture(scope="session")
def assert_same_weights():
    """To the last bit."""

    def assert_same_weights(one, other):
        for ours, theirs in zip(one.weights, other.weights, strict=True):
            np.testing.assert_array_equal(
                *map(keras.ops.convert_to_numpy, (ours, theirs))
            )

    return assert_same_weights
