"""The names that `from_preset` knows, and where their files are."""

import os

_PRESETS_FOLDER = os.path.dirname(os.path.abspath(__file__))

BUNDLED_PRESETS = {
    "albert_tiny_en": {
        "description": (
            "4 layers, 2 million parameters, English, lower case. Bundled "
            "with the package; not pretrained yet: the weights are drawn "
            "from the seed in its metadata."
        ),
        "path": os.path.join(_PRESETS_FOLDER, "albert_tiny_en"),
    },
}


def local_preset_folder(preset):
    """The local folder of a preset.

    Args:
        preset: string or path, a bundled name or a folder.

    Returns:
        string, the path of an existing folder.

    Raises:
        ValueError: if there is no such preset.
    """
    preset = os.fspath(preset)
    if preset in BUNDLED_PRESETS:
        return BUNDLED_PRESETS[preset]["path"]
    if not os.path.isdir(preset):
        known = ", ".join(sorted(BUNDLED_PRESETS))
        raise ValueError(
            "A preset must be a bundled name or a folder written by "
            f"`save_to_preset`. Received: {preset!r}, which is neither. "
            f"Bundled names: {known}."
        )
    if not os.path.isfile(os.path.join(preset, "config.json")):
        raise ValueError(
            "A preset folder must hold a `config.json`. Received: "
            f"{preset!r}, which holds none. Pass a folder written by "
            "`save_to_preset`."
        )
    return preset
