"""Files for devices and servers, and the proof that they compute the same."""

from keras_albert.export.bundle import to_bundle
from keras_albert.export.gate import export_model
from keras_albert.export.litert import to_litert
from keras_albert.export.onnx import to_onnx
from keras_albert.export.report import Report, VerificationError
from keras_albert.export.saved_model import to_saved_model
from keras_albert.export.verify import verify
from keras_albert.export.web_page import to_web

__all__ = [
    "Report",
    "VerificationError",
    "export_model",
    "to_bundle",
    "to_litert",
    "to_onnx",
    "to_saved_model",
    "to_web",
    "verify",
]
