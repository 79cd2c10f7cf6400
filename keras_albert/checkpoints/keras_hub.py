"""KerasHub's ALBERT, from and to instances and preset folders."""

import os

import keras

from keras_albert.checkpoints.checkpoint import (
    Checkpoint,
    Tensor,
    arrays_of,
    backbone_of,
    check_backbone,
    collect,
)
from keras_albert.checkpoints.names import TASK_PARTS, check_pooling
from keras_albert.checkpoints.reading import (
    check_shards,
    integer,
    read_json,
)

# Registered there; downloaded by `presets.registry`.
PRESETS = (
    "albert_base_en_uncased",
    "albert_large_en_uncased",
    "albert_extra_large_en_uncased",
    "albert_extra_extra_large_en_uncased",
)
TASKS = ("AlbertMaskedLM", "AlbertTextClassifier")
# Of the head of KerasHub's AlbertMaskedLM; its class cannot be told otherwise.
MLM_HEAD_EPSILON = 1e-5

# What KerasHub's AlbertBackbone has fixed.
_FIXED = {"activation": "gelu_approximate", "layer_norm_epsilon": 1e-12}
_SIZES = (
    "vocabulary_size",
    "num_layers",
    "num_heads",
    "embedding_dim",
    "hidden_dim",
    "intermediate_dim",
    "num_groups",
    "num_inner_repetitions",
    "dropout",
    "max_sequence_length",
    "num_segments",
)


def is_keras_hub(folder):
    """Whether a folder is a preset that KerasHub's own classes saved."""
    path = os.path.join(folder, "config.json")
    if not os.path.isfile(path):
        return False
    name = read_json(path).get("registered_name")
    return isinstance(name, str) and name.split(">")[0] in (
        "keras_hub",
        "keras_nlp",
    )


def read(folder, load_weights=True):
    """Reads a KerasHub preset folder.

    Args:
        folder: string, its path. The caller has checked that its files name
            no other classes than KerasHub's.
        load_weights: bool. `False` reads the configuration only.

    Returns:
        A `Checkpoint`.

    Raises:
        ValueError: if it is no ALBERT, or its weights do not fit.
    """
    instance = load_instance(folder, load_weights)
    return read_instance(instance, path=os.fspath(folder))


def load_instance(folder, load_weights=True):
    """Loads a KerasHub preset folder as KerasHub's own class.

    Args:
        folder: string, its path.
        load_weights: bool. `False` leaves random weights.

    Returns:
        A `keras_nlp.models.AlbertBackbone`, `AlbertMaskedLM` or
        `AlbertTextClassifier`.

    Raises:
        ValueError: if it is no ALBERT, or damaged.
    """
    import keras_nlp

    name = read_json(os.path.join(folder, "config.json"))["registered_name"]
    if not name.endswith(">AlbertBackbone"):
        raise ValueError(
            "A KerasHub preset must be an AlbertBackbone's. "
            f"{folder!r} holds {name!r}."
        )
    class_ = keras_nlp.models.AlbertBackbone
    kwargs = {"load_weights": load_weights}
    task_path = os.path.join(folder, "task.json")
    if os.path.isfile(task_path):
        task = str(read_json(task_path).get("registered_name")).split(">")[-1]
        if task in TASKS:
            class_ = getattr(keras_nlp.models, task)
            kwargs["preprocessor"] = None
    check_shards(folder)
    _check_config(os.path.join(folder, "config.json"))
    try:
        return class_.from_preset(folder, **kwargs)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{folder!r} must be a whole KerasHub preset, not quantized. It "
            f"is not: {reason:.300}."
        ) from error


def _check_config(path):
    """Raises ValueError for sizes that would take forever to build."""
    config = read_json(path).get("config")
    config = config if isinstance(config, dict) else {}
    sizes = {
        "num_layers": integer(config, "num_layers", None, path),
        "num_groups": integer(config, "num_groups", 1, path),
        "num_inner_repetitions": integer(
            config, "num_inner_repetitions", 1, path
        ),
    }
    check_backbone(sizes, path)


def read_tokenizer(folder):
    """Finds the vocabulary of a KerasHub preset.

    KerasHub feeds text to SentencePiece as it is, so that capitals become
    unknown. `AlbertTokenizer` folds it first, as in pretraining.

    Args:
        folder: string, its path.

    Returns:
        The arguments of `AlbertTokenizer`, or `None` if there is none.
    """
    vocabulary = os.path.join(folder, "assets", "tokenizer", "vocabulary.spm")
    return {"proto": vocabulary} if os.path.isfile(vocabulary) else None


def read_instance(instance, path="the KerasHub model"):
    """Reads a model of KerasHub's.

    Args:
        instance: a `keras_nlp.models.AlbertBackbone`, `AlbertMaskedLM` or
            `AlbertTextClassifier`.
        path: string, what to call it.

    Returns:
        A `Checkpoint`.

    Raises:
        ValueError: if it is something else, or its weights do not fit.
    """
    registered = keras.saving.get_registered_name(type(instance))
    package, _, name = registered.rpartition(">")
    if package not in ("keras_hub", "keras_nlp") or (
        name not in ("AlbertBackbone", *TASKS)
    ):
        raise ValueError(
            "A model to convert must be KerasHub's AlbertBackbone, "
            f"{' or '.join(TASKS)}. Received: {registered!r}."
        )
    config = backbone_of(instance).get_config()
    backbone = {argument: config[argument] for argument in _SIZES}
    backbone.update(_FIXED, embedding_projection=True)
    # One rate serves both there.
    backbone["attention_dropout"] = backbone["dropout"]
    checkpoint = Checkpoint("KerasHub", path, backbone)
    if name == "AlbertMaskedLM":
        checkpoint.task_config = {"head_layer_norm_epsilon": MLM_HEAD_EPSILON}
    if name == "AlbertTextClassifier":
        config = instance.get_config()
        checkpoint.task_config = {
            argument: config[argument]
            for argument in ("num_classes", "activation", "dropout")
        }
    checkpoint.task = name if name in TASKS else None
    tensors = {
        v.path: Tensor(keras.ops.convert_to_numpy(v.value), path, v.path)
        for v in instance.weights
    }
    collect(
        checkpoint,
        tensors,
        "keras_hub",
        required=("pooler", *TASK_PARTS.get(checkpoint.task, ())),
    )
    return checkpoint


def write_instance(model):
    """Makes KerasHub's model of the same numbers.

    Args:
        model: an `AlbertBackbone`, `AlbertMaskedLM` or
            `AlbertTextClassifier` of this package.

    Returns:
        A `keras_nlp.models.AlbertBackbone`, `AlbertMaskedLM` or
        `AlbertTextClassifier`, and a dictionary from our weight paths to
        its.

    Raises:
        ValueError: if KerasHub has no such model.
    """
    import keras_nlp

    backbone = backbone_of(model)
    config = backbone.get_config()
    _check_representable(model, config)
    result = keras_nlp.models.AlbertBackbone(
        **{argument: config[argument] for argument in _SIZES},
        dtype=backbone.dtype_policy,
    )
    if backbone is not model:
        task = getattr(keras_nlp.models, type(model).__name__)
        kwargs = {}
        if type(model).__name__ == "AlbertTextClassifier":
            kwargs = {
                "num_classes": model.num_classes,
                "activation": model.activation,
                "dropout": model.dropout,
            }
        result = task(result, preprocessor=None, **kwargs)
    variables = {v.path: v for v in result.weights}
    written = {}
    for name, array in arrays_of(model, with_projection=True):
        variable = variables.pop(name.keras_hub)
        variable.assign(array.reshape(variable.shape))
        written[name.ours] = name.keras_hub
    if variables:
        raise ValueError(
            "Each weight of KerasHub's model must be written. This KerasHub "
            f"has {', '.join(variables)}, which are unknown here."
        )
    return result, written


def _check_representable(model, config):
    name = type(model).__name__
    if backbone_of(model) is not model and name not in TASKS:
        raise ValueError(
            f"KerasHub has {', '.join(TASKS)} only. Received: {name}; "
            "convert its backbone."
        )
    check_pooling(model, "KerasHub")
    for argument, fixed in _FIXED.items():
        if config[argument] != fixed:
            raise ValueError(
                f"KerasHub's AlbertBackbone has `{argument}={fixed!r}`. "
                f"This model has {config[argument]!r}."
            )
    if config["num_layers"] % config["num_groups"]:
        raise ValueError(
            "KerasHub's `num_layers` must be divisible by `num_groups`. "
            f"Received: num_layers={config['num_layers']}, "
            f"num_groups={config['num_groups']}."
        )
    epsilon = getattr(model, "head_layer_norm_epsilon", MLM_HEAD_EPSILON)
    if name == "AlbertMaskedLM" and epsilon != MLM_HEAD_EPSILON:
        raise ValueError(
            "The head of KerasHub's AlbertMaskedLM has "
            f"`layer_norm_epsilon={MLM_HEAD_EPSILON}`, which gives other "
            f"numbers than this one's {epsilon}. Pass "
            f"`head_layer_norm_epsilon={MLM_HEAD_EPSILON}` to `from_preset` "
            "to accept them, or convert the backbone."
        )
