"""The fine-tuning recipe: from a task and labelled texts to the best model."""

import hashlib
import json
import math
import time

import keras
import numpy as np

from keras_albert.optimizers.schedules import WarmupLinearDecay
from keras_albert.training.batches import LengthBatches, tokenize_texts
from keras_albert.training.evaluation import (
    default_monitor,
    evaluate_classifier,
)
from keras_albert.training.plot import plot_training
from keras_albert.training.progress import TrainingProgress, check_loss
from keras_albert.training.run_folder import (
    LOGS_FOLDER,
    MODEL_FOLDER,
    PLOT_FILE,
    RunFolder,
)

WEIGHT_DECAY = 0.01
GLOBAL_CLIPNORM = 1.0
# As in the original, LayerNorm and biases do not decay.
NOT_DECAYED = ("bias", "gamma", "beta")
LARGEST_SEED = 2**32 - 1
_NOT_ARCHITECTURE = ("name", "proto", "build_config", "compile_config")


def fine_tune(
    task,
    train,
    validation,
    output_dir,
    *,
    epochs=3,
    batch_size=32,
    learning_rate=None,
    warmup=0.1,
    seed=0,
    resume=False,
    monitor=None,
    evaluate=evaluate_classifier,
    stream=None,
):
    """Fine-tunes a task and keeps the model that is best on the dev texts.

    AdamW as the original's (weight decay 0.01, none on biases and LayerNorm,
    gradients clipped to a global norm of 1), a learning rate that rises and
    falls linearly, batches of similar lengths. After each epoch the run's
    state is saved; interrupted, it continues from there, and ends with the
    same weights as if it had not been (same backend, same machine).

    The folder then holds `model`, a preset folder of the best epoch,
    `metrics.json`, `history.csv` (a row an epoch), `training.png`, and
    TensorBoard logs in `logs`. While it runs, `state` holds the last epoch.

    Args:
        task: a task with a preprocessor. Its weights are those of the last
            epoch afterwards; the best ones are in `model`.
        train: pair of texts and targets: a list of strings, or of pairs of
            strings as 2-tuples, and an array with a row a text.
        validation: pair of the same kind.
        output_dir: string or path, a folder.
        epochs: int.
        batch_size: int, texts.
        learning_rate: float, the highest. `None`: the one that belongs to
            the task's preset, see `AlbertBackbone.learning_rate`.
        warmup: float, the part of all steps that the rate rises for.
        seed: int, of batch order and dropout.
        resume: bool. Whether to continue a run that was interrupted. Starts
            afresh when the folder holds none; does nothing when it is done.
        monitor: string, the metric that tells which epoch is best; more is
            better. `None`: `keras_albert.training.evaluation.
            default_monitor`.
        evaluate: function from `task`, texts, targets and `batch_size` to a
            dictionary of metrics, `"loss"` among them.
        stream: text stream for the progress, stderr by default.

    Returns:
        dictionary, the content of `metrics.json`: the best epoch's dev
        metrics by name; `"best_epoch"`, `"epochs"`, `"seconds"` (training
        and evaluation, of all sessions), `"examples_per_second"` (training
        alone), `"learning_rate"`, `"batch_size"`, `"train_rows"`,
        `"validation_rows"`, `"parameters"`, `"seed"`, `"backend"`.

    Raises:
        ValueError: if the arguments are out of range or contradict the run
            in the folder, or the loss is no longer finite.
        OSError: if the folder cannot be written, or another run writes to
            it.
    """
    if learning_rate is None:
        learning_rate = task.backbone.learning_rate
    check_recipe(epochs, batch_size, learning_rate, warmup, seed)
    with RunFolder(output_dir).locked() as folder:
        _check_folder(folder, resume)
        batches = LengthBatches(
            tokenize_texts(task.preprocessor, train[0]),
            train[1],
            batch_size,
            seed,
        )
        settings = {
            "backend": keras.backend.backend(),
            "seed": seed,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "warmup": warmup,
            "train_data": batches.fingerprint(),
            "validation_data": _fingerprint(validation),
            "architecture": _architecture(task),
        }
        progress = folder.load_progress() if resume else None
        if progress is not None:
            _check_settings(folder, progress["settings"], settings)
            if progress["finished"]:
                return folder.read_metrics()
        run = _Run(
            task, batches, validation, folder, settings, monitor, evaluate
        )
        return run.run(progress, stream)


def check_recipe(epochs=1, batch_size=1, learning_rate=1.0, warmup=0.0, seed=0):
    """Raises ValueError for arguments that nothing can be trained with."""
    if epochs < 1 or batch_size < 1:
        raise ValueError(
            "`epochs` and `batch_size` must be positive. Received: "
            f"epochs={epochs}, batch_size={batch_size}."
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


class _Run:
    """One call of `fine_tune`, once it is clear what is to be done."""

    def __init__(
        self, task, batches, validation, folder, settings, monitor, evaluate
    ):
        self.task = task
        self.batches = batches
        self.validation = validation
        self.folder = folder
        self.settings = settings
        self.monitor = monitor or default_monitor(task)
        self.evaluate = evaluate
        total = settings["epochs"] * len(batches)
        self.schedule = WarmupLinearDecay(
            settings["learning_rate"],
            round(settings["warmup"] * total),
            total,
        )

    def run(self, progress, stream):
        self._compile()
        history, curve = [], []
        if progress is not None:
            history, curve = progress["history"], progress["curve"]
            self.folder.load_variables(self._variables())
        shown = TrainingProgress(
            self.settings["epochs"],
            len(self.batches),
            len(self.batches.texts),
            curve,
            stream,
        )
        shown.open(len(history))
        try:
            for epoch in range(len(history), self.settings["epochs"]):
                row = self._epoch(epoch, shown)
                history.append(row)
                shown.say(self._line(row))
                self._keep(history, curve)
        finally:
            shown.close()
        return self._finish(history, curve)

    def _compile(self):
        optimizer = keras.optimizers.AdamW(
            self.schedule,
            weight_decay=WEIGHT_DECAY,
            global_clipnorm=GLOBAL_CLIPNORM,
        )
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
        self.task.compile(optimizer=optimizer, jit_compile=_jit_compile())
        optimizer.build(self.task.trainable_variables)
        self.task.seed_dropout(self.settings["seed"])

    def _variables(self):
        return [*self.task.variables, *self.task.optimizer.variables]

    def _epoch(self, epoch, shown):
        callbacks = [shown]
        if keras.backend.backend() == "torch":
            # Dropout there draws from the process's generator, while
            # elsewhere its state is among the model's variables. Seeded once
            # `fit` has built what it needs, which draws from it, too.
            seed = (self.settings["seed"] + epoch) % (LARGEST_SEED + 1)
            callbacks.append(
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda *_: keras.utils.set_random_seed(seed)
                )
            )
        began = time.perf_counter()
        logs = self.task.fit(
            self.batches.dataset(epoch),
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,  # it is; Keras would warn that it does not
            verbose=0,
            callbacks=callbacks,
        ).history
        trained = time.perf_counter()
        texts, targets = self.validation
        metrics = self.evaluate(
            self.task, texts, targets, batch_size=self.settings["batch_size"]
        )
        # The last step's loss was that of the weights before it.
        check_loss("dev", metrics["loss"], f"epoch {epoch + 1}", epoch)
        step = (epoch + 1) * len(self.batches)
        return {
            "epoch": epoch + 1,
            "step": step,
            **{name: float(values[-1]) for name, values in logs.items()},
            **{f"val_{name}": value for name, value in metrics.items()},
            "learning_rate": float(self.schedule(step - 1)),
            "train_seconds": round(trained - began, 3),
            "seconds": round(time.perf_counter() - began, 3),
        }

    def _line(self, row):
        score = f"val_{self.monitor}"
        return (
            f"epoch {row['epoch']}/{self.settings['epochs']}: "
            f"loss {row['loss']:.4f}, dev loss {row['val_loss']:.4f}, "
            f"dev {self.monitor} {row[score]:.4f}, {row['seconds']:.1f} s, "
            f"{len(self.batches.texts) / row['train_seconds']:.0f} examples/s"
        )

    def _best(self, history):
        return max(history, key=lambda row: row[f"val_{self.monitor}"])

    def _keep(self, history, curve):
        # The model first: interrupted in between, the epoch is done again
        # and gives the same model.
        if self._best(history) is history[-1]:
            self.task.save_to_preset(self.folder.file(MODEL_FOLDER))
        self._write_logs(history[-1], curve)
        self.folder.write_history(history)
        self._plot(history, curve)
        self.folder.save_state(
            self._progress(history, curve, finished=False), self._variables()
        )

    def _finish(self, history, curve):
        best = self._best(history)
        seconds = sum(row["seconds"] for row in history)
        trained = sum(row["train_seconds"] for row in history)
        metrics = {
            name.removeprefix("val_"): value
            for name, value in best.items()
            if name.startswith("val_")
        }
        metrics |= {
            "best_epoch": best["epoch"],
            "epochs": len(history),
            "seconds": round(seconds, 1),
            "examples_per_second": round(
                len(history) * len(self.batches.texts) / trained, 1
            ),
            "learning_rate": self.settings["learning_rate"],
            "batch_size": self.settings["batch_size"],
            "train_rows": len(self.batches.texts),
            "validation_rows": len(self.validation[0]),
            "parameters": self.task.count_params(),
            "seed": self.settings["seed"],
            "backend": self.settings["backend"],
        }
        self.folder.write_metrics(metrics)
        # Without variables: a finished run is not continued.
        self.folder.save_state(self._progress(history, curve, finished=True))
        return metrics

    def _progress(self, history, curve, finished):
        return {
            "settings": self.settings,
            "finished": finished,
            "history": history,
            "curve": curve,
        }

    def _write_logs(self, row, curve):
        import tensorflow as tf

        logs = self.folder.file(LOGS_FOLDER)
        try:
            self._write_summaries(logs, row, curve)
        except tf.errors.OpError as error:
            raise OSError(
                f"Could not write {logs!r}: {error.message}. It must be a "
                "writable folder and its disk have room; resume then."
            ) from error

    def _write_summaries(self, logs, row, curve):
        import tensorflow as tf

        steps = len(self.batches)
        train = tf.summary.create_file_writer(f"{logs}/train")
        with train.as_default():
            for step, loss in curve:
                if step > row["step"] - steps:
                    tf.summary.scalar("batch_loss", loss, step=step)
                    rate = self.schedule(step - 1)
                    tf.summary.scalar("learning_rate", float(rate), step=step)
            tf.summary.scalar("loss", row["loss"], step=row["step"])
        train.close()
        validation = tf.summary.create_file_writer(f"{logs}/validation")
        with validation.as_default():
            for name, value in row.items():
                if name.startswith("val_"):
                    tf.summary.scalar(
                        name.removeprefix("val_"), value, step=row["step"]
                    )
        validation.close()

    def _plot(self, history, curve):
        total = self.schedule.total_steps
        steps = np.unique(np.linspace(0, total - 1, 101).round())
        plot_training(
            self.folder.file(PLOT_FILE),
            history,
            curve,
            [(step, float(self.schedule(step))) for step in steps],
            self.monitor,
            f"{len(self.batches.texts):,} training texts, batch size "
            f"{self.settings['batch_size']}, {self.settings['backend']}",
        )


def _jit_compile():
    """Whether Keras compiles by XLA: on JAX only.

    On TensorFlow a step of a small model is no faster by XLA on a CPU, while
    each of the batch lengths costs half a minute to compile: 114 s instead
    of 52 s for the first 3,000 texts of SST-2.
    """
    return keras.backend.backend() == "jax"


def _check_folder(folder, resume):
    if not resume and folder.holds_a_run():
        raise ValueError(
            "The output folder must hold no other run. "
            f"{folder.path} holds one; resume it, remove it, or choose "
            "another folder."
        )


def _check_settings(folder, former, settings):
    for name, value in settings.items():
        if former.get(name) != value:
            raise ValueError(
                f"A run must be resumed with the same settings. {folder.path} "
                f"was begun with {name} {former.get(name)}, this is "
                f"{name} {value}; use the former ones, or another folder."
            )


def _fingerprint(validation):
    texts, targets = validation
    digest = hashlib.sha256(json.dumps(texts).encode())
    digest.update(np.ascontiguousarray(targets).tobytes())
    return digest.hexdigest()[:16]


def _architecture(task):
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
