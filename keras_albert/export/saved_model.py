"""SavedModels that take texts or ids, for servers."""

import os
import sys

import keras

from keras_albert.export.litert import INPUT_NAMES, check_exportable
from keras_albert.export.tensorflow_process import (
    is_plain_tensorflow,
    preset_of,
    run_module,
)
from keras_albert.presets.saving import whole_folder
from keras_albert.tasks.loading import load_preset


def to_saved_model(
    model: keras.Model | str | os.PathLike, path: str | os.PathLike
) -> str:
    """Writes a SavedModel that TensorFlow and tensorflow-text serve alone.

    Signatures:

    - `serving_default`: `token_ids`, `segment_ids` and `padding_mask`,
      `(batch, sequence)` int32, to the outputs that `to_litert` documents;
    - `text`, when the model has a preprocessor: `text`, `(batch,)` strings,
      to `probabilities`, and to `labels`, `(batch,)` strings, the most
      probable, when the model has labels.

    Args:
        model: a task, an `AlbertBackbone`, or a preset of one of them.
        path: string or path of the folder.

    Returns:
        The path, a string.

    Raises:
        ValueError: if the model cannot be exported.
        OSError: if the folder cannot be written.
        RuntimeError: if the export fails.
    """
    path = os.fspath(path)
    if isinstance(model, keras.Model):
        check_exportable(model, None)
    with whole_folder(
        path, replaces=("saved_model.pb", "fingerprint.pb", "variables")
    ) as folder:
        if is_plain_tensorflow(model):
            save_signatures(model, folder)
        else:
            with preset_of(model) as preset:
                run_module(__name__, preset, folder)
    return path


def save_signatures(model, folder):
    """Saves a model on the TensorFlow backend, from this process.

    Args:
        model: a task or an `AlbertBackbone`, in float32.
        folder: string, an existing folder.
    """
    import tensorflow as tf

    backbone = getattr(model, "backbone", model)

    def compute(inputs):
        outputs = backbone(inputs, training=False)
        if model is not backbone:
            outputs = model.inference_outputs(outputs, inputs)
        return outputs

    module = tf.Module()
    # Variables alone: a module that tracks a Keras model cannot be saved.
    module.weights = [variable.value for variable in model.variables]
    module.from_ids = tf.function(
        lambda token_ids, segment_ids, padding_mask: compute(
            {
                "token_ids": token_ids,
                "segment_ids": segment_ids,
                "padding_mask": padding_mask,
            }
        ),
        input_signature=[
            tf.TensorSpec([None, None], "int32", name=name)
            for name in INPUT_NAMES
        ],
    )
    signatures = {"serving_default": module.from_ids}
    if getattr(model, "preprocessor", None) is not None:
        labels = getattr(model, "labels", None)

        def from_text(text):
            outputs = compute(model.preprocess_samples(text))
            if labels and not model.multi_label:
                best = tf.argmax(outputs["probabilities"], axis=-1)
                outputs["labels"] = tf.gather(tf.constant(labels), best)
            return outputs

        module.from_text = tf.function(
            from_text,
            input_signature=[tf.TensorSpec([None], "string", name="text")],
        )
        signatures["text"] = module.from_text
    tf.saved_model.save(module, folder, signatures=signatures)


def _main(preset, folder):
    model = load_preset(preset, dtype="float32")
    check_exportable(model, None)
    save_signatures(model, folder)


if __name__ == "__main__":
    _main(*sys.argv[1:])
