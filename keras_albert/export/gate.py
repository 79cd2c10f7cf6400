"""Files that get their name only after they have passed."""

import contextlib
import os
import shutil
import tempfile

import keras

from keras_albert.export import litert, onnx
from keras_albert.export.arguments import check_max_drop
from keras_albert.export.artifacts import SUFFIXES
from keras_albert.export.litert import check_writable, to_litert
from keras_albert.export.onnx import to_onnx
from keras_albert.export.report import (
    Report,
    VerificationError,
    tried_table,
)
from keras_albert.export.saved_model import to_saved_model
from keras_albert.export.tensorflow_process import is_plain_tensorflow
from keras_albert.export.verify import Reference
from keras_albert.presets.saving import check_replaceable, whole_folder

WRITERS = {
    "litert": to_litert,
    "onnx": to_onnx,
    "saved_model": to_saved_model,
}
# From the smallest file up.
_BY_SIZE = ("int4", "int8", "float16", None)
AUTO = "auto"


def export_model(
    model: keras.Model | str | os.PathLike,
    path: str | os.PathLike,
    *,
    to: str = "litert",
    examples: list | None = None,
    targets=None,
    max_drop: float | None = None,
    **options,
) -> Report:
    """Exports a model, and keeps the file only if it passes `verify`.

    The file is written under another name beside `path` and renamed when it
    has passed; until then what was at `path` stays.

    Args:
        model: a task, an `AlbertBackbone`, or a preset of one of them.
        path: string or path of the file, which ends in `.tflite` or
            `.onnx`, or of a SavedModel's folder.
        to: `"litert"`, `"onnx"` or `"saved_model"`.
        examples: see `verify`.
        targets: see `verify`.
        max_drop: see `verify`.
        **options: of `to_litert` or `to_onnx`. `quantization="auto"` tries
            what the format has, from the smallest file up, and keeps the
            first that holds the metric; `targets` must be given.

    Returns:
        The `Report` of the file that was kept; with `"auto"` its `tried`
        lists what was tried.

    Raises:
        VerificationError: if the file, or none of the files, passes.
        ValueError: if an argument or the model does not allow the export.
        OSError: if the file cannot be written.
        RuntimeError: if the conversion fails.
    """
    if to not in WRITERS:
        raise ValueError(
            f"`to` must be one of {', '.join(map(repr, WRITERS))}. Received: "
            f"{to!r}."
        )
    check_output(path, to)
    check_max_drop(max_drop, targets)
    path = os.path.abspath(os.fspath(path))
    quantizations = [options.pop("quantization", None)]
    is_auto = quantizations == [AUTO]
    if is_auto:
        quantizations = _candidates(to, targets)
    reference = Reference(model, examples, targets)
    source = model
    if is_plain_tensorflow(reference.model):
        # It is loaded already: no other process must do it again.
        source = reference.model
    length = options.get("sequence_length")
    tried: list[dict] = []
    report = None
    for quantization in quantizations:
        if quantization is not None:
            options["quantization"] = quantization
        else:
            options.pop("quantization", None)
        with _beside(path, to) as temporary:
            WRITERS[to](source, temporary, **options)
            try:
                report = _check(reference, temporary, path, max_drop, length)
            except VerificationError as error:
                if not is_auto:
                    raise
                tried.append(_failed_row(quantization, error))
                continue
            if is_auto:
                tried.append(_row(quantization, report))
                report.tried = tried
            if report.passed:
                _put(temporary, path, to)
                return report
    raise VerificationError(_message(path, report, tried), report)


def _candidates(to, targets):
    if to not in ("litert", "onnx"):
        raise ValueError(
            "`quantization='auto'` must come with a format that has several. "
            f"Received: to={to!r}."
        )
    if targets is None:
        raise ValueError(
            "`quantization='auto'` needs labelled examples, to measure what "
            "each costs. Pass `examples` and `targets` (`--data` with "
            "`--text-column` and `--label-column`)."
        )
    available = {"litert": litert, "onnx": onnx}[to].QUANTIZATIONS
    return [name for name in _BY_SIZE if name in available]


def _check(reference, temporary, path, max_drop, length):
    """The report; the file is called what it is going to be called."""
    try:
        report = reference.check(temporary, max_drop, length)
    except VerificationError as error:
        message = str(error).replace(repr(temporary), repr(path))
        raise VerificationError(message, error.report) from error
    report.artifact = path
    return report


def _row(quantization, report):
    return {
        "quantization": quantization,
        "bytes": report.bytes,
        "metric": report.metric,
        "passed": report.passed,
        "failures": list(report.failures),
    }


def _failed_row(quantization, error):
    return {
        "quantization": quantization,
        "bytes": None,
        "metric": None,
        "passed": False,
        "failures": [str(error)],
    }


def _message(path, report, tried):
    if tried:
        return (
            f"No quantization holds the metric, so {path!r} was not written:\n"
            + tried_table(tried)
        )
    return (
        f"{path!r} was not written, since the file does not compute what the "
        "model computes: " + " ".join(report.failures)
    )


def check_output(path: str | os.PathLike, to: str) -> None:
    """Raises unless a file or folder of a format can be written at a path.

    Args:
        path: string or path.
        to: string, a key of `WRITERS`.

    Raises:
        ValueError: if the path is not what the format's files are called.
        OSError: if it cannot be written.
    """
    path = os.fspath(path)
    if to == "saved_model":
        check_replaceable(path)
        return
    check_writable(path)
    if not path.endswith(SUFFIXES[to]):
        raise ValueError(
            f"The output's name must end in `{SUFFIXES[to]}`, which tells its "
            f"format. Received: {path!r}."
        )


@contextlib.contextmanager
def _beside(path, to):
    """A place on the same disk, gone afterwards."""
    parent = os.path.dirname(path)
    if to == "saved_model":
        os.makedirs(parent, exist_ok=True)
    folder = tempfile.mkdtemp(
        prefix=f".{os.path.basename(path)}.", suffix=".partial", dir=parent
    )
    try:
        yield os.path.join(folder, f"model{SUFFIXES[to]}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(temporary, path, to):
    if to != "saved_model":
        os.replace(temporary, path)
        return
    with whole_folder(path, replaces=os.listdir(temporary)) as folder:
        shutil.copytree(temporary, folder, dirs_exist_ok=True)
