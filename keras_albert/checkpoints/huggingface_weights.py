"""The weight files of Hugging Face folders: safetensors and pickles.

Nothing in a file is executed: safetensors are plain numbers, and a
`pytorch_model.bin` goes through torch's weights-only loader.
"""

import json
import os
import re

from keras_albert.checkpoints.checkpoint import Tensor
from keras_albert.checkpoints.reading import file_in_folder, read_json

SAFETENSORS_FILE = "model.safetensors"
_PICKLE = "pytorch_model.bin"
_OTHER_WEIGHTS = ("tf_model.h5", "flax_model.msgpack")

# Left out on purpose: no weights, but numbers that follow from the sizes.
BUFFERS = {
    "embeddings.position_ids": "the numbers of the positions",
    "embeddings.token_type_ids": "zeros",
}


def read_tensors(folder):
    """Reads the weights of a folder, whichever files hold them.

    Args:
        folder: string, its path.

    Returns:
        list of `Tensor`.

    Raises:
        ValueError: if a file is missing or damaged.
        ImportError: if `safetensors` or torch is needed and missing.
    """
    for name, read_file in (
        (SAFETENSORS_FILE, _read_safetensors),
        (_PICKLE, _read_pickle),
    ):
        if os.path.isfile(os.path.join(folder, name)):
            return read_file(os.path.join(folder, name))
        index = os.path.join(folder, f"{name}.index.json")
        if os.path.isfile(index):
            return _read_shards(folder, index, read_file)
    other = [
        name
        for name in _OTHER_WEIGHTS
        if os.path.exists(os.path.join(folder, name))
    ]
    raise ValueError(
        f"A Hugging Face folder must hold `{SAFETENSORS_FILE}`, its shards, or "
        f"`{_PICKLE}`. {folder!r} holds "
        + (
            f"{other[0]} only; save it anew with `transformers`."
            if other
            else "none."
        )
    )


def _read_shards(folder, index, read_file):
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{index!r} must have a `weight_map`. It has none.")
    tensors = []
    for shard in sorted(set(map(str, weight_map.values()))):
        tensors.extend(read_file(file_in_folder(folder, shard, index)))
    files = {t.key: os.path.basename(t.file) for t in tensors}
    for key in sorted({*weight_map, *files}):
        if weight_map.get(key) != files.get(key):
            raise ValueError(
                "The index of the shards must tell where each weight is. "
                f"{index!r} has {key!r} in {weight_map.get(key)!r}; it is in "
                f"{files.get(key)!r}. Nothing was loaded."
            )
    return tensors


def _read_safetensors(path):
    safetensors = import_safetensors()
    # Makes NumPy know bfloat16.
    import ml_dtypes

    assert ml_dtypes.bfloat16
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return [
                Tensor(_tensor(file, key, path), path, key)
                for key in file.keys()  # noqa: SIM118 (no dictionary)
            ]
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path!r} must be a whole safetensors file. It is not: {error}"
            f"{_beyond_end(path)}. Download it again."
        ) from error


def _tensor(file, key, path):
    try:
        return _floats(file.get_tensor(key), path, key)
    except (AttributeError, TypeError) as error:
        # NumPy has no such type.
        raise _no_floats(file.get_slice(key).get_dtype(), path, key) from error


def import_safetensors():
    """Imports safetensors.

    Raises:
        ImportError: if it is missing. It says what to install.
    """
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            "Hugging Face weights need the package safetensors: "
            'pip install "keras-albert[hf]".'
        ) from error
    return safetensors


def _beyond_end(path):
    """Names the first weight that a truncated file does not hold."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        if header_size + 8 > size:
            return f"; its header claims {header_size} bytes of {size}"
        try:
            header = json.loads(file.read(header_size))
            header.pop("__metadata__", None)
            ends = {k: v["data_offsets"][1] for k, v in header.items()}
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            return ""
    for key, end in sorted(ends.items(), key=lambda item: item[1]):
        if 8 + header_size + end > size:
            return f"; {key!r} ends at byte {8 + header_size + end} of {size}"
    return ""


def _read_pickle(path):
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path!r} needs torch to be read: "
            'pip install "keras-albert[torch]".'
        ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises errors of many types for what is no checkpoint, and
        # advises to execute it.
        named = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it calls {named[1]}" if named else type(error).__name__
        raise ValueError(
            f"{path!r} must hold weights and nothing else. torch's "
            f"weights-only loader refused it ({reason}). Nothing was executed."
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor)
        for k, v in state.items()
    ):
        raise ValueError(
            f"{path!r} must be a dictionary of weights. It holds something "
            "else. Nothing was loaded."
        )
    return [
        Tensor(_floats(_numpy(value, path, key), path, key), path, key)
        for key, value in state.items()
    ]


def _numpy(value, path, key):
    try:
        if value.is_floating_point():
            value = value.float()
        return value.detach().numpy()
    except (TypeError, RuntimeError) as error:
        # Sparse, quantized, or without content.
        raise _no_floats(f"{value.dtype}, {value.layout}", path, key) from error


def _floats(array, path, key):
    """Checks that weights are floats; the buffers may be integers."""
    if (
        key.removeprefix("albert.") not in BUFFERS
        and array.dtype.kind != "f"
        and array.dtype.name != "bfloat16"
    ):
        raise _no_floats(array.dtype, path, key)
    return array


def _no_floats(received, path, key):
    return ValueError(
        "Weights must be floating-point numbers of 16, 32 or 64 bits. "
        f"{key!r} in {path!r} is {received}. Nothing was loaded."
    )
