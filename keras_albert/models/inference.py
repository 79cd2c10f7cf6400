"""A model's outputs, by its rolled stack, as the backend runs it best."""

import keras
import numpy as np

from keras_albert.layers.packed_dense import PackedDense
from keras_albert.models.rolled import rolled_outputs

_INPUT_NAMES = ("token_ids", "segment_ids", "padding_mask")
# OpenVINO takes whole models only.
ROLLED_BACKENDS = ("tensorflow", "jax", "torch", "numpy")


class RolledInference:
    """Computes a head's outputs on the rolled stack of a backbone.

    The shared layer is compiled once instead of `num_layers` times, and
    nothing is kept of each layer's call that inference does not need: on
    torch Keras's bookkeeping takes as long as the arithmetic of a short text.
    There the kernels are also packed, see `PackedDense`, which takes as much
    memory again as the layers that differ.

    Args:
        backbone: an `AlbertBackbone`.
        head: function from the dictionary of the backbone's outputs, and
            the `head_inputs` one by one, to the model's output tensors, in
            any structure.
        model: the `keras.Model` whose weights both use.
        head_inputs: names of the inputs that are for the head.
    """

    def __init__(self, backbone, head, model, head_inputs=()):
        self._model = model
        self._names = tuple(dict.fromkeys((*_INPUT_NAMES, *head_inputs)))
        self._rolled = _RolledModel(backbone, head, head_inputs)
        self._packed_dense = PackedDense()
        self._program = None
        self._traced_variables = None

    def __call__(self, batch):
        """Computes a batch.

        Args:
            batch: dictionary of `"token_ids"`, `"segment_ids"` and
                `"padding_mask"`, each a `(batch, sequence)` int array, and
                the inputs for the head.

        Returns:
            The head's outputs as NumPy arrays.
        """
        inputs = {
            name: np.asarray(batch[name], dtype="int32") for name in self._names
        }
        outputs = _RUNNERS[keras.backend.backend()](self, inputs)
        return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)

    def _on_jax(self, inputs):
        import jax

        variables = self._model.variables

        def make_program():
            def compute(values, inputs):
                mapping = list(zip(variables, values, strict=True))
                with keras.StatelessScope(state_mapping=mapping):
                    return self._rolled(inputs)

            return jax.jit(compute)

        values = [variable.value for variable in variables]
        return self._traced(variables, make_program)(values, inputs)

    def _on_tensorflow(self, inputs):
        import tensorflow as tf

        if self._model.run_eagerly:
            return self._rolled(
                {name: tf.constant(x) for name, x in inputs.items()}
            )

        def make_program():
            return tf.function(
                lambda *inputs: self._rolled(
                    dict(zip(self._names, inputs, strict=True))
                ),
                input_signature=[
                    tf.TensorSpec([None, None], "int32", name=name)
                    for name in self._names
                ],
            )

        program = self._traced(self._model.variables, make_program)
        return program(*(tf.constant(inputs[name]) for name in self._names))

    def _on_torch(self, inputs):
        import torch

        with torch.inference_mode(), self._packed_dense.active():
            return self._on_numpy(inputs)

    def _on_numpy(self, inputs):
        return self._rolled(
            {name: keras.ops.convert_to_tensor(x) for name, x in inputs.items()}
        )

    def _traced(self, variables, make_program):
        # Adapters and quantization put other variables in their place. They
        # are kept, so that no new one can have the identity of an old one.
        known = self._traced_variables
        if known is None or [*map(id, known)] != [*map(id, variables)]:
            self._program = make_program()
            self._traced_variables = list(variables)
        return self._program


_RUNNERS = {
    "jax": RolledInference._on_jax,
    "tensorflow": RolledInference._on_tensorflow,
    "torch": RolledInference._on_torch,
    "numpy": RolledInference._on_numpy,
}


class _RolledModel(keras.layers.Layer):
    """A layer, for the scope in which variables are cast to its dtype."""

    def __init__(self, backbone, head, head_inputs):
        dtype = backbone.compute_dtype
        if dtype in ("float16", "bfloat16"):
            dtype = f"mixed_{dtype}"
        super().__init__(dtype=dtype, name="rolled_model")
        # In a tuple, which Keras does not track: the weights are the model's.
        self._parts = (backbone, head, tuple(head_inputs))
        self.built = True

    def call(self, inputs):
        backbone, head, head_inputs = self._parts
        outputs = rolled_outputs(
            backbone, {name: inputs[name] for name in _INPUT_NAMES}
        )
        return head(outputs, *(inputs[name] for name in head_inputs))
