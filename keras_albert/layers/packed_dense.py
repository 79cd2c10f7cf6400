"""Dense layers with kernels packed for the processor, on torch."""

import contextlib
import contextvars

import keras

from keras_albert.layers.activations import gelu_approximate

# Activations that oneDNN computes while a product is still in the cache: its
# names of them.
_FUSED = (
    (gelu_approximate, "gelu", "tanh"),
    (keras.activations.gelu, "gelu", "none"),
    (keras.activations.relu, "relu", ""),
    (keras.activations.tanh, "tanh", ""),
)
_ACTIVE = contextvars.ContextVar("packed_dense", default=None)


def active_packed_dense():
    """The `PackedDense` in whose context this is called, or `None`."""
    return _ACTIVE.get()


class PackedDense:
    """Computes dense layers by oneDNN, their kernels in its own layout.

    torch multiplies float32 by MKL, which packs a kernel anew at each product
    and has no fast path for processors of other makers. A kernel that is
    applied many times is worth packing once, and a shared layer is there but
    once. What it takes from a call of `torch` are operators that
    `torch.compile` puts in the same place; where they are missing, and for
    layers other than plain float32 ones on a CPU, nothing is done.

    A kernel is packed again when it has changed, by torch's own count of the
    changes of a tensor: writing through `tensor.data` is not counted.
    """

    def __init__(self):
        self._packed = {}

    @contextlib.contextmanager
    def active(self):
        """The context in which `apply_layer` computes by this."""
        token = _ACTIVE.set(self)
        try:
            yield
        finally:
            _ACTIVE.reset(token)

    def takes(self, layer, x):
        """Whether a layer of an input can be computed.

        Args:
            layer: a built `keras.layers.Layer`.
            x: torch tensor, its input.
        """
        if type(layer) is not keras.layers.Dense or layer.lora_enabled:
            return False
        import torch

        tensors = (x, layer.kernel.value)
        return (
            _operators() is not None
            and layer.bias is not None
            and not layer.kernel.value.is_inference()
            and all(
                tensor.dtype == torch.float32 and tensor.device.type == "cpu"
                for tensor in tensors
            )
        )

    def __call__(self, layer, x):
        """What the layer gives.

        Args:
            layer: a built `keras.layers.Dense` that it `takes`.
            x: `(rows, inputs)` torch tensor.

        Returns:
            `(rows, units)` torch tensor.
        """
        pack, multiply = _operators()
        kernel = layer.kernel.value
        state = (kernel.data_ptr(), kernel._version)
        # The layer is kept, so that no other can have its identity.
        known = self._packed.get(id(layer))
        if known is None or known[1] != state:
            packed = pack(kernel.detach().t().contiguous())
            known = self._packed[id(layer)] = (layer, state, packed)
        activation = layer.activation
        fused = [names for f, *names in _FUSED if f is activation]
        name, kind = fused[0] if fused else ("none", "")
        y = multiply(x, known[2], layer.bias.value, name, [], kind)
        return y if fused or activation is None else activation(y)


def _operators():
    import torch

    operators = torch.ops.mkldnn
    if not torch.backends.mkldnn.is_available():
        return None
    try:
        return operators._reorder_linear_weight, operators._linear_pointwise
    except AttributeError:
        return None
