"""`from_preset` and `save_to_preset` as this package promises them.

KerasHub's base classes give the file layout of a preset folder:

    config.json            the backbone
    model.weights.h5       its weights
    task.json              the task, when one was saved
    task.weights.h5        the weights of its head
    preprocessor.json tokenizer.json assets/tokenizer/vocabulary.spm
    metadata.json

The mixins here keep that layout and add: folders written whole or not at
all, configurations that only name classes of Keras, KerasHub or this
package, and a warning when a task's head does not come from the preset.
"""

import contextlib
import json
import math
import os
import warnings

import keras

from keras_albert.checkpoints import keras_hub
from keras_albert.checkpoints.checkpoint import (
    load_into,
    untrained_weights,
)
from keras_albert.checkpoints.names import TASK_PARTS, TASKS_WITHOUT_POOLER
from keras_albert.checkpoints.reading import check_shards
from keras_albert.presets.files import (
    check_not_replaced,
    damage_named,
    read_preset_json,
)
from keras_albert.presets.foreign import (
    is_foreign,
    open_checkpoint,
    open_tokenizer,
)
from keras_albert.presets.registry import local_preset_folder
from keras_albert.presets.saving import whole_folder

CONFIG_FILE = "config.json"
TASK_FILE = "task.json"
PREPROCESSOR_FILE = "preprocessor.json"
TOKENIZER_FILE = "tokenizer.json"
METADATA_FILE = "metadata.json"
WEIGHTS_FILE = "model.weights.h5"
TASK_WEIGHTS_FILE = "task.weights.h5"
ASSETS_FOLDER = "assets"
PRESET_FILES = (
    CONFIG_FILE,
    TASK_FILE,
    PREPROCESSOR_FILE,
    TOKENIZER_FILE,
    METADATA_FILE,
    WEIGHTS_FILE,
    TASK_WEIGHTS_FILE,
    ASSETS_FOLDER,
)

# What a weight takes beside its numbers in HDF5, or a small file, with room.
_BYTES_A_FILE = 8192

# Of a backbone with random weights. Presets store theirs in `metadata.json`.
DEFAULT_LEARNING_RATE = 5e-4
# Of one that another library trained: within the original's for fine-tuning.
PRETRAINED_LEARNING_RATE = 3e-5


def _deserialize(folder, name, expected, overrides):
    """Makes the object of a preset's JSON file, its arguments overridden."""
    config = read_preset_json(folder, name)
    if config is None:
        raise ValueError(
            f"The preset {folder!r} must hold `{name}` to load "
            f"{expected.__name__} from it. It does not; load another class, "
            "or save the preset with this part."
        )
    if "registered_name" not in config:
        kind = config.get("model_type", "an unknown kind")
        raise ValueError(
            f"`{name}` of a preset must be written by `save_to_preset`. "
            f"{folder!r} holds a file of another format ({kind})."
        )
    class_ = keras.saving.get_registered_object(config["registered_name"])
    if class_ is None or not issubclass(class_, expected):
        raise ValueError(
            f"`{name}` of the preset {folder!r} holds "
            f"{config['registered_name']!r}, which is no {expected.__name__}."
        )
    config["config"] = {**config["config"], **overrides}
    path = os.path.join(folder, name)
    with damage_named(path, f"a valid {expected.__name__}"):
        return keras.saving.deserialize_keras_object(config)


def _dtype_of_saved(folder):
    """The policy to load with: a quantized one as saved, else the default.

    Weights of any float type are cast to the dtype policy in force.
    """
    config = (read_preset_json(folder, CONFIG_FILE) or {}).get("config", {})
    saved = config.get("dtype")
    if isinstance(saved, dict) and saved.get("class_name") != "DTypePolicy":
        path = os.path.join(folder, CONFIG_FILE)
        with damage_named(path, "a valid dtype policy"):
            return keras.dtype_policies.get(saved)
    return keras.config.dtype_policy()


def _load_backbone_weights(backbone, folder):
    path = os.path.join(folder, WEIGHTS_FILE)
    if os.path.isfile(path):
        with damage_named(path, f"the weights of its `{CONFIG_FILE}`"):
            backbone.load_weights(path)
        return
    sharded = check_shards(folder)
    if sharded is not None:
        backbone.load_weights(sharded)
        return
    raise ValueError(
        f"The preset {folder!r} must hold `{WEIGHTS_FILE}`. It does not; "
        "restore it, or pass `load_weights=False` for random weights."
    )


def _add_metadata(folder, **entries):
    metadata = {**read_preset_json(folder, METADATA_FILE), **entries}
    with open(
        os.path.join(folder, METADATA_FILE), "w", encoding="utf-8"
    ) as file:
        json.dump(metadata, file, indent=4)


def _learning_rate(folder, metadata):
    rate = metadata.get("learning_rate", DEFAULT_LEARNING_RATE)
    if type(rate) not in (int, float) or not 0.0 < rate < math.inf:
        raise ValueError(
            "`learning_rate` must be a positive number. "
            f"{os.path.join(folder, METADATA_FILE)!r} says {rate!r:.80}; "
            "correct it."
        )
    return rate


def open_foreign(folder, load_weights=True):
    """Reads the folder of another library; `None` for a preset of ours.

    Raises:
        ValueError: if anything in it does not fit.
    """
    if not is_foreign(folder):
        return None
    for name in (CONFIG_FILE, TASK_FILE):
        read_preset_json(folder, name)  # It checks the classes.
    return open_checkpoint(folder, load_weights=load_weights)


def bytes_of(part):
    """The bytes that a preset of a model or preprocessor takes, at most.

    Args:
        part: a backbone, task, preprocessor or tokenizer.
    """
    weights = getattr(part, "weights", ())
    preprocessor = getattr(part, "preprocessor", part)
    tokenizer = getattr(preprocessor, "tokenizer", preprocessor)
    vocabulary = len(getattr(tokenizer, "proto", None) or "")
    size = sum(4 * math.prod(weight.shape) for weight in weights)
    return size + vocabulary + _BYTES_A_FILE * (len(weights) + 8)


def holds_tokenizer(folder):
    """Whether a preset folder, of ours or of others, has a tokenizer."""
    if is_foreign(folder):
        return open_tokenizer(folder) is not None
    return os.path.isfile(os.path.join(folder, TOKENIZER_FILE))


def _add_untrained(backbone, folder):
    """Notes which weights nobody trained: they are not for others' folders."""
    untrained = untrained_weights(backbone)
    if untrained:
        remembered = {
            path: value
            for path, value in backbone.untrained.items()
            if path in untrained
        }
        _add_metadata(folder, untrained=remembered)


def _warn_of_fresh(model, paths, reason, stacklevel):
    if paths:
        warnings.warn(
            f"{type(model).__name__} has random weights ({', '.join(paths)}), "
            f"since {reason}. Train them before you use them.",
            stacklevel=stacklevel,
        )


class PresetMixin:
    """`from_preset` and `save_to_preset` of backbones and preprocessors."""

    #: The file of a preset folder that this class is saved in.
    preset_file = CONFIG_FILE

    @classmethod
    def from_preset(cls, preset, load_weights=True, **kwargs):
        """Makes an instance from a preset.

        Args:
            preset: a bundled name such as `"albert_tiny_en"`; a folder
                written by `save_to_preset`, by Hugging Face's
                `save_pretrained` or by KerasHub, or one with Google's
                original checkpoint; `"hf://owner/name"`; or one of
                KerasHub's names such as `"albert_base_en_uncased"`.
            load_weights: bool. `False` leaves random weights.
            **kwargs: arguments of the constructor, instead of the preset's.

        Returns:
            An instance of the class.

        Raises:
            ValueError: if the preset is unknown or holds something else.
        """
        folder = local_preset_folder(preset)
        checkpoint = open_foreign(folder, load_weights)
        if checkpoint is not None:
            return cls.from_checkpoint(checkpoint, load_weights, **kwargs)
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = _dtype_of_saved(folder)
        backbone = _deserialize(folder, CONFIG_FILE, cls, kwargs)
        if load_weights:
            _load_backbone_weights(backbone, folder)
            metadata = read_preset_json(folder, METADATA_FILE) or {}
            backbone.learning_rate = _learning_rate(folder, metadata)
            backbone.untrained = metadata.get("untrained", {})
        return backbone

    @classmethod
    def from_checkpoint(cls, checkpoint, load_weights=True, **kwargs):
        """Makes a model from another library's checkpoint.

        Args:
            checkpoint: a `keras_albert.checkpoints.checkpoint.Checkpoint`.
            load_weights: bool. `False` leaves random weights.
            **kwargs: arguments of the constructor, instead of the
                checkpoint's.

        Returns:
            An instance of the class.

        Raises:
            ValueError: if the checkpoint does not fit.
        """
        backbone = cls(**{**checkpoint.backbone, **kwargs})
        if load_weights:
            report = load_into(backbone, checkpoint)
            backbone.learning_rate = PRETRAINED_LEARNING_RATE
            _warn_of_fresh(
                backbone, report.fresh, "the checkpoint has none", stacklevel=4
            )
        return backbone

    @classmethod
    def from_keras_hub(cls, instance, **kwargs):
        """Makes a model from KerasHub's of the same name.

        Args:
            instance: a `keras_nlp.models.AlbertBackbone`, `AlbertMaskedLM`
                or `AlbertTextClassifier`.
            **kwargs: arguments of the constructor.

        Returns:
            An instance of the class, of the same numbers.

        Raises:
            ValueError: if `instance` is something else.
        """
        return cls.from_checkpoint(keras_hub.read_instance(instance), **kwargs)

    def to_keras_hub(self):
        """Makes KerasHub's model of the same name and the same numbers.

        Returns:
            A `keras_nlp.models.AlbertBackbone`, `AlbertMaskedLM` or
            `AlbertTextClassifier`.

        Raises:
            ValueError: if KerasHub has no such model.
        """
        return keras_hub.write_instance(self)[0]

    def save_to_preset(self, preset_dir, **kwargs):
        """Saves to a preset folder, whole or not at all.

        Args:
            preset_dir: string or path. Other files in it are kept.
            **kwargs: `max_shard_size`, in gigabytes, for models.

        Raises:
            OSError: if the folder cannot be written.
        """
        with whole_folder(preset_dir, needs=bytes_of(self)) as folder:
            super().save_to_preset(folder, **kwargs)
            if hasattr(self, "learning_rate"):
                _add_metadata(folder, learning_rate=self.learning_rate)
                _add_untrained(self, folder)


class PreprocessingPresetMixin(PresetMixin):
    """`from_preset` of tokenizers and preprocessors."""

    #: Of a tokenizer: the class that takes its place for a WordPiece
    #: vocabulary.
    wordpiece_cls: type | None = None
    #: Of a preprocessor: tokens, where the model has as many positions.
    default_sequence_length = 512

    @classmethod
    def from_preset(cls, preset, config_file=None, **kwargs):
        """Makes an instance from a preset.

        Args:
            preset: a bundled name such as `"albert_tiny_en"`; a folder
                written by `save_to_preset`, by Hugging Face's
                `save_pretrained` or by KerasHub, or one with Google's
                original checkpoint; `"hf://owner/name"`; or one of
                KerasHub's names such as `"albert_base_en_uncased"`.
            config_file: string, the file of the folder to read, instead of
                the class's usual one.
            **kwargs: arguments of the constructor, instead of the preset's.

        Returns:
            An instance of the class.

        Raises:
            ValueError: if the preset is unknown or holds something else.
        """
        folder = local_preset_folder(preset)
        if is_foreign(folder):
            return cls._from_foreign(folder, kwargs)
        file = config_file or cls.preset_file
        if os.path.basename(file) != file:
            raise ValueError(
                "`config_file` must be a file of the preset's folder. "
                f"Received: {file!r}."
            )
        tokenizer_cls = getattr(cls, "tokenizer_cls", None)
        if tokenizer_cls is not None and not _holds(folder, file, cls):
            # Saved by another task, or without one: the tokenizer serves all.
            kwargs.setdefault("tokenizer", tokenizer_cls.from_preset(folder))
            backbone = read_preset_json(folder, CONFIG_FILE) or {}
            positions = backbone.get("config", {}).get("max_sequence_length")
            if positions is not None:
                length = min(cls.default_sequence_length, positions)
                kwargs.setdefault("sequence_length", length)
            return cls(**kwargs)
        if cls.wordpiece_cls and _holds(folder, file, cls.wordpiece_cls):
            cls = cls.wordpiece_cls
        instance = _deserialize(folder, file, cls, kwargs)
        assets = os.path.join(folder, ASSETS_FOLDER)
        with damage_named(assets, "the vocabulary of the tokenizer"):
            instance.load_preset_assets(folder)
        return instance

    @classmethod
    def _from_foreign(cls, folder, kwargs):
        tokenizer_cls = getattr(cls, "tokenizer_cls", None)
        if tokenizer_cls is None:
            arguments = open_tokenizer(folder)
            if arguments is None:
                raise ValueError(
                    "The folder must hold a vocabulary to make a tokenizer. "
                    f"{folder!r} holds none."
                )
            if "vocabulary" in arguments:
                cls = cls.wordpiece_cls or cls
            return cls(**{**arguments, **kwargs})
        kwargs.setdefault("tokenizer", tokenizer_cls.from_preset(folder))
        backbone = open_foreign(folder, load_weights=False).backbone
        length = min(
            cls.default_sequence_length, backbone["max_sequence_length"]
        )
        kwargs.setdefault("sequence_length", length)
        return cls(**kwargs)


def _holds(folder, file, cls):
    config = read_preset_json(folder, file)
    if config is None:
        return False
    return config.get("registered_name") == (
        keras.saving.get_registered_name(cls)
    )


class TaskPresetMixin(PresetMixin):
    """`from_preset` and `save_to_preset` of tasks."""

    @classmethod
    def from_preset(cls, preset, load_weights=True, **kwargs):
        """Makes a task from a preset, of this task or of another.

        The backbone and the tokenizer come from any preset. The weights of
        the head come from it when it was saved by this task with as many
        outputs; otherwise they are random, and a warning names them.

        Args:
            preset: a bundled name such as `"albert_tiny_en"`; a folder
                written by `save_to_preset`, by Hugging Face's
                `save_pretrained` or by KerasHub, or one with Google's
                original checkpoint; `"hf://owner/name"`; or one of
                KerasHub's names such as `"albert_base_en_uncased"`.
            load_weights: bool. `False` leaves random weights.
            **kwargs: arguments of the constructor, instead of the preset's;
                `dtype` goes to the backbone.

        Returns:
            An instance of the class.

        Raises:
            ValueError: if the preset is unknown or holds something else.
        """
        folder = local_preset_folder(preset)
        checkpoint = open_foreign(folder, load_weights)
        if checkpoint is not None:
            if "preprocessor" not in kwargs:
                kwargs["preprocessor"] = cls.foreign_preprocessor(folder)
            return cls.from_checkpoint(checkpoint, load_weights, **kwargs)
        before = os.stat(folder)
        dtype = {"dtype": kwargs.pop("dtype")} if "dtype" in kwargs else {}
        if "backbone" not in kwargs:
            kwargs["backbone"] = cls.backbone_cls.from_preset(
                folder, load_weights=load_weights, **dtype
            )
        has_tokenizer = os.path.isfile(os.path.join(folder, TOKENIZER_FILE))
        has_preprocessor = has_tokenizer and cls.preprocessor_cls is not None
        if "preprocessor" not in kwargs and has_preprocessor:
            kwargs["preprocessor"] = cls.preprocessor_cls.from_preset(folder)
        saved = {}
        same_task = _holds(folder, TASK_FILE, cls)
        if same_task:
            saved = read_preset_json(folder, TASK_FILE)["config"]
            saved = {
                name: value
                for name, value in saved.items()
                if name not in ("backbone", "preprocessor")
            }
        named = contextlib.nullcontext()
        if same_task:
            named = damage_named(folder, f"a valid {cls.__name__}")
        with named:
            task = cls.from_config(cls.merge_preset_config(saved, kwargs))
        if load_weights:
            task.load_head(folder, same_task)
        check_not_replaced(folder, before)
        return task

    @classmethod
    def foreign_preprocessor(cls, folder):
        """The preprocessor from another library's folder, or `None`.

        Args:
            folder: string, its path.

        Raises:
            ValueError: if the vocabulary is of another kind, or damaged.
        """
        if cls.preprocessor_cls is None or open_tokenizer(folder) is None:
            return None
        return cls.preprocessor_cls.from_preset(folder)

    @classmethod
    def from_checkpoint(cls, checkpoint, load_weights=True, **kwargs):
        """Makes a task from another library's checkpoint, of any task.

        Args:
            checkpoint: a `keras_albert.checkpoints.checkpoint.Checkpoint`.
            load_weights: bool. `False` leaves random weights.
            **kwargs: arguments of the constructor, instead of the
                checkpoint's; `dtype` goes to the backbone.

        Returns:
            An instance of the class.

        Raises:
            ValueError: if the checkpoint does not fit.
        """
        dtype = {"dtype": kwargs.pop("dtype")} if "dtype" in kwargs else {}
        if "backbone" not in kwargs:
            kwargs["backbone"] = cls.backbone_cls(
                **{**checkpoint.backbone, **dtype}
            )
        if load_weights:
            # Before the task is compiled with it.
            kwargs["backbone"].learning_rate = PRETRAINED_LEARNING_RATE
        # A checkpoint that does not tell its task has the head of any.
        same_task = checkpoint.task in (None, cls.__name__)
        saved = checkpoint.task_config if same_task else {}
        task = cls.from_config(cls.merge_preset_config(saved, kwargs))
        if load_weights:
            task.load_checkpoint(checkpoint, same_task)
        return task

    def load_checkpoint(self, checkpoint, same_task):
        """Loads another library's weights, and warns of random ones."""
        skip, reason = (), "the checkpoint has none for this task"
        parts = TASK_PARTS[type(self).__name__]
        if not same_task and "logits" in parts:
            skip = ("logits",)
        head = checkpoint.weights.get("logits/bias")
        if head is not None and "logits" in parts and same_task:
            size = {"num_classes": head.shape[0]}
            misfit = self.head_misfit({**checkpoint.task_config, **size})
            if misfit is not None:
                skip, reason = ("logits",), misfit
        report = load_into(self, checkpoint, skip)
        fresh = report.fresh
        without_pooler = type(self).__name__ in TASKS_WITHOUT_POOLER
        if without_pooler or getattr(self, "pooling", "cls") == "mean":
            fresh = [p for p in fresh if not p.startswith("pooled_dense/")]
        _warn_of_fresh(self, fresh, reason, stacklevel=5)

    @classmethod
    def merge_preset_config(cls, saved, given):
        """The constructor's arguments from the saved and the given ones."""
        return {**saved, **given}

    def save_task_weights(self, filepath):
        """Saves the head's weights, without the optimizer's.

        Args:
            filepath: string, ending in `.weights.h5`.
        """
        keras.saving.save_weights(
            self, filepath, objects_to_skip=self._not_of_the_head()
        )

    def load_task_weights(self, filepath):
        """Loads the head's weights.

        Args:
            filepath: string, ending in `.weights.h5`.
        """
        keras.saving.load_weights(
            self, filepath, objects_to_skip=self._not_of_the_head()
        )

    def _not_of_the_head(self, heads=()):
        others = []
        if heads:
            # Of the task's own layers, those that `heads` does not name.
            kept = {id(getattr(self, name)) for name in heads}
            others = [
                layer
                for layer in self._flatten_layers(
                    include_self=False, recursive=False
                )
                if id(layer) not in kept
            ]
        # A model that was never compiled has no such attribute.
        optimizer = getattr(self, "optimizer", None)
        return [*self.backbone._flatten_layers(), *others, optimizer]

    def head_weights(self):
        """The weights that are the task's own, not the backbone's."""
        backbone_weights = {id(weight) for weight in self.backbone.weights}
        return [w for w in self.weights if id(w) not in backbone_weights]

    #: Heads that other tasks have, too: class name, names of attributes.
    shared_heads: dict = {}

    def load_head(self, folder, same_task):
        """Loads the head's weights, or warns that they are random."""
        path = os.path.join(folder, TASK_WEIGHTS_FILE)
        reason = "the preset holds none for this task"
        fresh = self.head_weights()
        missing = fresh and not os.path.isfile(path)
        if same_task and missing:
            raise ValueError(
                f"{folder!r} must hold `{TASK_WEIGHTS_FILE}`, the weights of "
                f"its {type(self).__name__}'s head. It does not; save the "
                "preset anew, or pass `load_weights=False` for random weights."
            )
        if os.path.isfile(path):
            task = read_preset_json(folder, TASK_FILE)
            if task is None:
                raise ValueError(
                    f"The preset {folder!r} must hold `{TASK_FILE}` beside "
                    f"`{TASK_WEIGHTS_FILE}`, which tells whose weights these "
                    "are. It does not; restore it, or pass "
                    "`load_weights=False` for random weights."
                )
            shared = self.shared_heads.get(task["class_name"], ())
            saved = task["config"]
            misfit = self.head_misfit(saved) if same_task else None
            if same_task and misfit is None:
                with damage_named(path, f"the weights of its `{TASK_FILE}`"):
                    self.load_task_weights(path)
                return
            if shared and not same_task:
                skipped = self._not_of_the_head(shared)
                with damage_named(path, f"the weights of its `{TASK_FILE}`"):
                    keras.saving.load_weights(
                        self, path, objects_to_skip=skipped
                    )
                loaded = {
                    id(weight)
                    for name in shared
                    for weight in getattr(self, name).weights
                }
                fresh = [w for w in fresh if id(w) not in loaded]
            if same_task:
                reason = misfit
        names = ", ".join(weight.path for weight in fresh)
        if names:
            warnings.warn(
                f"{type(self).__name__} has random weights in its head "
                f"({names}), since {reason}. Train it before you use it.",
                stacklevel=4,
            )

    def head_misfit(self, saved):
        """Why a saved head of this task cannot be this one's.

        Args:
            saved: dictionary, the configuration of the task it belongs to.

        Returns:
            string; `None` where it can.
        """
        own = getattr(getattr(self, "output_dense", None), "units", None)
        size = saved.get("num_classes", own)
        if size == own:
            return None
        return f"the saved head has {size} outputs, this one {own}"

    def save_to_preset(self, preset_dir, **kwargs):
        """Saves the whole task to a preset folder, or nothing at all.

        Args:
            preset_dir: string or path. The preset files in it are replaced,
                other files are kept.
            **kwargs: `max_shard_size`, in gigabytes.

        Raises:
            OSError: if the folder cannot be written.
        """
        with whole_folder(
            preset_dir, replaces=PRESET_FILES, needs=bytes_of(self)
        ) as folder:
            super(PresetMixin, self).save_to_preset(folder, **kwargs)
