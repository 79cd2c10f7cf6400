"""Hugging Face folders: `config.json` with weights beside it, in and out.

Nothing in a folder is executed: safetensors are plain numbers, and a
`pytorch_model.bin` goes through torch's weights-only loader.
"""

import json
import os

import numpy as np

from keras_albert.checkpoints.checkpoint import (
    Checkpoint,
    Tensor,
    arrays_of,
    backbone_of,
    check_group_formula,
    collect,
    untrained_weights,
)
from keras_albert.checkpoints.names import (
    CONFIG_RATES,
    CONFIG_SIZES,
    TASK_PARTS,
    TASKS_WITHOUT_POOLER,
)
from keras_albert.checkpoints.reading import (
    file_in_folder,
    integer,
    number,
    read_json,
)

CONFIG_FILE = "config.json"
_SAFETENSORS = "model.safetensors"
_PICKLE = "pytorch_model.bin"
_OTHER_WEIGHTS = ("tf_model.h5", "flax_model.msgpack")

ARCHITECTURES = {
    "AlbertModel": None,
    "AlbertForPreTraining": "AlbertPretrainer",
    "AlbertForMaskedLM": "AlbertMaskedLM",
    "AlbertForSequenceClassification": "AlbertTextClassifier",
    "AlbertForTokenClassification": "AlbertTokenClassifier",
    "AlbertForQuestionAnswering": "AlbertQuestionAnswerer",
    "AlbertForMultipleChoice": "AlbertMultipleChoice",
}
_WITH_LABELS = ("AlbertTextClassifier", "AlbertTokenClassifier")

# Their activation: ours. The first of those that share ours is written.
ACTIVATIONS = {
    "gelu_new": "gelu_approximate",
    "gelu_pytorch_tanh": "gelu_approximate",
    "gelu_fast": "gelu_approximate",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "relu": "relu",
    "relu6": "relu6",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "mish": "mish",
    "linear": "linear",
}

# Left out on purpose: no weights, but numbers that follow from the sizes.
_BUFFERS = {
    "embeddings.position_ids": "the numbers of the positions",
    "embeddings.token_type_ids": "zeros",
}
_TIED = {
    "predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "predictions.decoder.bias": "predictions.bias",
}


# === Reading ===


def is_huggingface(folder):
    """Whether a folder is one of Hugging Face's, of whatever model."""
    path = os.path.join(folder, CONFIG_FILE)
    if not os.path.isfile(path):
        return False
    config = read_json(path)
    return "model_type" in config and "registered_name" not in config


def read(folder, load_weights=True):
    """Reads and checks a Hugging Face folder.

    Args:
        folder: string, its path.
        load_weights: bool. `False` reads the configuration only.

    Returns:
        A `Checkpoint`.

    Raises:
        ValueError: if the folder is not of an ALBERT, or anything in it does
            not fit. Nothing is returned then.
        ImportError: if `safetensors` or torch is needed and missing.
    """
    path = os.path.join(folder, CONFIG_FILE)
    config = read_json(path)
    if config.get("model_type") != "albert":
        raise ValueError(
            "`model_type` must be 'albert' to load an ALBERT. "
            f"{path!r} says {config.get('model_type')!r}."
        )
    checkpoint = Checkpoint(
        "Hugging Face", os.fspath(folder), _backbone_config(config, path)
    )
    check_group_formula(
        checkpoint.backbone, _group_of_layer, "transformers' formula"
    )
    checkpoint.task = _task(config)
    checkpoint.task_config = _task_config(config, checkpoint.task, path)
    if not load_weights:
        return checkpoint
    tensors = _tied_removed(_canonical(_read_tensors(folder)), checkpoint)
    if checkpoint.task is None and "architectures" not in config:
        checkpoint.task = _task_of_weights(tensors)
    collect(
        checkpoint,
        tensors,
        "huggingface",
        required=TASK_PARTS.get(checkpoint.task, ()),
    )
    return checkpoint


def _group_of_layer(layer, num_layers, num_groups):
    return int(layer / (num_layers / num_groups))


def _backbone_config(config, path):
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(
            "`position_embedding_type` must be 'absolute', which is ALBERT's. "
            f"{path!r} says {config['position_embedding_type']!r}."
        )
    activation = config.get("hidden_act", "gelu_new")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(
            f"`hidden_act` must be one of {', '.join(ACTIVATIONS)}. {path!r} "
            f"says {activation!r}."
        )
    return {
        **{k: integer(config, *v, path) for k, v in CONFIG_SIZES.items()},
        **{k: number(config, *v, path) for k, v in CONFIG_RATES.items()},
        "activation": ACTIVATIONS[activation],
        "embedding_projection": True,
    }


def _task(config):
    names = config.get("architectures") or [None]
    name = names[0] if isinstance(names, list) else names
    if not isinstance(name, str):
        return None
    return ARCHITECTURES.get(name.removeprefix("TF").removeprefix("Flax"))


def _task_of_weights(tensors):
    """The task by its heads; `classifier` alone does not tell which."""
    modules = {key.split(".")[0] for key in tensors}
    if "sop_classifier" in modules:
        return "AlbertPretrainer"
    if "predictions" in modules:
        return "AlbertMaskedLM"
    return "AlbertQuestionAnswerer" if "qa_outputs" in modules else None


def _task_config(config, task, path):
    dropout = {"dropout": _classifier_dropout(config, path)}
    if task == "AlbertMultipleChoice":
        return dropout
    if task not in _WITH_LABELS:
        return {}
    labels = _labels(config, path)
    result = {**dropout, "num_classes": len(labels), "labels": labels}
    if labels == _default_labels(len(labels)):
        result["labels"] = None
    problem = config.get("problem_type")
    if task == "AlbertTextClassifier":
        if problem == "regression" and len(labels) > 1:
            raise ValueError(
                "Regression must have one output. "
                f"{path!r} has `problem_type` 'regression' and {len(labels)}."
            )
        result["multi_label"] = problem == "multi_label_classification"
    return result


def _classifier_dropout(config, path):
    if config.get("classifier_dropout_prob", 0.1) is None:
        return number(config, *CONFIG_RATES["dropout"], path)
    return number(config, "classifier_dropout_prob", 0.1, path)


def _labels(config, path):
    labels = config.get("id2label")
    if labels is None:
        return _default_labels(integer(config, "num_labels", 2, path))
    indices = [str(index) for index in range(len(labels))]
    if not isinstance(labels, dict) or sorted(labels) != sorted(indices):
        raise ValueError(
            "`id2label` must name the classes 0, 1, 2 and so on. "
            f"{path!r} says {labels!r:.80}."
        )
    return [str(labels[index]) for index in indices]


def _default_labels(count):
    """The names that `transformers` gives to classes without any."""
    return [f"LABEL_{index}" for index in range(count)]


def _canonical(tensors):
    """Names without the `albert.` prefix and with today's LayerNorm names."""
    result = {}
    for tensor in tensors:
        key = tensor.key.removeprefix("albert.")
        if key.endswith(".gamma"):
            key = key.removesuffix("gamma") + "weight"
        elif key.endswith(".beta"):
            key = key.removesuffix("beta") + "bias"
        if key in result:
            raise ValueError(
                "Each weight must be there once. "
                f"{tensor.file!r} has both {result[key].key!r} and "
                f"{tensor.key!r}. Nothing was loaded."
            )
        result[key] = tensor
    return result


def _tied_removed(tensors, checkpoint):
    for key, reason in _BUFFERS.items():
        if key in tensors:
            checkpoint.ignored[tensors.pop(key).key] = reason
    for copy, original in _TIED.items():
        if copy not in tensors:
            continue
        tensor = tensors.pop(copy)
        if original not in tensors:
            tensors[original] = tensor
            continue
        if not np.array_equal(tensor.array, tensors[original].array):
            raise ValueError(
                "ALBERT's output embedding must be its input embedding. "
                f"{tensor.key!r} in {tensor.file!r} differs from "
                f"{tensors[original].key!r}. Untied models are not supported."
            )
        checkpoint.ignored[tensor.key] = (
            f"the same numbers as {tensors[original].key}"
        )
    return tensors


def _read_tensors(folder):
    for name, read_file in (
        (_SAFETENSORS, _read_safetensors),
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
        f"A Hugging Face folder must hold `{_SAFETENSORS}`, its shards, or "
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
    safetensors = _import_safetensors()
    # Makes NumPy know bfloat16.
    import ml_dtypes

    assert ml_dtypes.bfloat16
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return [
                Tensor(_floats(file.get_tensor(key), path, key), path, key)
                for key in file.keys()  # noqa: SIM118 (no dictionary)
            ]
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path!r} must be a whole safetensors file. It is not: {error}"
            f"{_beyond_end(path)}. Download it again."
        ) from error


def _import_safetensors():
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
        # torch raises errors of many types for what is no checkpoint.
        reason = str(error).split("\n")[0]
        raise ValueError(
            f"{path!r} must hold weights and nothing else. torch's "
            f"weights-only loader refused it: {reason}. Nothing was executed."
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(v, torch.Tensor) for v in state.values()
    ):
        raise ValueError(
            f"{path!r} must be a dictionary of weights. It holds something "
            "else. Nothing was loaded."
        )
    return [
        Tensor(
            _floats(
                value.float().numpy()
                if value.is_floating_point()
                else value.numpy(),
                path,
                key,
            ),
            path,
            key,
        )
        for key, value in state.items()
    ]


def _floats(array, path, key):
    """Checks that weights are floats; the buffers may be integers."""
    if (
        key.removeprefix("albert.") not in _BUFFERS
        and array.dtype.kind in "iub"
    ):
        raise ValueError(
            "Weights must be floating-point numbers. "
            f"{key!r} in {path!r} is {array.dtype}. Nothing was loaded."
        )
    return array


# === Writing ===


def write(model, folder):
    """Writes a model as a folder that `transformers` opens.

    Weights are float32. A pooler is written where the architecture has one;
    one that was never trained is left out of a bare encoder.

    Args:
        model: an `AlbertBackbone` or a task on one.
        folder: string, an existing folder.

    Returns:
        dictionary from our weight paths to their names in the file.

    Raises:
        ValueError: if the model has no counterpart in `transformers`.
        ImportError: if `safetensors` is missing.
    """
    _import_safetensors()
    from safetensors.numpy import save_file

    config = config_of(model)
    backbone = backbone_of(model)
    is_task = backbone is not model
    untrained = () if is_task else untrained_weights(backbone)
    has_pooler = type(model).__name__ not in TASKS_WITHOUT_POOLER
    tensors, written = {}, {}
    for name, array in arrays_of(model, with_projection=True):
        in_pooler = name.part == "pooler"
        if in_pooler and (not has_pooler or name.ours in untrained):
            continue
        if "huggingface" in name.transposed:
            array = array.T
        key = name.huggingface
        if is_task and name.part not in TASK_PARTS[type(model).__name__]:
            key = f"albert.{key}"
        tensors[key] = np.ascontiguousarray(array)
        written[name.ours] = key
    save_file(
        tensors, os.path.join(folder, _SAFETENSORS), metadata={"format": "pt"}
    )
    with open(os.path.join(folder, CONFIG_FILE), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2, sort_keys=True)
    return written


def config_of(model):
    """The content of `config.json` for a model.

    Raises:
        ValueError: if `transformers` has no such model.
    """
    backbone = backbone_of(model)
    is_task = backbone is not model
    arguments = backbone.get_config()
    check_group_formula(arguments, _group_of_layer, "transformers' formula")
    ours = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    activation = arguments["activation"]
    if not isinstance(activation, str) or activation not in ours:
        raise ValueError(
            "The activation must be one that `transformers` has: "
            f"{', '.join(ours)}. Received: {activation!r}."
        )
    outputs = getattr(model, "activation", None)
    if is_task and getattr(outputs, "__name__", "linear") != "linear":
        raise ValueError(
            "A task must give logits, as those of `transformers` do. This "
            f"one has `activation={outputs.__name__!r}`; load it with "
            "`activation=None`."
        )
    config = {theirs: arguments[k] for k, (theirs, _) in CONFIG_SIZES.items()}
    config.update({t: arguments[k] for k, (t, _) in CONFIG_RATES.items()})
    config.update(
        {
            "model_type": "albert",
            "architectures": [_architecture(model)],
            "hidden_act": ours[activation],
            "dtype": "float32",
            "classifier_dropout_prob": getattr(model, "dropout", 0.1)
            if is_task
            else 0.1,
            "initializer_range": 0.02,
            "tie_word_embeddings": True,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
        }
    )
    if type(model).__name__ in _WITH_LABELS:
        labels = model.labels or _default_labels(model.num_classes)
        config["id2label"] = {str(i): label for i, label in enumerate(labels)}
        config["label2id"] = {label: i for i, label in enumerate(labels)}
        if problem := _problem_type(model):
            config["problem_type"] = problem
    return config


def _architecture(model):
    if backbone_of(model) is model:
        return "AlbertModel"
    for theirs, ours in ARCHITECTURES.items():
        if ours == type(model).__name__:
            return theirs
    raise ValueError(
        "The model must be one that `transformers` has: "
        f"{', '.join(filter(None, ARCHITECTURES.values()))}. Received: "
        f"{type(model).__name__}; pass its backbone."
    )


def _problem_type(model):
    if getattr(model, "multi_label", False):
        return "multi_label_classification"
    if type(model).__name__ == "AlbertTextClassifier":
        if model.num_classes == 1:
            return "regression"
        return "single_label_classification"
    return None
