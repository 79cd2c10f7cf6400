"""Files for devices and servers, and the proof that they compute the same."""

from keras_albert.export.litert import to_litert
from keras_albert.export.verify import VerificationError, verify

__all__ = ["VerificationError", "to_litert", "verify"]
