"""What the exported files are, and what their runtimes are called."""

import os

# The inputs of a signature that takes texts.
TEXT_INPUTS = ("text",)
PAIR_INPUTS = ("text", "pair")

# For each format: the script that runs it, the package of its runtime, and
# how that is installed.
RUNTIMES = {
    "litert": ("run_litert.py", "ai_edge_litert", "ai-edge-litert"),
    "onnx": ("run_onnx.py", "onnxruntime", "onnxruntime"),
    "saved_model": (
        "run_saved_model.py",
        "tensorflow_text",
        "tensorflow-text",
    ),
}
SUFFIXES = {"litert": ".tflite", "onnx": ".onnx", "saved_model": ""}


def artifact_format(artifact: str) -> str:
    """The format of an exported file or folder.

    Args:
        artifact: string, path.

    Returns:
        A key of `RUNTIMES`.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ValueError: if it is of no known format.
    """
    if not os.path.exists(artifact):
        raise FileNotFoundError(
            f"The artifact must exist. There is no {artifact!r}."
        )
    if os.path.isfile(os.path.join(artifact, "saved_model.pb")):
        return "saved_model"
    for name, suffix in SUFFIXES.items():
        if suffix and artifact.endswith(suffix) and os.path.isfile(artifact):
            return name
    raise ValueError(
        "The artifact must be a `.tflite` or `.onnx` file or the folder of a "
        f"SavedModel. Received: {artifact!r}."
    )


def artifact_bytes(artifact: str) -> int:
    """The size of a file, or of all files of a folder."""
    if os.path.isfile(artifact):
        return os.path.getsize(artifact)
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(artifact)
        for name in names
    )
