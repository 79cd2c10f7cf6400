"""Exports run on the TensorFlow backend, whatever the model runs on."""

import contextlib
import os
import subprocess
import sys
import tempfile

import keras

from keras_albert.models.rolled import rolled_outputs
from keras_albert.presets.registry import local_preset_folder


@contextlib.contextmanager
def preset_of(model):
    """A preset folder that holds a model.

    Args:
        model: a model of this package, or a preset.

    Yields:
        string, the folder, removed afterwards unless it was given.
    """
    if not isinstance(model, keras.Model):
        yield local_preset_folder(model)
        return
    with tempfile.TemporaryDirectory() as folder:
        model.save_to_preset(folder)
        yield folder


def inference_outputs(model, inputs, layout="unrolled"):
    """What an exported file computes.

    Args:
        model: a task or an `AlbertBackbone`.
        inputs: dictionary of the model's inputs.
        layout: `"unrolled"` or `"rolled"`.

    Returns:
        dictionary of outputs.
    """
    backbone = getattr(model, "backbone", model)
    if layout == "rolled":
        outputs = rolled_outputs(backbone, inputs)
    else:
        outputs = backbone(
            {name: inputs[name] for name in backbone.input}, training=False
        )
    if model is not backbone:
        outputs = model.inference_outputs(outputs, inputs)
    return outputs


def is_plain_tensorflow(model):
    """Whether a model can be traced as it is, in this process."""
    if keras.backend.backend() != "tensorflow":
        return False
    if not isinstance(model, keras.Model):
        return False
    return all(
        layer.compute_dtype == layer.variable_dtype == "float32"
        and not getattr(layer, "lora_enabled", False)
        for layer in _leaf_layers(model)
    )


def is_quantized(model):
    """Whether Keras has quantized layers of a model."""
    return any(layer.quantization_mode for layer in _leaf_layers(model))


def _leaf_layers(model):
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if layer.weights and not any(True for _ in layer._layers)
    ]


def run_module(module, *arguments):
    """Runs a module of this package in a process on TensorFlow.

    Args:
        module: string, its dotted name.
        *arguments: strings.

    Raises:
        ValueError: if it raised one; ImportError likewise.
        RuntimeError: if it fails otherwise, with the last line that it wrote.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    finished = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        lines = finished.stderr.strip().splitlines() or ["no message"]
        kind, _, message = lines[-1].partition(": ")
        for error in (ValueError, ImportError):
            if kind == error.__name__:
                raise error(message)
        raise RuntimeError(
            f"The export process ended with code {finished.returncode}: "
            f"{lines[-1]}"
        )
