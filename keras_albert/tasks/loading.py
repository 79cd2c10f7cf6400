"""Loads a preset as what it was saved as."""

import keras

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.presets.loading import TASK_FILE, read_preset_json
from keras_albert.presets.registry import local_preset_folder


def load_preset(preset, **kwargs):
    """Loads the task of a preset, or the backbone when it holds no task.

    Args:
        preset: a bundled name, or a folder written by `save_to_preset`.
        **kwargs: see `from_preset` of the class.

    Returns:
        A task, or an `AlbertBackbone`.

    Raises:
        ValueError: if the preset is unknown, or of a class that is not.
    """
    folder = local_preset_folder(preset)
    task = read_preset_json(folder, TASK_FILE)
    if task is None:
        return AlbertBackbone.from_preset(folder, **kwargs)
    class_ = keras.saving.get_registered_object(task.get("registered_name"))
    if class_ is None:
        raise ValueError(
            f"The task of the preset {folder!r} must be one of this package. "
            f"It is {task.get('registered_name')!r}."
        )
    return class_.from_preset(folder, **kwargs)
