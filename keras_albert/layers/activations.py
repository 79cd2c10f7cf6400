"""Activations by name: Keras's, and the original's GELU."""

import keras


@keras.saving.register_keras_serializable(package="keras_albert")
def gelu_approximate(x):
    """GELU in its tanh approximation, which the original calls "gelu"."""
    return keras.activations.gelu(x, approximate=True)


def get_activation(identifier):
    """The activation function of a name, a config or a callable.

    Args:
        identifier: `"gelu_approximate"` (tanh, the original's), `"gelu"`
            (erf) or whatever `keras.activations.get` takes.

    Returns:
        A callable.
    """
    if identifier == "gelu_approximate":
        return gelu_approximate
    return keras.activations.get(identifier)


def serialize_activation(activation):
    """The config entry from which `get_activation` makes it again."""
    if activation is gelu_approximate:
        return "gelu_approximate"
    return keras.activations.serialize(activation)
