"""One model in every format, side by side."""

import os
from collections.abc import Callable

from keras_albert.export.litert import to_litert
from keras_albert.export.onnx import to_onnx
from keras_albert.export.saved_model import to_saved_model
from keras_albert.export.verify import verify

# name, file, writer, its options
FORMATS: tuple[tuple[str, str, Callable[..., str], dict], ...] = (
    ("litert", "model.tflite", to_litert, {}),
    ("litert int8", "model_int8.tflite", to_litert, {"quantization": "int8"}),
    ("onnx", "model.onnx", to_onnx, {}),
    ("saved_model", "saved_model", to_saved_model, {}),
)


def export_all(model, output_dir, examples=None, formats=FORMATS):
    """Writes a model in several formats and runs each in its own runtime.

    Args:
        model: a preset folder, see `keras_albert.export.verify`.
        output_dir: string or path, a folder.
        examples: list of texts to compare on, see `verify`.
        formats: rows as in `FORMATS`.

    Yields:
        for each format a dictionary: `"format"`, `"path"`, `"bytes"`,
        `"max_abs_diff"` and `"label_agreement"` against the model,
        `"latency_ms"`, the median.

    Raises:
        VerificationError: if a file does not compute what the model does.
    """
    for name, file, write, options in formats:
        path = os.path.join(output_dir, file)
        write(model, path, **options)
        report = verify(model, path, examples)
        yield {
            "format": name,
            "path": path,
            "bytes": report.bytes,
            "max_abs_diff": report.max_abs_diff,
            "label_agreement": report.label_agreement,
            "latency_ms": report.latency["median_ms"],
        }
