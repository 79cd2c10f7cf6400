"""Hugging Face folders: `config.json` with weights beside it, in and out.

Nothing in a folder is executed: safetensors are plain numbers, and a
`pytorch_model.bin` goes through torch's weights-only loader.
"""

import json
import os

import numpy as np

from keras_albert.checkpoints.checkpoint import (
    Checkpoint,
    arrays_of,
    backbone_of,
    check_backbone,
    check_group_formula,
    collect,
    untrained_weights,
)
from keras_albert.checkpoints.huggingface_weights import (
    BUFFERS,
    SAFETENSORS_FILE,
    import_safetensors,
    read_tensors,
)
from keras_albert.checkpoints.names import (
    CONFIG_RATES,
    CONFIG_SIZES,
    TASK_PARTS,
    TASKS_WITHOUT_POOLER,
    check_pooling,
)
from keras_albert.checkpoints.reading import (
    integer,
    number,
    read_json,
)

CONFIG_FILE = "config.json"

ARCHITECTURES = {
    "AlbertModel": None,
    "AlbertForPreTraining": "AlbertPretrainer",
    "AlbertForMaskedLM": "AlbertMaskedLM",
    "AlbertForSequenceClassification": "AlbertTextClassifier",
    "AlbertForTokenClassification": "AlbertTokenClassifier",
    "AlbertForQuestionAnswering": "AlbertQuestionAnswerer",
    "AlbertForMultipleChoice": "AlbertMultipleChoice",
}
_MULTI_LABEL = "multi_label_classification"
_PROBLEMS = (None, "regression", "single_label_classification", _MULTI_LABEL)
# More classes are a damaged configuration.
_MOST_CLASSES = 1_000_000
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
    check_backbone(checkpoint.backbone, path)
    check_group_formula(
        checkpoint.backbone, _group_of_layer, "transformers' formula"
    )
    checkpoint.task = _task(config)
    checkpoint.task_config = _task_config(config, checkpoint.task, path)
    if not load_weights:
        return checkpoint
    tensors = _tied_removed(_canonical(read_tensors(folder)), checkpoint)
    if checkpoint.task is None and not config.get("architectures"):
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
        if problem not in _PROBLEMS:
            raise ValueError(
                "`problem_type` must be one of "
                f"{', '.join(filter(None, _PROBLEMS))}. {path!r} says "
                f"{problem!r:.80}."
            )
        if problem == _MULTI_LABEL and len(labels) == 1:
            raise ValueError(
                "Several labels at once need at least 2 classes. "
                f"{path!r} has `problem_type` {problem!r} and 1 class."
            )
        if problem == "regression" and len(labels) > 1:
            raise ValueError(
                "Regression must have one output. "
                f"{path!r} has `problem_type` 'regression' and {len(labels)}."
            )
        result["multi_label"] = problem == _MULTI_LABEL
    return result


def _classifier_dropout(config, path):
    if config.get("classifier_dropout_prob", 0.1) is None:
        return number(config, *CONFIG_RATES["dropout"], path)
    return number(config, "classifier_dropout_prob", 0.1, path)


def _labels(config, path):
    labels = config.get("id2label")
    if labels is None:
        count = integer(config, "num_labels", 2, path)
        if count > _MOST_CLASSES:
            raise ValueError(
                f"`num_labels` must be at most {_MOST_CLASSES}. {path!r} says "
                f"{count}."
            )
        return _default_labels(count)
    indices = [str(index) for index in range(len(labels))]
    if (
        not isinstance(labels, dict)
        or not labels
        or sorted(labels) != sorted(indices)
    ):
        raise ValueError(
            "`id2label` must name the classes 0, 1, 2 and so on. "
            f"{path!r} says {labels!r:.80}."
        )
    names = [labels[index] for index in indices]
    if not all(isinstance(name, str | int | float) for name in names):
        raise ValueError(
            f"`id2label` must name each class by a string. {path!r} says "
            f"{labels!r:.80}."
        )
    names = [str(name) for name in names]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            "`id2label` must name each class differently, or a prediction "
            f"does not tell which it is. {path!r} has {twice!r} more than "
            "once; rename one of them."
        )
    return names


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
    for key, reason in BUFFERS.items():
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
    import_safetensors()
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
        tensors,
        os.path.join(folder, SAFETENSORS_FILE),
        metadata={"format": "pt"},
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
    epsilon = arguments["layer_norm_epsilon"]
    head_epsilon = getattr(model, "head_layer_norm_epsilon", epsilon)
    if head_epsilon != epsilon:
        raise ValueError(
            "In `transformers` the head has the backbone's "
            f"`layer_norm_epsilon={epsilon}`, which gives other numbers than "
            f"this one's {head_epsilon}. Pass "
            f"`head_layer_norm_epsilon={epsilon}` to `from_preset` to accept "
            "them, or convert the backbone."
        )
    check_group_formula(arguments, _group_of_layer, "transformers' formula")
    check_pooling(model, "`transformers`")
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
        return _MULTI_LABEL
    if type(model).__name__ == "AlbertTextClassifier":
        if model.num_classes == 1:
            return "regression"
        return "single_label_classification"
    return None
