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

import json
import os
import warnings

import keras
import numpy as np

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

# Of a backbone with random weights. Presets store theirs in `metadata.json`.
DEFAULT_LEARNING_RATE = 5e-4

_TRUSTED_PACKAGES = ("keras", "keras_albert", "keras_hub", "keras_nlp")


def read_preset_json(folder, name):
    """Reads a JSON file of a preset folder; `None` if it is not there.

    Raises:
        ValueError: if the file is not JSON, or names a class from outside
            Keras, KerasHub and this package.
    """
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except ValueError as error:
        raise ValueError(
            f"{path!r} must be JSON. It is not: {error}. Save the preset anew."
        ) from error
    _check_classes(config, path)
    return config


def _check_classes(config, path):
    if isinstance(config, dict):
        module = config.get("module")
        registered = config.get("registered_name")
        for name, separator in ((module, "."), (registered, ">")):
            if not isinstance(name, str) or separator not in name:
                continue
            if name.split(separator)[0] not in _TRUSTED_PACKAGES:
                raise ValueError(
                    "A preset may only name classes of "
                    f"{', '.join(_TRUSTED_PACKAGES)}. {path!r} names "
                    f"{name!r}. Nothing was loaded."
                )
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            _check_classes(value, path)


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
    return keras.saving.deserialize_keras_object(config)


def initialize_from_seed(model, seed):
    """Draws a model's weights from a seed, the same on every backend.

    Matrices are truncated normal of standard deviation 0.02 as the
    original's, biases 0, scales 1.

    Args:
        model: a built `keras.Model`.
        seed: int.
    """
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.name == "gamma":
            value = np.ones(variable.shape)
        elif variable.name in ("beta", "bias"):
            value = np.zeros(variable.shape)
        else:
            value = generator.normal(size=variable.shape)
            while (outside := np.abs(value) > 2.0).any():
                value[outside] = generator.normal(size=outside.sum())
            value *= 0.02
        variable.assign(value.astype("float32"))


def _dtype_of_saved(folder):
    """The policy to load with: a quantized one as saved, else the default.

    Weights of any float type are cast to the dtype policy in force.
    """
    config = (read_preset_json(folder, CONFIG_FILE) or {}).get("config", {})
    saved = config.get("dtype")
    if isinstance(saved, dict) and saved["class_name"] != "DTypePolicy":
        return keras.dtype_policies.get(saved)
    return keras.config.dtype_policy()


def _load_backbone_weights(backbone, folder):
    path = os.path.join(folder, WEIGHTS_FILE)
    if os.path.isfile(path):
        backbone.load_weights(path)
        return
    sharded = os.path.join(folder, "model.weights.json")
    if os.path.isfile(sharded):
        for name in _shard_names(folder):
            if os.path.basename(name) != name:
                raise ValueError(
                    "A preset's files must lie in its folder. "
                    f"{sharded!r} names {name!r}. Nothing was loaded."
                )
        backbone.load_weights(sharded)
        return
    seed = (read_preset_json(folder, METADATA_FILE) or {}).get("seed")
    if seed is None:
        raise ValueError(
            f"The preset {folder!r} must hold `{WEIGHTS_FILE}`, or a `seed` in "
            f"`{METADATA_FILE}`. It holds neither; pass `load_weights=False` "
            "for random weights."
        )
    initialize_from_seed(backbone, seed)


def _shard_names(folder):
    index = read_preset_json(folder, "model.weights.json")
    for value in index.get("weight_map", {}).values():
        yield from value if isinstance(value, list) else [value]


def _add_metadata(folder, **entries):
    metadata = {**read_preset_json(folder, METADATA_FILE), **entries}
    with open(
        os.path.join(folder, METADATA_FILE), "w", encoding="utf-8"
    ) as file:
        json.dump(metadata, file, indent=4)


def is_pretrained(preset):
    """Whether a preset holds trained weights, rather than a seed."""
    folder = local_preset_folder(preset)
    metadata = read_preset_json(folder, METADATA_FILE) or {}
    return metadata.get("seed") is None


class PresetMixin:
    """`from_preset` and `save_to_preset` of backbones and preprocessors."""

    #: The file of a preset folder that this class is saved in.
    preset_file = CONFIG_FILE

    @classmethod
    def from_preset(cls, preset, load_weights=True, **kwargs):
        """Makes an instance from a preset.

        Args:
            preset: a bundled name such as `"albert_tiny_en"`, or a folder
                written by `save_to_preset`.
            load_weights: bool. `False` leaves random weights.
            **kwargs: arguments of the constructor, instead of the preset's.

        Returns:
            An instance of the class.

        Raises:
            ValueError: if the preset is unknown or holds something else.
        """
        folder = local_preset_folder(preset)
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = _dtype_of_saved(folder)
        backbone = _deserialize(folder, CONFIG_FILE, cls, kwargs)
        if load_weights:
            _load_backbone_weights(backbone, folder)
            metadata = read_preset_json(folder, METADATA_FILE) or {}
            backbone.learning_rate = metadata.get(
                "learning_rate", DEFAULT_LEARNING_RATE
            )
        return backbone

    def save_to_preset(self, preset_dir, **kwargs):
        """Saves to a preset folder, whole or not at all.

        Args:
            preset_dir: string or path. Other files in it are kept.
            **kwargs: `max_shard_size`, in gigabytes, for models.

        Raises:
            OSError: if the folder cannot be written.
        """
        with whole_folder(preset_dir) as folder:
            super().save_to_preset(folder, **kwargs)
            if hasattr(self, "learning_rate"):
                _add_metadata(folder, learning_rate=self.learning_rate)


class PreprocessingPresetMixin(PresetMixin):
    """`from_preset` of tokenizers and preprocessors."""

    @classmethod
    def from_preset(cls, preset, config_file=None, **kwargs):
        """Makes an instance from a preset.

        Args:
            preset: a bundled name such as `"albert_tiny_en"`, or a folder
                written by `save_to_preset`.
            config_file: string, the file of the folder to read, instead of
                the class's usual one.
            **kwargs: arguments of the constructor, instead of the preset's.

        Returns:
            An instance of the class.

        Raises:
            ValueError: if the preset is unknown or holds something else.
        """
        folder = local_preset_folder(preset)
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
            return cls(**kwargs)
        instance = _deserialize(folder, file, cls, kwargs)
        instance.load_preset_assets(folder)
        return instance


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
            preset: a bundled name such as `"albert_tiny_en"`, or a folder
                written by `save_to_preset`.
            load_weights: bool. `False` leaves random weights.
            **kwargs: arguments of the constructor, instead of the preset's;
                `dtype` goes to the backbone.

        Returns:
            An instance of the class.

        Raises:
            ValueError: if the preset is unknown or holds something else.
        """
        folder = local_preset_folder(preset)
        dtype = {"dtype": kwargs.pop("dtype")} if "dtype" in kwargs else {}
        if "backbone" not in kwargs:
            kwargs["backbone"] = cls.backbone_cls.from_preset(
                folder, load_weights=load_weights, **dtype
            )
        has_tokenizer = os.path.isfile(os.path.join(folder, TOKENIZER_FILE))
        if "preprocessor" not in kwargs and has_tokenizer:
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
        task = cls.from_config(cls.merge_preset_config(saved, kwargs))
        if load_weights:
            task.load_head(folder, same_task)
        return task

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

    def _not_of_the_head(self):
        return [*self.backbone._flatten_layers(), self.optimizer]

    def head_weights(self):
        """The weights that are the task's own, not the backbone's."""
        backbone_weights = {id(weight) for weight in self.backbone.weights}
        return [w for w in self.weights if id(w) not in backbone_weights]

    def load_head(self, folder, same_task):
        """Loads the head's weights, or warns that they are random."""
        path = os.path.join(folder, TASK_WEIGHTS_FILE)
        reason = "the preset holds none for this task"
        if same_task and os.path.isfile(path):
            saved = read_preset_json(folder, TASK_FILE)["config"]
            if self.head_size(saved) == self.head_size(self.get_config()):
                self.load_task_weights(path)
                return
            reason = (
                f"the preset's head has {self.head_size(saved)} outputs, "
                f"this one {self.head_size(self.get_config())}"
            )
        names = ", ".join(weight.path for weight in self.head_weights())
        if names:
            warnings.warn(
                f"{type(self).__name__} has random weights in its head "
                f"({names}), since {reason}. Train it before you use it.",
                stacklevel=4,
            )

    @staticmethod
    def head_size(config):
        """What must be equal for a saved head to fit; the width of it."""
        return config.get("num_classes")

    def save_to_preset(self, preset_dir, **kwargs):
        """Saves the whole task to a preset folder, or nothing at all.

        Args:
            preset_dir: string or path. The preset files in it are replaced,
                other files are kept.
            **kwargs: `max_shard_size`, in gigabytes.

        Raises:
            OSError: if the folder cannot be written.
        """
        with whole_folder(preset_dir, replaces=PRESET_FILES) as folder:
            super(PresetMixin, self).save_to_preset(folder, **kwargs)
