"""Folders that are either written whole or not at all."""

import contextlib
import errno
import os
import shutil
import tempfile

_FOLDERS_BEING_WRITTEN: set[str] = set()


@contextlib.contextmanager
def whole_folder(path, replaces=(), needs=0):
    """Writes a folder under another name, and renames it when it is whole.

    What the folder held before stays, except for the names in `replaces`.
    When anything fails the folder is left as it was. Nested calls for the
    same folder write into the outer call's.

    Args:
        path: string or path, the folder to write.
        replaces: names in the folder that are not kept from before.
        needs: int, the bytes that there must be room for. HDF5 crashes the
            process when a disk is full, so a folder of weights asks before.

    Yields:
        string, the folder to write to.

    Raises:
        ValueError: if the path is empty.
        OSError: if the folder cannot be written.
    """
    path = _resolved(path)
    if path in _FOLDERS_BEING_WRITTEN:
        yield path
        return
    check_replaceable(path)
    try:
        parent = os.path.dirname(path)
        os.makedirs(parent, exist_ok=True)
        temporary = tempfile.mkdtemp(
            prefix=f".{os.path.basename(path)}.", suffix=".partial", dir=parent
        )
    except OSError as error:
        raise _not_written(path, error) from error
    _FOLDERS_BEING_WRITTEN.add(temporary)
    try:
        os.chmod(temporary, 0o777 & ~_umask())
        if os.path.isdir(path):
            _copy_except(path, temporary, replaces)
        _check_room(temporary, needs)
        yield temporary
        _put_in_place(temporary, path)
    except (OSError, RuntimeError) as error:
        # HDF5 reports a full disk as a RuntimeError.
        raise _not_written(path, error) from error
    finally:
        _FOLDERS_BEING_WRITTEN.discard(temporary)
        shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(path):
    """Raises unless a folder can be written, and replaced as a whole.

    Args:
        path: string or path, the folder to write.

    Raises:
        ValueError: if it is empty.
        OSError: if there is a file, or if the process works in the folder.
    """
    path = _resolved(path)
    if os.path.exists(path) and not os.path.isdir(path):
        raise NotADirectoryError(
            f"The output must be a folder. Received: {path!r}, which is a "
            "file. Choose another name."
        )
    here = os.path.realpath(os.getcwd())
    if os.path.join(here, "").startswith(os.path.join(path, "")):
        raise OSError(
            "The output must not be the working folder, nor one above it: it "
            f"is replaced as a whole. Received: {path!r}; name a folder in it."
        )


@contextlib.contextmanager
def whole_file(path):
    """Writes a file under another name, and renames it when it is whole.

    What is no regular file, such as `/dev/stdout`, is written to as it is.

    Args:
        path: string or path, the file to write.

    Yields:
        string, the path to write to.

    Raises:
        OSError: if the file cannot be written.
    """
    given, path = path, _resolved(path)
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"The output must be a file. Received: {path!r}, which is a "
            "folder. Name a file in it."
        )
    is_special = os.path.exists(given) and not os.path.isfile(given)
    partial = f"{path}.{os.getpid()}.partial"
    try:
        if is_special:
            yield os.fspath(given)
            return
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise OSError(
            f"Could not write {path!r}: {error.strerror or error}. Its folder "
            "must be there and writable, and its disk have room."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(partial)


def clear_leftovers(path):
    """Removes what a process that was killed left beside a file or folder.

    A folder that was about to be replaced is put back. Only for whoever is
    alone in writing there.

    Args:
        path: string or path, of `whole_folder` or `whole_file`.
    """
    path = _resolved(path)
    parent, name = os.path.split(path)
    for entry in os.listdir(parent):
        leftover = os.path.join(parent, entry)
        if entry.startswith(f"{name}.") and entry.endswith(".partial"):
            os.remove(leftover)
        elif entry.startswith(f".{name}."):
            if entry.endswith(".former") and not os.path.exists(path):
                os.rename(leftover, path)
            elif entry.endswith((".former", ".partial")):
                shutil.rmtree(leftover)


def _resolved(path):
    """A path without links, so that what they lead to is written."""
    if not os.fspath(path):
        raise ValueError(
            "The output must be a path. Received an empty one; name it."
        )
    return os.path.realpath(path)


def _not_written(path, error):
    reason = getattr(error, "strerror", None) or error
    return OSError(
        f"Could not write {path!r}: {reason}. The folder must be writable and "
        "its disk have room; what was there before is unchanged."
    )


def _check_room(folder, needs):
    if not needs:
        return
    if not hasattr(os, "posix_fallocate"):
        if shutil.disk_usage(folder).free < needs:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return
    # Free space says nothing of a user's quota.
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, needs)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _copy_except(source, target, names):
    for name in os.listdir(source):
        if name in names:
            continue
        entry = os.path.join(source, name)
        if os.path.isdir(entry):
            shutil.copytree(entry, os.path.join(target, name), symlinks=True)
        else:
            shutil.copy2(entry, target, follow_symlinks=False)


def _put_in_place(temporary, path):
    if not os.path.isdir(path):
        os.rename(temporary, path)
        return
    former = tempfile.mkdtemp(
        prefix=f".{os.path.basename(path)}.",
        suffix=".former",
        dir=os.path.dirname(path),
    )
    os.rmdir(former)
    os.rename(path, former)
    try:
        os.rename(temporary, path)
    except OSError:
        os.rename(former, path)
        raise
    shutil.rmtree(former, ignore_errors=True)
