"""The original's TF1 checkpoints, as google-research/albert released them.

A folder holds `albert_config.json`, `model.ckpt-….index` with its data file,
and `30k-clean.model`.
"""

import os
import re

from keras_albert.checkpoints.checkpoint import (
    Checkpoint,
    Tensor,
    check_backbone,
    check_group_formula,
    collect,
)
from keras_albert.checkpoints.names import CONFIG_RATES, CONFIG_SIZES
from keras_albert.checkpoints.reading import (
    integer,
    number,
    read_json,
)
from keras_albert.checkpoints.wordpiece import read_wordpiece

CONFIG_FILE = "albert_config.json"

# Its "gelu" is the tanh approximation (`modeling.gelu`).
_ACTIVATIONS = {
    "gelu": "gelu_approximate",
    "relu": "relu",
    "tanh": "tanh",
    "linear": "linear",
    "": "linear",
    None: "linear",
}
_OPTIMIZER_STATE = re.compile(
    r"(^|/)(adam|lamb)_[mv]$|/Adam(_1)?$|(^|/)global_step$"
    r"|(^|/)beta[12]_power$|/ExponentialMovingAverage$|/Momentum$"
)


def is_google(folder):
    """Whether a folder holds an original checkpoint's configuration."""
    return os.path.isfile(os.path.join(folder, CONFIG_FILE))


def read(folder, load_weights=True):
    """Reads and checks an original checkpoint.

    Args:
        folder: string, its path.
        load_weights: bool. `False` reads the configuration only.

    Returns:
        A `Checkpoint`. Optimizer slots are among its `ignored`.

    Raises:
        ValueError: if anything in the folder does not fit.
    """
    path = os.path.join(folder, CONFIG_FILE)
    config = read_json(path)
    checkpoint = Checkpoint(
        "Google TF1", os.fspath(folder), _backbone_config(config, path)
    )
    check_backbone(checkpoint.backbone, path)
    check_group_formula(
        checkpoint.backbone,
        lambda layer, layers, groups: int(layer / layers * groups),
        "the original's formula",
    )
    if not load_weights:
        return checkpoint
    prefix = checkpoint_prefix(folder)
    tensors = {}
    for key, array in _read_tensors(prefix):
        if _OPTIMIZER_STATE.search(key):
            checkpoint.ignored[key] = "state of the optimizer"
        else:
            tensors[key] = Tensor(array, prefix, key)
    checkpoint.task = _task_of_weights(tensors)
    collect(checkpoint, tensors, "original")
    if checkpoint.task == "AlbertTextClassifier":
        classes = checkpoint.weights["logits/bias"].shape[0]
        checkpoint.task_config = {"num_classes": classes}
    return checkpoint


def _backbone_config(config, path):
    if config.get("ln_type", "postln") != "postln":
        raise ValueError(
            "`ln_type` must be 'postln', normalization after each sub-layer. "
            f"{path!r} says {config['ln_type']!r}."
        )
    activation = config.get("hidden_act", "gelu")
    known = isinstance(activation, str | None) and activation in _ACTIVATIONS
    if not known:
        known = ", ".join(filter(None, _ACTIVATIONS))
        raise ValueError(
            f"`hidden_act` must be one of {known}. {path!r} says "
            f"{activation!r}."
        )
    backbone = {
        **{k: integer(config, *v, path) for k, v in CONFIG_SIZES.items()},
        **{k: number(config, *v, path) for k, v in CONFIG_RATES.items()},
        "activation": _ACTIVATIONS[activation],
    }
    # The original projects when the sizes differ, and only then.
    backbone["embedding_projection"] = (
        backbone["embedding_dim"] != backbone["hidden_dim"]
    )
    return backbone


def read_tokenizer(folder):
    """Finds the vocabulary of an original checkpoint.

    Args:
        folder: string, its path.

    Returns:
        The arguments of `AlbertTokenizer`, or of `AlbertWordPieceTokenizer`
        (then with `"vocabulary"`); `None` if there is none.

    Raises:
        ValueError: if the vocabulary is damaged.
    """
    for place in (folder, os.path.join(folder, "assets")):
        names = sorted(os.listdir(place)) if os.path.isdir(place) else []
        for name in names:
            if name.endswith(".model"):
                return {"proto": os.path.join(place, name)}
        for name in names:
            if re.match(r"vocab.*\.txt$", name):
                return read_wordpiece(os.path.join(place, name), {}, place)
    return None


def checkpoint_prefix(folder):
    """The prefix of a folder's newest checkpoint, `…/model.ckpt-125000`.

    Raises:
        ValueError: if there is none, or its data is missing.
    """
    prefixes = [
        name.removesuffix(".index")
        for name in os.listdir(folder)
        if name.endswith(".index")
    ]
    if not prefixes:
        raise ValueError(
            "The folder of an original checkpoint must hold "
            f"`model.ckpt-….index`. {folder!r} holds none."
        )
    # "best" before the last step, since the original exports it so.
    return os.path.join(folder, max(prefixes, key=_step))


def _step(prefix):
    if prefix.endswith("best"):
        return float("inf")
    numbers = re.findall(r"-(\d+)$", prefix)
    return int(numbers[0]) if numbers else -1


def _read_tensors(prefix):
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(prefix)
        for key in sorted(reader.get_variable_to_shape_map()):
            if _OPTIMIZER_STATE.search(key):
                yield key, None
            else:
                yield key, reader.get_tensor(key)
    except Exception as error:
        # The reader raises IndexError, DataLossError and others.
        reason = str(error).split("\n")[0]
        raise ValueError(
            f"{prefix!r} must be a whole TensorFlow checkpoint. It is not: "
            f"{reason}. Download it again."
        ) from error


def _task_of_weights(tensors):
    if "cls/seq_relationship/output_weights" in tensors:
        return "AlbertPretrainer"
    if "cls/predictions/output_bias" in tensors:
        return "AlbertMaskedLM"
    if "cls/squad/output_weights" in tensors:
        return "AlbertQuestionAnswerer"
    return "AlbertTextClassifier" if "output_weights" in tensors else None
