"""The metadata by which MediaPipe and the Task Library read a LiteRT file.

A flatbuffer in the file says what its inputs and outputs are; the files that
it names, labels and vocabulary, are appended to it as a ZIP archive. The
tables are those of `metadata_schema.fbs` in MediaPipe and TFLite Support.
They are written here because MediaPipe's own writer needs a native module
that its wheel does not hold, and brings OpenCV along.
"""

import io
import zipfile

import flatbuffers
import numpy as np

from keras_albert.export import flatbuffer

METADATA_NAME = "TFLITE_METADATA"
VOCABULARY_FILE = "spiece.model"
LABELS_FILE = "labels.txt"
# By these names MediaPipe finds the inputs; the Task Library takes them in
# the order of the file, which is this one.
INPUTS = (
    ("ids", "Token ids of the text, [CLS] text [SEP], padded with zeros."),
    ("segment_ids", "0 for the first text, 1 for the second."),
    ("mask", "1 for tokens, 0 for padding."),
)
# The name of an output where these libraries have one of their own.
OUTPUT_NAMES = {"probabilities": "probability"}

# `AssociatedFileType` of the schema.
_TENSOR_AXIS_LABELS = 2
_VOCABULARY = 5
# Places in the unions `ContentProperties` and `ProcessUnitOptions`.
_FEATURE_PROPERTIES = 1
_SENTENCE_PIECE_TOKENIZER = 5
# The version of the schema that added SentencePiece.
_PARSER_VERSION = "1.1.0"

# Fields of the tables in order, up to the last one that is used here.
_FIELDS = {
    "ModelMetadata": (
        "name description version subgraph_metadata author license "
        "associated_files min_parser_version"
    ),
    "SubGraphMetadata": (
        "name description input_tensor_metadata output_tensor_metadata "
        "associated_files input_process_units"
    ),
    "TensorMetadata": (
        "name description dimension_names content process_units stats "
        "associated_files"
    ),
    "Content": "content_properties_type content_properties",
    "FeatureProperties": "",
    "ProcessUnit": "options_type options",
    "SentencePieceTokenizerOptions": "sentence_piece_model",
    "AssociatedFile": "name description type",
}


def add_tasks_metadata(content, *, name, outputs, vocabulary, labels=None):
    """Makes a LiteRT file one that MediaPipe and the Task Library load.

    Args:
        content: bytes of a `.tflite` file with the inputs `token_ids`,
            `segment_ids` and `padding_mask`, in this order.
        name: string, the name of the model.
        outputs: list of strings, the names of the outputs in order.
        vocabulary: bytes, the serialized SentencePiece model, folded.
        labels: optional list of strings, the names of the classes along the
            last axis of the only output.

    Returns:
        bytes of the file with metadata and files appended. Runtimes that
        know nothing of these read it as before.

    Raises:
        ValueError: if a label holds a line break.
    """
    files = {VOCABULARY_FILE: vocabulary}
    if labels:
        for label in labels:
            if len(label.splitlines()) > 1:
                raise ValueError(
                    "Labels must be of one line each, to go into a file of "
                    f"labels. Received: {label!r}."
                )
        files[LABELS_FILE] = "\n".join(labels).encode() + b"\n"
    metadata = _metadata(name, outputs, labels)
    return _append_files(_with_metadata(content, metadata), files)


def _metadata(name, outputs, labels):
    """The flatbuffer of the metadata."""
    label_files = [
        {
            ".": "AssociatedFile",
            "name": LABELS_FILE,
            "description": "Names of the classes, one a line.",
            "type": _TENSOR_AXIS_LABELS,
        }
    ]
    tokenizer = {
        ".": "ProcessUnit",
        "options_type": _SENTENCE_PIECE_TOKENIZER,
        "options": {
            ".": "SentencePieceTokenizerOptions",
            "sentence_piece_model": [
                {
                    ".": "AssociatedFile",
                    "name": VOCABULARY_FILE,
                    "description": "SentencePiece model that folds case.",
                    "type": _VOCABULARY,
                }
            ],
        },
    }
    subgraph = {
        ".": "SubGraphMetadata",
        "input_tensor_metadata": [_tensor(*row) for row in INPUTS],
        "output_tensor_metadata": [
            _tensor(
                OUTPUT_NAMES.get(output, output),
                f"The output {output}.",
                label_files if labels else None,
            )
            for output in outputs
        ],
        "input_process_units": [tokenizer],
    }
    builder = flatbuffers.Builder(1024)
    root = _write(
        builder,
        {
            ".": "ModelMetadata",
            "name": name,
            "description": "ALBERT with SentencePiece, by keras_albert.",
            "subgraph_metadata": [subgraph],
            "min_parser_version": _PARSER_VERSION,
        },
    )
    builder.Finish(root, file_identifier=b"M001")
    return bytes(builder.Output())


def _tensor(name, description, files=None):
    return {
        ".": "TensorMetadata",
        "name": name,
        "description": description,
        "content": {
            ".": "Content",
            "content_properties_type": _FEATURE_PROPERTIES,
            "content_properties": {".": "FeatureProperties"},
        },
        "associated_files": files,
    }


def _write(builder, table):
    """Writes a table, what it points to first, and returns its place."""
    fields = _FIELDS[table["."]].split()
    written = {}
    for field in fields:
        value = table.get(field)
        if value is None or isinstance(value, int):
            written[field] = value
        elif isinstance(value, str):
            written[field] = builder.CreateString(value)
        elif isinstance(value, list):
            places = [_write(builder, entry) for entry in value]
            builder.StartVector(4, len(places), 4)
            for place in reversed(places):
                builder.PrependUOffsetTRelative(place)
            written[field] = builder.EndVector()
        else:
            written[field] = _write(builder, value)
    builder.StartObject(len(fields))
    for slot, field in enumerate(fields):
        value = written[field]
        if value is None:
            continue
        if isinstance(table[field], int):
            builder.PrependUint8Slot(slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return builder.EndObject()


def _with_metadata(content, metadata):
    from tensorflow.lite.python import schema_py_generated as schema

    model = flatbuffer.unpack(content)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(metadata, dtype=np.uint8)
    entry = schema.MetadataT()
    entry.name = METADATA_NAME
    entry.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return flatbuffer.pack(model)


def _append_files(content, files):
    """Appends files as a ZIP archive, not compressed: they are mapped."""
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            # Without a date, so that the same model gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()
