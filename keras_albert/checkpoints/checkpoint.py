"""What every foreign checkpoint becomes before a model is made from it.

Loading is total: each source weight goes to one weight of the model, or is
listed as ignored with a reason; each weight of the model is written once, or
is listed as fresh, which only poolers and heads may be. Anything else raises
`ValueError` before a model is returned.
"""

import dataclasses
import zlib

import keras
import numpy as np

from keras_albert.checkpoints.names import (
    BACKBONE_PARTS,
    MOST_LAYERS,
    TASK_PARTS,
    weight_names,
)

# Parts of which a source may have nothing.
_OPTIONAL_PARTS = frozenset(
    {"pooler", *(part for parts in TASK_PARTS.values() for part in parts)}
)


@dataclasses.dataclass
class Checkpoint:
    """A foreign checkpoint in this package's terms, read and checked.

    Attributes:
        format_name: string, the library it comes from.
        path: string, where it was read.
        backbone: dictionary, the arguments of `AlbertBackbone`.
        task: the name of this package's task class, or `None`.
        task_config: dictionary, the arguments of the task besides the
            backbone and the preprocessor.
        weights: dictionary from our weight paths to arrays, in our layout.
        keys: dictionary from our weight paths to the source's names.
        ignored: dictionary from source names to the reason to leave them.
        report: a `LoadReport`, once a model was made from it.
    """

    format_name: str
    path: str
    backbone: dict
    task: str | None = None
    task_config: dict = dataclasses.field(default_factory=dict)
    weights: dict = dataclasses.field(default_factory=dict)
    keys: dict = dataclasses.field(default_factory=dict)
    ignored: dict = dataclasses.field(default_factory=dict)
    report: "LoadReport | None" = None


@dataclasses.dataclass
class LoadReport:
    """What became of each weight.

    Attributes:
        written: dictionary from our weight paths to the source's names.
        fresh: list of our weight paths that the source does not have.
        ignored: dictionary from source names to the reason to leave them.
    """

    written: dict
    fresh: list
    ignored: dict


def dimensions_of(backbone):
    """The sizes that the letters of `names.TABLE` stand for.

    Args:
        backbone: dictionary, the arguments of `AlbertBackbone`.
    """
    return {
        "V": backbone["vocabulary_size"],
        "P": backbone["max_sequence_length"],
        "S": backbone["num_segments"],
        "E": backbone["embedding_dim"],
        "H": backbone["hidden_dim"],
        "I": backbone["intermediate_dim"],
    }


def check_depth(num_layers, num_groups, num_inner_repetitions):
    """Raises ValueError for more layers than anybody could build.

    Args:
        num_layers: int.
        num_groups: int.
        num_inner_repetitions: int.
    """
    if num_groups > num_layers:
        raise ValueError(
            "`num_groups` must be at most `num_layers`, or groups would go "
            f"unused. Received: num_groups={num_groups}, "
            f"num_layers={num_layers}."
        )
    if num_layers * num_inner_repetitions > MOST_LAYERS:
        raise ValueError(
            "`num_layers` times `num_inner_repetitions` must be at most "
            f"{MOST_LAYERS}. Received: num_layers={num_layers}, "
            f"num_inner_repetitions={num_inner_repetitions}."
        )


def check_backbone(backbone, path):
    """Raises ValueError where a configuration's depth cannot be.

    Args:
        backbone: dictionary, the arguments of `AlbertBackbone`.
        path: string, the file that it was read from.
    """
    try:
        check_depth(
            backbone["num_layers"],
            backbone["num_groups"],
            backbone["num_inner_repetitions"],
        )
    except ValueError as error:
        raise ValueError(f"{error} {path!r} says so; correct it.") from None


def check_group_formula(backbone, group_of_layer, source):
    """Raises ValueError where a library groups the layers in another way.

    Ours is `i * num_groups // num_layers`. The formulas of others, in floats,
    give another group for a few sizes such as 18 layers in 14 groups.
    """
    layers, groups = backbone["num_layers"], backbone["num_groups"]
    if any(
        group_of_layer(i, layers, groups) != i * groups // layers
        for i in range(layers)
    ):
        raise ValueError(
            "The layers must be shared alike on both sides. With "
            f"{layers} layers in {groups} groups, {source} rounds to other "
            "groups. Choose a number of layers divisible by the groups."
        )


@dataclasses.dataclass
class Tensor:
    """A weight as it was read: the array, its file, its key in there."""

    array: np.ndarray
    file: str
    key: str


def collect(checkpoint, tensors, format_name, required=()):
    """Fills a checkpoint's `weights` and `keys` from the source's tensors.

    Args:
        checkpoint: a `Checkpoint` with its configuration.
        tensors: dictionary from the names of a format to `Tensor`.
        format_name: string, a column of the table of names.
        required: heads that must be there.

    Raises:
        ValueError: if a weight is unknown, missing, of another shape, or not
            finite. It names file and key.
    """
    config = checkpoint.backbone
    names = {
        name.in_format(format_name): name
        for name in weight_names(
            config["num_groups"], config["num_inner_repetitions"]
        )
    }
    dimensions = dimensions_of(config)
    dimensions["C"] = checkpoint.task_config.get("num_classes", 1)
    # One score a choice, where classes have no number.
    knows_classes = (
        "num_classes" in checkpoint.task_config
        or checkpoint.task == "AlbertMultipleChoice"
    )
    for format_key, tensor in tensors.items():
        name = names.get(format_key)
        if name is None:
            raise ValueError(
                "Each weight of a checkpoint must be one that ALBERT has. "
                f"{tensor.file!r} holds {tensor.key!r}, for which this "
                f"configuration ({config['num_groups']} groups of "
                f"{config['num_inner_repetitions']} layers) has no place. "
                "Nothing was loaded."
            )
        if name.part == "logits" and not knows_classes:
            dimensions["C"] = _number_of_classes(
                name, tensor.array, format_name
            )
        checkpoint.weights[name.ours] = _our_layout(
            tensor, name, format_name, dimensions
        )
        checkpoint.keys[name.ours] = tensor.key
    _check_complete(checkpoint, names, required)


def _number_of_classes(name, array, format_name):
    if array.ndim == 0:
        return 1
    return array.shape[0 if format_name in name.transposed else -1]


def _our_layout(tensor, name, format_name, dimensions):
    array = tensor.array
    expected = name.sizes(dimensions)
    transposed = format_name in name.transposed
    if format_name == "keras_hub" and array.size == np.prod(expected):
        # Attention kernels are split by head there, biases too.
        array = np.reshape(array, expected)
    if array.shape != (expected[::-1] if transposed else expected):
        raise ValueError(
            "A weight must have the shape that the configuration says: "
            f"{expected[::-1] if transposed else expected}. {tensor.key!r} "
            f"in {tensor.file!r} is {array.shape}. Nothing was loaded."
        )
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise ValueError(
            "Weights must be floating-point numbers. "
            f"{tensor.key!r} in {tensor.file!r} is {array.dtype}. Nothing was "
            "loaded."
        )
    with np.errstate(over="ignore"):  # Then it is infinite, see below.
        array = np.asarray(array, "float32")
    if not np.isfinite(array).all():
        raise ValueError(
            f"Weights must be finite numbers. {tensor.key!r} in "
            f"{tensor.file!r} holds NaN or infinity. Nothing was loaded."
        )
    return array.T if transposed else array


def _check_complete(checkpoint, names, required):
    parts = {
        name.part for name in names.values() if name.ours in checkpoint.keys
    }
    if checkpoint.backbone["embedding_projection"] is not False:
        required = ("projection", *required)
    needed = {*parts, "embeddings", "encoder", *required}
    missing = [
        key
        for key, name in names.items()
        if name.part in needed and name.ours not in checkpoint.keys
    ]
    if missing:
        raise ValueError(
            "A checkpoint must hold each weight of its model. "
            f"{checkpoint.path!r} lacks {', '.join(map(repr, missing[:5]))}"
            + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            + ". Nothing was loaded."
        )


def backbone_of(model):
    """The backbone of a task, or the model itself when it is one."""
    return getattr(model, "backbone", None) or model


def names_of(model):
    """The names of a model's weights, in the order of `model.weights`.

    Args:
        model: an `AlbertBackbone` or a task on one.

    Returns:
        list of `(variable, WeightName)`.

    Raises:
        ValueError: for weights that the table does not know.
    """
    backbone = backbone_of(model)
    known = {
        name.ours: name
        for name in weight_names(
            backbone.num_groups, backbone.num_inner_repetitions
        )
    }
    pairs = []
    for variable in model.weights:
        if variable.path not in known:
            raise ValueError(
                "Only weights of the plain model have names in other "
                f"libraries. {type(model).__name__} has {variable.path!r}. "
                "Convert the model as it was before quantization or LoRA."
            )
        pairs.append((variable, known[variable.path]))
    return pairs


def load_into(model, checkpoint, skip=()):
    """Loads a checkpoint's weights into a model.

    Args:
        model: an `AlbertBackbone` or a task on one.
        checkpoint: a `Checkpoint`.
        skip: heads to leave fresh, even if the checkpoint has them.

    Returns:
        A `LoadReport`, which is also kept as `checkpoint.report`.

    Raises:
        ValueError: if model and checkpoint do not fit. Nothing is assigned.
    """
    pairs = names_of(model)
    values, fresh = [], []
    for variable, name in pairs:
        if name.part in skip or name.ours not in checkpoint.weights:
            if name.part not in _OPTIONAL_PARTS:
                raise ValueError(
                    "Each weight of the encoder must come from the "
                    f"checkpoint. {checkpoint.path!r} has none for "
                    f"{name.ours!r}."
                )
            fresh.append(name.ours)
            continue
        value = checkpoint.weights[name.ours]
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"The model's {name.ours!r} must have the shape of the "
                f"checkpoint's. It is {tuple(variable.shape)}, that of "
                f"{checkpoint.keys[name.ours]!r} in {checkpoint.path!r} "
                f"{value.shape}."
            )
        values.append((variable, value))
    written = {v.path: checkpoint.keys[v.path] for v, _ in values}
    ignored = _ignored(model, checkpoint, written)
    for variable, value in values:
        variable.assign(value)
    _remember_untrained(backbone_of(model), fresh)
    checkpoint.report = LoadReport(written, fresh, ignored)
    return checkpoint.report


def _ignored(model, checkpoint, written):
    config = backbone_of(model)
    parts = {
        name.ours: name.part
        for name in weight_names(
            checkpoint.backbone["num_groups"],
            checkpoint.backbone["num_inner_repetitions"],
        )
    }
    ignored = dict(checkpoint.ignored)
    for path, key in checkpoint.keys.items():
        if path in written:
            continue
        if parts[path] in BACKBONE_PARTS:
            raise ValueError(
                "Each weight of the checkpoint's encoder must have a place "
                f"in the model. {key!r} of {checkpoint.path!r} has none in "
                f"{type(config).__name__}(num_groups={config.num_groups}, "
                f"num_inner_repetitions={config.num_inner_repetitions})."
            )
        ignored[key] = f"a head that this {type(model).__name__} has not"
    return ignored


# === Fresh poolers ===


def _remember_untrained(backbone, fresh):
    backbone.untrained = {
        v.path: _fingerprint(v)
        for v in backbone.weights
        if v.path in fresh and v.path.startswith("pooled_dense")
    }


def untrained_weights(backbone):
    """The backbone's weights that are still as they were initialized.

    A pooler that a source lacked is fresh until it is trained.

    Args:
        backbone: an `AlbertBackbone`.

    Returns:
        set of weight paths.
    """
    remembered = getattr(backbone, "untrained", None) or {}
    return {
        v.path
        for v in backbone.weights
        if v.path in remembered and _fingerprint(v) == remembered[v.path]
    }


def _fingerprint(variable):
    return zlib.crc32(_array(variable).tobytes())


# === Writing ===


def _array(variable):
    array = keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
    return np.ascontiguousarray(array)


def arrays_of(model, with_projection):
    """A model's weights, to be written in another format.

    Args:
        model: an `AlbertBackbone` or a task on one.
        with_projection: bool. Whether the format always projects the
            embeddings: a model that does not is given the identity, which
            computes the same.

    Returns:
        list of `(WeightName, array)`, float32, in our layout.

    Raises:
        ValueError: for weights that the table does not know.
    """
    arrays = [(name, _array(v)) for v, name in names_of(model)]
    backbone = backbone_of(model)
    if with_projection and not any(n.part == "projection" for n, _ in arrays):
        identity = {
            "embeddings/projection/kernel": np.eye(
                backbone.hidden_dim, dtype="float32"
            ),
            "embeddings/projection/bias": np.zeros(
                backbone.hidden_dim, "float32"
            ),
        }
        arrays.extend(
            (name, identity[name.ours])
            for name in weight_names(1, 1)
            if name.part == "projection"
        )
    return arrays
