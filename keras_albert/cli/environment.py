"""What the command line needs of its surroundings: a backend, a stdout."""

import importlib.util
import os
import sys

# Each with the extra that installs it; the others come with the package.
_BACKENDS = {
    "tensorflow": None,
    "jax": "keras-albert[jax]",
    "torch": "keras-albert[torch]",
    "numpy": None,
    "openvino": "openvino",
}


def check_backend():
    """Checks `KERAS_BACKEND`, before Keras stumbles over it.

    Raises:
        ValueError: if there is no such backend.
        ImportError: if it is not installed.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in _BACKENDS:
        raise ValueError(
            f"KERAS_BACKEND must be one of {', '.join(_BACKENDS)}. Received: "
            f"{backend!r}."
        )
    if importlib.util.find_spec(backend) is None:
        raise ImportError(
            f"KERAS_BACKEND={backend} needs the package {backend}: "
            f'pip install "{_BACKENDS[backend] or backend}".'
        )


def print_any_text():
    """Lets stdout escape what its encoding lacks, as stderr does."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def flush_results():
    """Writes out what was printed.

    Raises:
        OSError: if stdout takes no more.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_results()
        raise OSError(
            f"Could not write the results to stdout: {error.strerror}. Send "
            "them elsewhere."
        ) from error


def drop_results():
    """Lets go of what stdout did not take, or Python tries again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
