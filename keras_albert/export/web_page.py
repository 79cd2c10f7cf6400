"""A static page to try an exported text classifier in a browser."""

import json
import os
import shutil

import keras

from keras_albert.export.bundle import signature_of, to_bundle
from keras_albert.presets.saving import whole_folder
from keras_albert.tasks.loading import load_preset
from keras_albert.tasks.text_classifier import AlbertTextClassifier

PAGE_FILES = (
    "index.html",
    "style.css",
    "page.js",
    "classifier.js",
    "tokenizer.js",
)
PACKAGE_FILE = "package.json"
# For each layout the runtime's files: a package of npm, a file in it, and
# its place in the page's folder `vendor`.
_RUNTIME_FILES = {
    "rolled": (
        ("@litertjs/core", "dist/index.js", "litert/index.js"),
        ("@litertjs/wasm-utils", "dist/index.js", "litert/wasm-utils.js"),
        *(
            ("@litertjs/core", f"wasm/{name}", f"litert/wasm/{name}")
            for name in (
                "litert_wasm_internal.js",
                "litert_wasm_internal.wasm",
                "litert_wasm_compat_internal.js",
                "litert_wasm_compat_internal.wasm",
            )
        ),
    ),
    "unrolled": (
        ("@mediapipe/tasks-text", "text_bundle.mjs", "mediapipe/index.mjs"),
        *(
            ("@mediapipe/tasks-text", f"wasm/{name}", f"mediapipe/{name}")
            for name in (
                "text_wasm_internal.js",
                "text_wasm_internal.wasm",
                "text_wasm_nosimd_internal.js",
                "text_wasm_nosimd_internal.wasm",
            )
        ),
    ),
}


def to_web(
    model: keras.Model | str | os.PathLike,
    artifact: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    report=None,
) -> dict:
    """Writes a page to try a text classifier, with the model in it.

    Any server of static files serves the folder, such as
    `python -m http.server`. The page runs an unrolled file in MediaPipe and
    a rolled one in LiteRT.js with the tokenizer of `export/web/`. Their
    code is copied from npm's folder `node_modules`, so that the page
    contacts no other host.

    Args:
        model: the `AlbertTextClassifier` that was exported, or its preset.
        artifact: string or path of its `.tflite` file, of token ids.
        folder: string or path of the folder, written whole or not at all.
        report: see `to_bundle`.

    Returns:
        The content of the bundle's `manifest.json`, a dictionary.

    Raises:
        ValueError: if the model or the artifact is of another kind, or for
            the reasons of `to_bundle`.
        FileNotFoundError: if the runtime's packages are not there.
        VerificationError: see `to_bundle`.
        OSError: if the folder cannot be written.
    """
    if not isinstance(model, keras.Model):
        model = load_preset(model)
    signature = signature_of(artifact)
    names = set(signature["inputs"])
    if signature["format"] != "litert" or "token_ids" not in names:
        raise ValueError(
            "The page must be given a `.tflite` file of token ids. Received "
            f"one of the format {signature['format']!r} with the inputs "
            f"{', '.join(sorted(names))}."
        )
    page = page_folder()
    files = runtime_files(model, signature["layout"])
    with whole_folder(folder, replaces=(*PAGE_FILES, "vendor")) as partial:
        manifest = to_bundle(model, artifact, partial, report=report)
        for source, target in files:
            target = os.path.join(partial, "vendor", target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
        for name in PAGE_FILES:
            shutil.copyfile(
                os.path.join(page, name), os.path.join(partial, name)
            )
    return manifest


def page_folder() -> str:
    """The folder of the page's own files.

    In the repository that is `export/web/`; an installed package has a copy
    of it (see `setup.py`).
    """
    here = os.path.dirname(os.path.abspath(__file__))
    installed = os.path.join(here, "web")
    if os.path.isdir(installed):
        return installed
    return os.path.join(os.path.dirname(os.path.dirname(here)), "export", "web")


def runtime_files(model, layout: str) -> list:
    """The files of the runtime that a page for a model needs.

    Args:
        model: a task.
        layout: string, `"rolled"` or `"unrolled"`.

    Returns:
        list of pairs: path of the source, path below the folder `vendor`.

    Raises:
        ValueError: if the model is no text classifier.
        FileNotFoundError: if the runtime's packages are not there.
    """
    if not isinstance(model, AlbertTextClassifier):
        raise ValueError(
            "The page must be given a text classifier. Received: "
            f"{type(model).__name__}; `to_bundle` takes other tasks."
        )
    files = []
    page = page_folder()
    with open(os.path.join(page, PACKAGE_FILE), encoding="utf-8") as file:
        pinned = json.load(file)["dependencies"]
    for package, name, target in _RUNTIME_FILES[layout]:
        root = os.path.join(page, "node_modules", package)
        if _version(root) != pinned[package]:
            raise FileNotFoundError(
                f"The page needs {package} {pinned[package]} of npm in "
                f"{os.path.join(page, 'node_modules')}. Found: "
                f"{_version(root) or 'none'}. Run `npm ci` in {page}."
            )
        files.append((os.path.join(root, name), target))
    return files


def _version(root):
    try:
        with open(os.path.join(root, PACKAGE_FILE), encoding="utf-8") as file:
            return json.load(file)["version"]
    except FileNotFoundError:
        return None
