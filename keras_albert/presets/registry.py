"""The names that `from_preset` knows, and where their files are."""

import os

from keras_albert.checkpoints import google, keras_hub

_PRESETS_FOLDER = os.path.dirname(os.path.abspath(__file__))

BUNDLED_PRESETS = {
    "albert_tiny_en": {
        "description": (
            "4 layers, 2 million parameters, English, lower case. Bundled "
            "with the package; pretrained on public-domain books and speeches "
            "(its README.md is the model card)."
        ),
        "path": os.path.join(_PRESETS_FOLDER, "albert_tiny_en"),
    },
}


HUGGING_FACE_SCHEME = "hf://"
# What models and tokenizers are made of, here and there. No pickles but
# `pytorch_model.bin`, which is read as weights only.
_WANTED_FILES = (
    "*.json",
    "*.safetensors",
    "*.weights.h5",
    "pytorch_model*.bin",
    "spiece.model",
    "vocab.txt",
    "assets/**",
)
_UNWANTED_FILES = ("onnx/*", "openvino/*", "checkpoint-*/*", "runs/*")


def local_preset_folder(preset):
    """The local folder of a preset, downloaded if need be.

    Args:
        preset: string or path: a bundled name, a name of KerasHub's,
            `hf://owner/name`, or a folder.

    Returns:
        string, the path of an existing folder.

    Raises:
        ValueError: if there is no such preset.
        OSError: if it cannot be downloaded.
    """
    preset = os.fspath(preset)
    if preset in BUNDLED_PRESETS:
        return BUNDLED_PRESETS[preset]["path"]
    if preset.startswith(HUGGING_FACE_SCHEME):
        return _from_hugging_face(preset)
    if os.path.isdir(preset):
        return _checked_folder(preset)
    if preset in keras_hub.PRESETS:
        return _from_keras_hub(preset)
    known = ", ".join(sorted([*BUNDLED_PRESETS, *keras_hub.PRESETS]))
    raise ValueError(
        "A preset must be a name, `hf://owner/name`, or a folder. Received: "
        f"{preset!r}, which is none of them. Names: {known}."
    )


def _checked_folder(folder):
    # A tokenizer may have been saved alone.
    for name in ("config.json", "tokenizer.json", google.CONFIG_FILE):
        if os.path.isfile(os.path.join(folder, name)):
            return folder
    raise ValueError(
        f"A preset folder must hold a `config.json`. Received: {folder!r}, "
        "which holds none. Pass a folder written by `save_to_preset`, by "
        "Hugging Face's `save_pretrained`, or one with Google's "
        f"`{google.CONFIG_FILE}`."
    )


def _from_hugging_face(preset):
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{preset!r} needs the package huggingface-hub: "
            'pip install "keras-albert[hf]".'
        ) from error
    name = preset.removeprefix(HUGGING_FACE_SCHEME)
    if name.count("/") != 1 or not all(name.split("/")):
        raise ValueError(
            "A model of Hugging Face must be given as `hf://owner/name`. "
            f"Received: {preset!r}."
        )
    try:
        folder = huggingface_hub.snapshot_download(
            repo_id=name,
            allow_patterns=list(_WANTED_FILES),
            ignore_patterns=list(_UNWANTED_FILES),
        )
    except Exception as error:
        # Its errors, and those of the network below, have no common class.
        raise _not_downloaded(preset, error) from error
    return _checked_folder(folder)


def _from_keras_hub(preset):
    import kagglehub
    import keras_nlp

    handle = keras_nlp.models.AlbertBackbone.presets[preset]["kaggle_handle"]
    try:
        folder = kagglehub.model_download(handle.removeprefix("kaggle://"))
    except Exception as error:
        # As above.
        raise _not_downloaded(preset, error) from error
    return _checked_folder(folder)


def _not_downloaded(preset, error):
    reason = " ".join(str(error).split()) or type(error).__name__
    return OSError(
        f"Could not download {preset!r}: {reason:.200}. Is there a network? "
        "A folder that was downloaded before can be given by its path."
    )
