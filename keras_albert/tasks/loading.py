"""Loads a preset as what it was saved as."""

import keras

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.presets.files import read_preset_json
from keras_albert.presets.loading import (
    TASK_FILE,
    TaskPresetMixin,
    open_foreign,
)
from keras_albert.presets.registry import local_preset_folder


def load_preset(preset, **kwargs):
    """Loads the task of a preset, or the backbone when it holds no task.

    Args:
        preset: whatever `from_preset` takes.
        **kwargs: see `from_preset` of the class.

    Returns:
        A task, or an `AlbertBackbone`.

    Raises:
        ValueError: if the preset is unknown, or of a class that is not.
    """
    folder = local_preset_folder(preset)
    checkpoint = open_foreign(folder, kwargs.get("load_weights", True))
    if checkpoint is not None:
        class_ = class_of(checkpoint)
        if class_ is not AlbertBackbone and "preprocessor" not in kwargs:
            kwargs["preprocessor"] = class_.foreign_preprocessor(folder)
        return class_.from_checkpoint(checkpoint, **kwargs)
    task = read_preset_json(folder, TASK_FILE)
    if task is None:
        return AlbertBackbone.from_preset(folder, **kwargs)
    class_ = keras.saving.get_registered_object(task.get("registered_name"))
    if class_ is None or not issubclass(class_, TaskPresetMixin):
        raise ValueError(
            f"The task of the preset {folder!r} must be one of this package. "
            f"It is {task.get('registered_name')!r}."
        )
    return class_.from_preset(folder, **kwargs)


def class_of(checkpoint):
    """The class that another library's checkpoint is of.

    Args:
        checkpoint: a `keras_albert.checkpoints.checkpoint.Checkpoint`.
    """
    if checkpoint.task is None:
        return AlbertBackbone
    return keras.saving.get_registered_object(f"keras_albert>{checkpoint.task}")
