"""LiteRT files as objects and back, with TensorFlow's generated schema."""

import flatbuffers
import numpy as np


def unpack(content):
    """Reads a file into the objects of the schema.

    Args:
        content: bytes of a `.tflite` file.

    Returns:
        `ModelT` of TensorFlow's schema. All weights are inside of it: a
        file may keep them behind the flatbuffer, which older runtimes do
        not know and a ZIP archive at the end would hide.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(
                content, np.uint8, buffer.size, buffer.offset
            )
        buffer.offset = buffer.size = 0
    return model


def pack(model):
    """Writes the objects of the schema as a file.

    Args:
        model: see `unpack`.

    Returns:
        bytes.
    """
    size = sum(len(b.data) for b in model.buffers if b.data is not None)
    builder = _AligningBuilder(size + 65536)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _AligningBuilder(flatbuffers.Builder):
    """Puts bytes where the schema wants them, at multiples of 16.

    The generated Python code does not, and runtimes read the weights in
    place.
    """

    def CreateNumpyVector(self, x):  # noqa: N802  The base class's name.
        if x.itemsize != 1:
            return super().CreateNumpyVector(x)
        data = x.tobytes()
        self.StartVector(1, len(data), 16)
        self.head -= len(data)
        self.Bytes[self.head : self.head + len(data)] = data
        return self.EndVector()
