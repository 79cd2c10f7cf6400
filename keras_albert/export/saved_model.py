"""SavedModels that take texts or ids, for servers."""

import os
import sys

import keras

from keras_albert.export.artifacts import PAIR_INPUTS, TEXT_INPUTS
from keras_albert.export.litert import check_exportable
from keras_albert.export.litert_conversion import SIGNATURE, input_names
from keras_albert.export.litert_text import PAIR_SIGNATURE
from keras_albert.export.tensorflow_process import (
    inference_outputs,
    is_plain_tensorflow,
    preset_of,
    run_module,
)
from keras_albert.preprocessing.text_classifier import (
    AlbertTextClassifierPreprocessor,
)
from keras_albert.presets.saving import whole_folder
from keras_albert.tasks.loading import load_preset

TEXT_SIGNATURE = "text"


def to_saved_model(
    model: keras.Model | str | os.PathLike, path: str | os.PathLike
) -> str:
    """Writes a SavedModel that TensorFlow and tensorflow-text serve alone.

    Signatures:

    - `serving_default`: `token_ids`, `segment_ids` and `padding_mask`,
      `(batch, sequence)` int32, to the outputs that `to_litert` documents;
    - `text`, of a text classifier or embedder with a preprocessor: `text`,
      `(batch,)` strings, to the same, and to `labels` when it has them:
      `(batch,)` strings, the most probable ones. A classifier of several
      labels gives `(batch, num_classes)` strings in the order of the
      classes, each a label whose probability is at least a half, or empty;
    - `pair`: `text` and `pair`, `(batch,)` strings each, to the same.

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

    names = input_names(model)
    module = tf.Module()
    # Variables alone: a module that tracks a Keras model cannot be saved.
    module.weights = [variable.value for variable in model.variables]
    functions = {
        SIGNATURE: _function(
            lambda *ids: inference_outputs(
                model, dict(zip(names, ids, strict=True))
            ),
            {name: ("int32", [None, None]) for name in names},
        )
    }
    if _takes_texts(model):
        for signature, inputs in (
            (TEXT_SIGNATURE, TEXT_INPUTS),
            (PAIR_SIGNATURE, PAIR_INPUTS),
        ):
            functions[signature] = _function(
                lambda *texts: _from_texts(model, texts),
                {name: ("string", [None]) for name in inputs},
            )
    module.functions = list(functions.values())
    tf.saved_model.save(module, folder, signatures=functions)


def _takes_texts(model):
    preprocessor = getattr(model, "preprocessor", None)
    return isinstance(preprocessor, AlbertTextClassifierPreprocessor)


def _function(compute, inputs):
    import tensorflow as tf

    return tf.function(
        compute,
        input_signature=[
            tf.TensorSpec(shape, dtype, name=name)
            for name, (dtype, shape) in inputs.items()
        ],
    )


def _from_texts(model, texts):
    import tensorflow as tf

    x = texts[0] if len(texts) == 1 else texts
    outputs = inference_outputs(model, model.preprocess_samples(x))
    if getattr(model, "labels", None) is None:
        return outputs
    probabilities, labels = outputs["probabilities"], tf.constant(model.labels)
    if model.multi_label:
        outputs["labels"] = tf.where(probabilities >= 0.5, labels, "")
    else:
        best = tf.argmax(probabilities, axis=-1)
        outputs["labels"] = tf.gather(labels, best)
    return outputs


def _main(preset, folder):
    model = load_preset(preset, dtype="float32")
    check_exportable(model, None)
    save_signatures(model, folder)


if __name__ == "__main__":
    _main(*sys.argv[1:])
