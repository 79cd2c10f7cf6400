"""Folders of other libraries, told apart and read."""

from keras_albert.checkpoints import (
    google,
    huggingface,
    huggingface_tokenizer,
    keras_hub,
)


def _format_of(folder):
    """The modules that read a folder's model and tokenizer; `None` if ours."""
    if google.is_google(folder):
        return google, google
    if keras_hub.is_keras_hub(folder):
        return keras_hub, keras_hub
    if huggingface.is_huggingface(folder):
        return huggingface, huggingface_tokenizer
    return None


def is_foreign(folder):
    """Whether a folder was written by another library.

    Raises:
        ValueError: if its `config.json` is no JSON object.
    """
    return _format_of(folder) is not None


def open_checkpoint(folder, load_weights=True):
    """Reads and checks another library's folder.

    Args:
        folder: string, its path.
        load_weights: bool. `False` reads the configuration only.

    Returns:
        A `Checkpoint`.

    Raises:
        ValueError: if anything in it does not fit.
    """
    return _format_of(folder)[0].read(folder, load_weights=load_weights)


def open_tokenizer(folder):
    """The arguments of `AlbertTokenizer` for another library's folder.

    Returns:
        dictionary, or `None` if the folder holds no vocabulary.

    Raises:
        ValueError: if the vocabulary is of another kind, or damaged.
    """
    return _format_of(folder)[1].read_tokenizer(folder)
