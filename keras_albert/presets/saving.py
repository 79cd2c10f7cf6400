"""Folders that are either written whole or not at all."""

import contextlib
import os
import shutil
import tempfile

_FOLDERS_BEING_WRITTEN: set[str] = set()


@contextlib.contextmanager
def whole_folder(path, replaces=()):
    """Writes a folder under another name, and renames it when it is whole.

    What the folder held before stays, except for the names in `replaces`.
    When anything fails the folder is left as it was. Nested calls for the
    same folder write into the outer call's.

    Args:
        path: string or path, the folder to write.
        replaces: names in the folder that are not kept from before.

    Yields:
        string, the folder to write to.

    Raises:
        OSError: if the folder cannot be written.
    """
    path = os.path.abspath(os.fspath(path))
    if path in _FOLDERS_BEING_WRITTEN:
        yield path
        return
    if os.path.exists(path) and not os.path.isdir(path):
        raise NotADirectoryError(
            f"The output must be a folder. Received: {path!r}, which is a "
            "file. Choose another name."
        )
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
        yield temporary
        _put_in_place(temporary, path)
    except (OSError, RuntimeError) as error:
        # HDF5 reports a full disk as a RuntimeError.
        raise _not_written(path, error) from error
    finally:
        _FOLDERS_BEING_WRITTEN.discard(temporary)
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def whole_file(path):
    """Writes a file under another name, and renames it when it is whole.

    Args:
        path: string or path, the file to write.

    Yields:
        string, the path to write to.

    Raises:
        OSError: if the file cannot be written.
    """
    path = os.path.abspath(os.fspath(path))
    partial = f"{path}.partial"
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise OSError(
            f"Could not write {path!r}: {error}. Its folder must be there "
            "and writable, and its disk have room."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(partial)


def _not_written(path, error):
    return OSError(
        f"Could not write {path!r}: {error}. The folder must be writable and "
        "its disk have room; what was there before is unchanged."
    )


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
