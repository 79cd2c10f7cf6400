"""Small checked steps of reading what others wrote."""

import json
import os

# What `save_to_preset(max_shard_size=)` writes in place of one file.
SHARD_INDEX = "model.weights.json"


def read_json(path):
    """Reads a JSON file that holds one object.

    Raises:
        ValueError: if it does not.
    """
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path!r} must be JSON. It is not: {error}."
        ) from error
    if not isinstance(value, dict):
        raise ValueError(
            f"{path!r} must hold a JSON object. It holds a "
            f"{type(value).__name__}."
        )
    return value


def file_in_folder(folder, name, named_in):
    """The path of a file that another file of the folder names.

    Raises:
        ValueError: if the name leads out of the folder, or there is no such
            file.
    """
    if os.path.basename(name) != name or name in ("", ".", ".."):
        raise ValueError(
            "A checkpoint's files must lie in its folder. "
            f"{named_in!r} names {name!r}. Nothing was loaded."
        )
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise ValueError(
            "Each file of a checkpoint must be there. "
            f"{named_in!r} names {name!r}, which {folder!r} lacks. Nothing "
            "was loaded."
        )
    return path


def check_shards(folder):
    """Checks the names of Keras's sharded weights, where there are some.

    Args:
        folder: string, a preset's path.

    Returns:
        The path of the index, or `None` if the folder holds none.

    Raises:
        ValueError: if a name leads out of the folder, or a file is missing.
    """
    index = os.path.join(folder, SHARD_INDEX)
    if not os.path.isfile(index):
        return None
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise ValueError(f"{index!r} must have a `weight_map`. It has none.")
    for value in weight_map.values():
        for name in value if isinstance(value, list) else [value]:
            file_in_folder(folder, str(name), index)
    return index


def integer(config, key, default, path):
    """A positive whole number of a configuration."""
    value = config.get(key, default)
    if type(value) is not int or value < 1:
        raise ValueError(
            f"`{key}` must be a positive whole number. {path!r} says "
            f"{value!r:.80}."
        )
    return value


def number(config, key, default, path):
    """A rate or an epsilon of a configuration."""
    value = config.get(key, default)
    if type(value) not in (int, float) or not 0.0 <= value < 1.0:
        raise ValueError(
            f"`{key}` must be a number from 0 on and below 1. {path!r} says "
            f"{value!r:.80}."
        )
    return float(value)


def flag(config, key, default, path):
    """A yes or no of a configuration."""
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise ValueError(
            f"`{key}` must be true or false. {path!r} says {value!r:.80}."
        )
    return value
