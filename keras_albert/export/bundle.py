"""All that a device needs of a model, in one folder."""

import hashlib
import importlib.metadata
import json
import os
import shutil

import keras

from keras_albert.export.artifacts import artifact_format
from keras_albert.export.device_vocabulary import device_vocabulary
from keras_albert.export.inspection import describe_litert
from keras_albert.export.verify import verify
from keras_albert.presets.saving import whole_folder
from keras_albert.tasks.loading import load_preset
from keras_albert.version import __version__

MANIFEST_FILE = "manifest.json"
VOCABULARY_FILE = "vocabulary.bin"
LABELS_FILE = "labels.txt"
ARTIFACT_FILES = {"litert": "model.tflite", "onnx": "model.onnx"}
MANIFEST_VERSION = 1
_VERSIONS_OF = ("keras", "keras-nlp", "tensorflow", "sentencepiece")


def to_bundle(
    model: keras.Model | str | os.PathLike,
    artifact: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    report=None,
) -> dict:
    """Writes an exported file with all that a device needs beside it.

    The folder holds `model.tflite` or `model.onnx`; `vocabulary.bin`, which
    the tokenizers in `export/android/` and `export/web/` read;
    `labels.txt`, a label a line in the order of the outputs, when the model
    has labels; and `manifest.json`. It is written whole or not at all.

    Args:
        model: the task that was exported, or its preset.
        artifact: string or path of the `.tflite` or `.onnx` file.
        folder: string or path of the folder.
        report: the `Report` of `verify` on the artifact; `None` measures
            it now.

    Returns:
        The content of `manifest.json`, a dictionary.

    Raises:
        ValueError: if the model has no tokenizer, a tokenizer that devices
            cannot have, or labels of several lines; or if the artifact is of
            another format.
        VerificationError: if the artifact does not compute what the model
            computes.
        OSError: if the folder cannot be written.
    """
    artifact = os.fspath(artifact)
    signature = signature_of(artifact)
    artifact_file = ARTIFACT_FILES[signature["format"]]
    if not isinstance(model, keras.Model):
        model = load_preset(model)
    contents = contents_of(model)
    tokenizer = model.preprocessor.tokenizer
    if report is None:
        report = verify(model, artifact)
    names = (MANIFEST_FILE, LABELS_FILE, *ARTIFACT_FILES.values())
    with whole_folder(folder, replaces=(VOCABULARY_FILE, *names)) as partial:
        shutil.copyfile(artifact, os.path.join(partial, artifact_file))
        for name, content in contents.items():
            with open(os.path.join(partial, name), "wb") as file:
                file.write(content)
        manifest = {
            "manifest_version": MANIFEST_VERSION,
            **_model_facts(model),
            "artifact": {
                "file": artifact_file,
                **signature,
            },
            "tokenizer": _tokenizer_facts(model, tokenizer, signature),
            "files": _files(partial, (artifact_file, *contents)),
            "report": _portable(report.to_dict(), artifact_file),
            "versions": _versions(),
        }
        path = os.path.join(partial, MANIFEST_FILE)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(manifest, file, ensure_ascii=False, indent=2)
            file.write("\n")
    return manifest


def contents_of(model) -> dict:
    """What a bundle holds of the model itself.

    Args:
        model: a task.

    Returns:
        dictionary of file names to bytes.

    Raises:
        ValueError: for the model's reasons of `to_bundle`.
    """
    tokenizer = getattr(getattr(model, "preprocessor", None), "tokenizer", None)
    if tokenizer is None:
        raise ValueError(
            "The model of a bundle must have a preprocessor with a "
            f"tokenizer. This {type(model).__name__} has none."
        )
    contents = {VOCABULARY_FILE: device_vocabulary(tokenizer.proto)}
    labels = getattr(model, "labels", None)
    if labels is not None:
        contents[LABELS_FILE] = _labels_file(labels)
    return contents


def _labels_file(labels):
    for label in labels:
        if len(label.splitlines()) > 1 or label != label.strip("\r\n"):
            raise ValueError(
                "Labels must be of one line each, to go into a file of "
                f"labels. Received: {label!r}."
            )
    return "".join(f"{label}\n" for label in labels).encode("utf-8")


def _model_facts(model):
    threshold = {}
    if hasattr(model, "no_answer_threshold"):
        threshold = {"no_answer_threshold": model.no_answer_threshold}
    return {
        "task": type(model).__name__,
        "num_classes": getattr(model, "num_classes", None),
        "multi_label": bool(getattr(model, "multi_label", False)),
        "labels": LABELS_FILE
        if getattr(model, "labels", None) is not None
        else None,
        **threshold,
    }


def _tokenizer_facts(model, tokenizer, signature):
    preprocessor = model.preprocessor
    lengths = [preprocessor.sequence_length, model.backbone.max_sequence_length]
    token_ids = signature["inputs"].get("token_ids")
    if token_ids is not None and token_ids["shape"][-1] > 0:
        lengths.append(token_ids["shape"][-1])
    # Of windows on long texts.
    windows = {
        name: getattr(preprocessor, name)
        for name in ("question_length", "stride")
        if hasattr(preprocessor, name)
    }
    return {
        "file": VOCABULARY_FILE,
        **windows,
        "vocabulary_size": tokenizer.vocabulary_size(),
        "max_length": min(lengths),
        "truncate": getattr(preprocessor, "truncate", "round_robin"),
        "lowercase": bool(tokenizer.lowercase),
        "strip_accents": bool(tokenizer.strip_accents),
        "replace_quotes": bool(tokenizer.replace_quotes),
        "split_digit_commas": bool(tokenizer.split_digit_commas),
    }


def signature_of(artifact: str | os.PathLike) -> dict:
    """What runs an exported file, and what goes in and out.

    Args:
        artifact: string or path of a `.tflite` or `.onnx` file.

    Returns:
        `"format"`, `"layout"`, and for `"inputs"` and `"outputs"` a
        dictionary of names to `"dtype"` and `"shape"`, -1 where any size
        goes.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is of another format.
    """
    artifact = os.fspath(artifact)
    format_ = artifact_format(artifact)
    if format_ not in ARTIFACT_FILES:
        raise ValueError(
            "A bundle must hold a `.tflite` or an `.onnx` file. Received: "
            f"{artifact!r}, a SavedModel, which has the tokenizer inside."
        )
    if format_ == "onnx":
        return {"format": format_, **_onnx_signature(artifact)}
    facts = describe_litert(artifact)
    rolled = "WHILE" in facts["operators"]
    return {
        "format": format_,
        "layout": "rolled" if rolled else "unrolled",
        "inputs": _typed_shapes(facts["inputs"]),
        "outputs": _typed_shapes(facts["outputs"]),
    }


def _typed_shapes(described):
    """`"int32 [-1, -1]"` as type and shape."""
    tensors = {}
    for name, text in described.items():
        dtype, _, shape = text.partition(" ")
        tensors[name] = {"dtype": dtype, "shape": json.loads(shape)}
    return tensors


def _onnx_signature(artifact):
    import onnx

    graph = onnx.load(artifact, load_external_data=False).graph
    stored = {initializer.name for initializer in graph.initializer}

    def tensors(values):
        described = {}
        for value in values:
            tensor = value.type.tensor_type
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            described[value.name] = {
                "dtype": dtype.name,
                "shape": [
                    dim.dim_value if dim.HasField("dim_value") else -1
                    for dim in tensor.shape.dim
                ],
            }
        return described

    loops = any(node.op_type == "Loop" for node in graph.node)
    return {
        "layout": "rolled" if loops else "unrolled",
        "inputs": tensors(v for v in graph.input if v.name not in stored),
        "outputs": tensors(graph.output),
    }


def _files(folder, names):
    files = {}
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[name] = {"bytes": os.path.getsize(path), "sha256": digest}
    return files


def _portable(report, name):
    """The report without the path that the artifact had when measured."""
    return {**report, "artifact": name}


def _versions():
    versions = {"keras_albert": __version__}
    for name in _VERSIONS_OF:
        versions[name] = importlib.metadata.version(name)
    return versions
