"""Digests of data, by which a resumed run knows its own."""

import dataclasses
import hashlib
import json

import numpy as np


def fingerprint(data):
    """Digest of what data holds.

    Args:
        data: numbers, strings, `None`, arrays, and lists, tuples,
            dictionaries and dataclasses of these; or an object with a method
            `fingerprint()`, which is asked.

    Returns:
        string, 16 hexadecimal characters.
    """
    digest = hashlib.sha256()
    _update(digest, data)
    return digest.hexdigest()[:16]


def _update(digest, data):
    if hasattr(data, "fingerprint"):
        digest.update(data.fingerprint().encode())
    elif isinstance(data, np.ndarray):
        digest.update(str((data.dtype, data.shape)).encode())
        digest.update(np.ascontiguousarray(data).tobytes())
    elif dataclasses.is_dataclass(data):
        _update(
            digest, [getattr(data, x.name) for x in dataclasses.fields(data)]
        )
    elif isinstance(data, dict):
        _update(digest, [part for item in data.items() for part in item])
    elif isinstance(data, (list, tuple)) and not _is_plain(data):
        digest.update(str(len(data)).encode())
        for part in data:
            _update(digest, part)
    else:
        data = data.item() if isinstance(data, np.generic) else data
        digest.update(json.dumps(data).encode())


def _is_plain(items):
    """Whether JSON has all of it: much faster than an item at a time."""
    return all(
        _is_plain(x)
        if isinstance(x, (list, tuple))
        else isinstance(x, (str, int, float, type(None)))
        for x in items
    )
