"""The fine-tuning recipe: from a task and labelled data to the best model."""

import hashlib
import json
import math

import keras

from keras_albert.training.batches import text_batches
from keras_albert.training.evaluation import evaluate_classifier
from keras_albert.training.fingerprint import fingerprint
from keras_albert.training.run import Run
from keras_albert.training.run_folder import RunFolder

LARGEST_SEED = 2**32 - 1
_NOT_ARCHITECTURE = ("name", "proto", "build_config", "compile_config")


def fine_tune(
    task,
    train,
    validation,
    output_dir,
    *,
    epochs=3,
    steps=None,
    batch_size=32,
    tokens_per_batch=None,
    accumulate=1,
    learning_rate=None,
    warmup=0.1,
    patience=None,
    keep="best",
    seed=0,
    resume=False,
    monitor=None,
    batches=text_batches,
    evaluate=evaluate_classifier,
    stream=None,
):
    """Fine-tunes a task and keeps the model that is best on the dev data.

    AdamW as the original's (weight decay 0.01, none on biases and LayerNorm,
    gradients clipped to a global norm of 1), a learning rate that rises and
    falls linearly, batches of similar lengths. After each epoch the run's
    state is saved; interrupted, it continues from there, and ends with the
    same weights as if it had not been (same backend, same machine).

    The folder then holds `model`, a preset folder of the best epoch,
    `metrics.json`, `history.csv` (a row an epoch), `training.png`, and
    TensorBoard logs in `logs`. While it runs, `state` holds the last epoch.

    A loss that stays where guessing is, past the warm-up, is told of, with
    what to do about it.

    Args:
        task: a task. Its weights are those of the last epoch afterwards; the
            best ones are in `model`.
        train: what `batches` takes. Of texts a pair of texts and targets: a
            list of strings, or of pairs of strings as 2-tuples, and an array
            with a row a text; an array of sample weights may follow.
        validation: what `evaluate` takes: of texts a pair of the same kind.
            Of a tuple the first entry has a row an example, otherwise it has
            itself.
        output_dir: string or path, a folder.
        epochs: int.
        steps: int, how many batches to train on, instead of `epochs`: the
            last epoch is then as long as is left.
        batch_size: int, examples.
        tokens_per_batch: int, the tokens that a batch may have, instead of a
            number of examples; or `"auto"`, as many as `batch_size` average
            examples, see `keras_albert.training.batches.LengthBatches`.
        accumulate: int, how many batches make one step of the optimizer. At
            the end of the run, what is too few for a step takes none.
        learning_rate: float, the highest. `None`: the one that belongs to
            the task's preset, see `AlbertBackbone.learning_rate`.
        warmup: float, the part of all steps that the rate rises for.
        patience: int, stops the run after so many epochs in a row that were
            no better than the best one; `None`: never.
        keep: `"best"`, or `"last"`: which epoch's model is in `model`, and
            its metrics in `metrics.json`.
        seed: int, of batch order and dropout.
        resume: bool. Whether to continue a run that was interrupted. Starts
            afresh when the folder holds none; does nothing when it is done.
        monitor: string, the metric that tells which epoch is best; more is
            better. `None`: `keras_albert.training.evaluation.
            default_monitor`.
        batches: function from `task`, `train`, `batch_size`, `seed` and
            `tokens_per_batch` to an object with: the number of batches of
            any epoch as its length; `examples`, int, those of an epoch;
            `dataset(epoch)`, a `tf.data.Dataset` of what `fit` takes, the
            same for the same epoch; `fingerprint()`, a string; and
            optionally `guessing_loss`, float or `None`, and
            `tokens_per_batch`, see `LengthBatches`.
        evaluate: function from `task`, `validation` and `batch_size` to a
            dictionary of metrics, `"loss"` among them.
        stream: text stream for the progress, stderr by default.

    Returns:
        dictionary, the content of `metrics.json`: the dev metrics by name of
        the epoch that is kept; its number, `"best_epoch"`; `"epochs"`,
        `"seconds"` (training and evaluation, of all sessions),
        `"examples_per_second"` (training alone), `"learning_rate"`,
        `"batch_size"` (`null` with a budget that is given),
        `"tokens_per_batch"`, `"accumulate"`, `"steps"` (batches in all),
        `"train_rows"`, `"validation_rows"`, `"parameters"`, `"seed"`,
        `"backend"`.

    Raises:
        ValueError: if the arguments are out of range or contradict the run
            in the folder, or the loss is no longer finite.
        OSError: if the folder cannot be written, or another run writes to
            it.
    """
    if learning_rate is None:
        learning_rate = task.backbone.learning_rate
    check_recipe(
        epochs,
        batch_size,
        learning_rate,
        warmup,
        seed,
        tokens_per_batch,
        accumulate,
        patience,
        steps,
        keep,
    )
    with RunFolder(output_dir).locked() as folder:
        _check_folder(folder, resume)
        examples = batches(
            task,
            train,
            batch_size=batch_size,
            seed=seed,
            tokens_per_batch=tokens_per_batch,
        )
        if steps is not None:
            epochs = math.ceil(steps / len(examples))
        settings = {
            "backend": keras.backend.backend(),
            "seed": seed,
            "epochs": epochs,
            "steps": steps,
            "batch_size": batch_size,
            "tokens_per_batch": tokens_per_batch,
            "accumulate": accumulate,
            "learning_rate": learning_rate,
            "warmup": warmup,
            "patience": patience,
            "keep": keep,
            "train_data": examples.fingerprint(),
            "validation_data": fingerprint(validation),
            "pooling": getattr(task, "pooling", None),
            "architecture": architecture(task),
        }
        progress = folder.load_progress() if resume else None
        if progress is not None:
            _check_settings(folder, progress["settings"], settings)
            if progress["finished"]:
                return folder.read_metrics()
        run = Run(
            task, examples, validation, folder, settings, monitor, evaluate
        )
        return run.run(progress, stream)


def check_recipe(
    epochs=1,
    batch_size=1,
    learning_rate=1.0,
    warmup=0.0,
    seed=0,
    tokens_per_batch=None,
    accumulate=1,
    patience=None,
    steps=None,
    keep="best",
):
    """Raises ValueError for arguments that nothing can be trained with."""
    counts = {
        "epochs": epochs,
        "batch_size": batch_size,
        "tokens_per_batch": tokens_per_batch,
        "accumulate": accumulate,
        "patience": patience,
        "steps": steps,
    }
    for name, count in counts.items():
        optional = count is None or (name, count) == (
            "tokens_per_batch",
            "auto",
        )
        if not optional and count < 1:
            raise ValueError(
                f"`{name}` must be positive. Received: {name}={count}."
            )
    if keep not in ("best", "last"):
        raise ValueError(
            f"`keep` must be 'best' or 'last'. Received: keep={keep!r}."
        )
    # Not a number is in no interval.
    if not 0.0 < learning_rate < math.inf or not 0.0 <= warmup <= 1.0:
        raise ValueError(
            "`learning_rate` must be a positive number and `warmup` lie "
            f"between 0 and 1. Received: learning_rate={learning_rate}, "
            f"warmup={warmup}."
        )
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(
            f"`seed` must lie between 0 and {LARGEST_SEED}. Received: {seed}."
        )


def _check_folder(folder, resume):
    if not resume and folder.holds_a_run():
        raise ValueError(
            "The output folder must hold no other run. "
            f"{folder.path} holds one; resume it, remove it, or choose "
            "another folder."
        )


def _check_settings(folder, former, settings):
    # Runs that were begun when there was no such setting.
    former = {"keep": "best", "pooling": settings["pooling"], **former}
    for name, value in settings.items():
        if former.get(name) != value:
            raise ValueError(
                f"A run must be resumed with the same settings. {folder.path} "
                f"was begun with {name} {former.get(name)}, this is "
                f"{name} {value}; use the former ones, or another folder."
            )


def architecture(task):
    """Digest of what a model is made of, whatever its layers are called."""

    def nameless(config):
        if isinstance(config, dict):
            return {
                key: nameless(value)
                for key, value in config.items()
                if key not in _NOT_ARCHITECTURE
            }
        return config

    parts = [
        type(task).__name__,
        nameless(task.get_config()),
        [list(variable.shape) for variable in task.trainable_variables],
    ]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
