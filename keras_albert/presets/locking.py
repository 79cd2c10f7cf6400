"""The lock of a folder that one process at a time writes to."""

import contextlib
import os

LOCK_FILE = ".lock"


@contextlib.contextmanager
def locked_folder(path):
    """Makes a folder and holds its lock; the system releases it at the end.

    Whatever the end is: a process that is killed holds no lock.

    Args:
        path: string or path.

    Yields:
        string, the absolute path.

    Raises:
        ValueError: if the path is empty.
        OSError: if the folder cannot be written, or another run holds the
            lock.
    """
    if not os.fspath(path):
        raise ValueError(
            "The output must be a folder. Received an empty path; name it."
        )
    path = os.path.abspath(os.fspath(path))
    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(path, exist_ok=True)
            file = stack.enter_context(
                open(os.path.join(path, LOCK_FILE), "a+b")
            )
        except OSError as error:
            raise OSError(
                f"The output folder must be writable. {path} is not: "
                f"{error.strerror}. Choose another one."
            ) from error
        if not _try_lock(file):
            raise OSError(
                "One run at a time may write to a folder. Another one is "
                f"writing to {path}; wait for it, stop it, or choose another "
                "folder."
            )
        yield path


def _try_lock(file):
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
