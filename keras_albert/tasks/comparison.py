"""The same random inputs through two libraries' models."""

import importlib.util

import keras
import numpy as np

from keras_albert.checkpoints import huggingface
from keras_albert.checkpoints.checkpoint import backbone_of

_SEQUENCE_LENGTH = 32  # tokens
_ROWS = 4


def random_inputs(model, seed=0):
    """Random tokens, segments and masks with which all outputs show.

    Args:
        model: an `AlbertBackbone` or a task on one.
        seed: int.

    Returns:
        dictionary of the model's inputs, NumPy arrays.
    """
    backbone = backbone_of(model)
    generator = np.random.default_rng(seed)
    length = min(_SEQUENCE_LENGTH, backbone.max_sequence_length)
    shape = (_ROWS, length)
    tokens = generator.integers(1, length + 1, size=(_ROWS, 1))
    tokens[0] = length
    inputs = {
        "token_ids": generator.integers(backbone.vocabulary_size, size=shape),
        "segment_ids": generator.integers(backbone.num_segments, size=shape),
        "padding_mask": np.arange(length) < tokens,
    }
    inputs = {name: x.astype("int32") for name, x in inputs.items()}
    if type(model).__name__ == "AlbertMultipleChoice":
        return {name: x.reshape(2, 2, length) for name, x in inputs.items()}
    if "mask_positions" in model.input:
        inputs["mask_positions"] = np.tile(np.arange(length), (_ROWS, 1))
    return inputs


def keras_outputs(model, inputs):
    """The outputs of a model of this package or of KerasHub's, by name."""
    outputs = model(inputs, training=False)
    if not isinstance(outputs, dict):
        outputs = {"logits": outputs}
    return {
        name: keras.ops.convert_to_numpy(keras.ops.cast(x, "float32"))
        for name, x in outputs.items()
    }


def transformers_outputs(folder, task, inputs):
    """The outputs of a folder in `transformers`, by our names.

    Args:
        folder: string, the path of a Hugging Face folder.
        task: the name of this package's task class, or `None`.
        inputs: see `random_inputs`.

    Returns:
        dictionary of NumPy arrays; `None` if `transformers` or torch is not
        installed.
    """
    for package in ("transformers", "torch"):
        if importlib.util.find_spec(package) is None:
            return None
    import torch
    import transformers

    (name,) = [k for k, v in huggingface.ARCHITECTURES.items() if v == task]
    model = getattr(transformers, name).from_pretrained(
        folder, dtype=torch.float32
    )
    with torch.no_grad():
        outputs = model.eval()(
            input_ids=torch.tensor(inputs["token_ids"]).long(),
            token_type_ids=torch.tensor(inputs["segment_ids"]).long(),
            attention_mask=torch.tensor(inputs["padding_mask"]).long(),
        )
    names = {
        "last_hidden_state": "sequence_output",
        "pooler_output": "pooled_output",
        "prediction_logits": "mlm",
        "sop_logits": "sop",
    }
    return {
        names.get(key, key): value.numpy()
        for key, value in outputs.items()
        if isinstance(value, torch.Tensor)
    }


def largest_difference(received, expected, without=()):
    """The largest |Δ| over the outputs of two models.

    Args:
        received: dictionary of arrays.
        expected: dictionary of arrays, of the same names.
        without: names to leave out.

    Returns:
        float.
    """
    names = expected.keys() - set(without)
    return max(
        float(np.abs(received[name] - expected[name]).max()) for name in names
    )
