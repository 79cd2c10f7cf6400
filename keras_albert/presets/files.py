"""The JSON files of a preset folder, read and checked."""

import contextlib
import os
import warnings

from keras_albert.checkpoints.reading import read_json

# What an object of a preset may be made of; Keras calls functions "builtins".
_TRUSTED_PACKAGES = ("keras", "keras_albert", "keras_hub", "keras_nlp")
_TRUSTED_MODULES = (*_TRUSTED_PACKAGES, "builtins")


def read_preset_json(folder, name):
    """Reads a JSON file of a preset folder; `None` if it is not there.

    Raises:
        ValueError: if the file is no JSON object, names a class from outside
            Keras, KerasHub and this package, or lacks the configuration of
            the one that it names.
    """
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return None
    config = read_json(path)
    _check_classes(config, path)
    if "registered_name" in config and not (
        isinstance(config["registered_name"], str)
        and isinstance(config.get("config"), dict)
    ):
        raise ValueError(
            f"{path!r} must hold the name of a class and its `config`. It "
            "does not; save the preset anew."
        )
    return config


def check_not_replaced(folder, before):
    """Raises ValueError if a folder was saved anew while it was read.

    What was read may then be the weights of one and the labels of the other.

    Args:
        folder: string, its path.
        before: what `os.stat` said of it before.
    """
    if not os.path.exists(folder) or not os.path.samestat(
        before, os.stat(folder)
    ):
        raise ValueError(
            f"A preset must not be replaced while it is read. {folder!r} was; "
            "load it again."
        )


@contextlib.contextmanager
def damage_named(path, expected):
    """Names the file of a preset when it is not what it should be.

    What Keras, HDF5 and SentencePiece raise on damaged files has no common
    class, and tells neither the file nor what to do.

    Args:
        path: string, the file.
        expected: string, what it should hold.

    Raises:
        ValueError: instead of what is raised within.
    """
    try:
        with warnings.catch_warnings():
            # Keras leaves some layers as they are, with a warning.
            warnings.filterwarnings("error", "Skipping", UserWarning)
            yield
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        UserWarning,
    ) as error:
        raise ValueError(
            f"{path!r} must hold {expected}. It does not: {_reason(error)} "
            "Save the preset anew, or correct the arguments given with it."
        ) from error


def _reason(error):
    # Keras puts a page of advice around what a constructor raised.
    while isinstance(error, TypeError) and error.__context__ is not None:
        error = error.__context__
    reason = " ".join(str(error).split())
    if isinstance(error, KeyError):
        reason = f"{reason} is missing"
    if len(reason) > 300:
        reason = f"{reason[:300]} …"
    return reason if reason.endswith((".", "…")) else f"{reason}."


def _check_classes(config, path):
    if isinstance(config, dict):
        module = config.get("module")
        registered = config.get("registered_name")
        wrong = None
        if isinstance(module, str):
            wrong = module.split(".")[0] not in _TRUSTED_MODULES and module
        if not wrong and isinstance(registered, str) and ">" in registered:
            package = registered.split(">")[0]
            wrong = package not in _TRUSTED_PACKAGES and registered
        if wrong:
            raise ValueError(
                "A preset may only name classes of "
                f"{', '.join(_TRUSTED_PACKAGES)}. {path!r} names "
                f"{wrong!r}. Nothing was loaded."
            )
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            _check_classes(value, path)
