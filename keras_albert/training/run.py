"""One run of the fine-tuning recipe, epoch by epoch."""

import time

import keras
import numpy as np

from keras_albert.optimizers.schedules import WarmupLinearDecay
from keras_albert.training.evaluation import default_monitor
from keras_albert.training.plot import plot_training
from keras_albert.training.progress import TrainingProgress, check_loss
from keras_albert.training.run_folder import (
    LOGS_FOLDER,
    MODEL_FOLDER,
    PLOT_FILE,
)
from keras_albert.training.stuck import stuck_loss, stuck_warning
from keras_albert.training.summaries import write_summaries

WEIGHT_DECAY = 0.01
GLOBAL_CLIPNORM = 1.0
# As in the original, LayerNorm and biases do not decay.
NOT_DECAYED = ("bias", "gamma", "beta")
_SEEDS = 2**32


class Run:
    """One call of `fine_tune`, once it is clear what is to be done.

    Args:
        task: a task.
        batches: see `keras_albert.training.fine_tune.fine_tune`.
        validation: likewise.
        folder: a `RunFolder`, locked.
        settings: dictionary of the recipe's settings.
        monitor: string or `None`, see `fine_tune`.
        evaluate: likewise.
    """

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
        total = settings["steps"] or settings["epochs"] * len(batches)
        # An optimizer that accumulates counts batches, too.
        self.schedule = WarmupLinearDecay(
            settings["learning_rate"],
            round(settings["warmup"] * total),
            total,
        )
        self._told_of_stuck_loss = False

    def run(self, progress, stream):
        """Trains what is left to train.

        Args:
            progress: dictionary that the run before saved, or `None`.
            stream: text stream, or `None` for stderr.

        Returns:
            dictionary of metrics, see `fine_tune`.
        """
        self._compile()
        history, curve = [], []
        if progress is not None:
            history, curve = progress["history"], progress["curve"]
            self.folder.load_variables(self._variables())
        shown = TrainingProgress(
            self.settings["epochs"],
            len(self.batches),
            self.batches.examples,
            curve,
            stream,
            total=self.schedule.total_steps,
        )
        shown.open(len(history))
        try:
            while not self._is_done(history):
                row = self._epoch(len(history), shown)
                history.append(row)
                shown.say(self._line(row))
                self._tell_of_stuck_loss(curve, shown)
                self._keep(history, curve)
        finally:
            shown.close()
        if len(history) < self.settings["epochs"]:
            shown.say(
                f"stopped: no better dev {self.monitor} in "
                f"{self.settings['patience']} epochs"
            )
        return self._finish(history, curve)

    def _compile(self):
        accumulate = self.settings["accumulate"]
        optimizer = keras.optimizers.AdamW(
            self.schedule,
            weight_decay=WEIGHT_DECAY,
            global_clipnorm=GLOBAL_CLIPNORM,
            gradient_accumulation_steps=accumulate if accumulate > 1 else None,
        )
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
        self.task.compile(optimizer=optimizer, jit_compile=_jit_compile())
        optimizer.build(self.task.trainable_variables)
        self.task.seed_dropout(self.settings["seed"])

    def _variables(self):
        return [*self.task.variables, *self.task.optimizer.variables]

    def _is_done(self, history):
        if len(history) >= self.settings["epochs"]:
            return True
        patience = self.settings["patience"]
        if patience is None or not history:
            return False
        return len(history) - self._best(history)["epoch"] >= patience

    def _epoch(self, epoch, shown):
        callbacks = [shown]
        if keras.backend.backend() == "torch":
            # Dropout there draws from the process's generator, while
            # elsewhere its state is among the model's variables. Seeded once
            # `fit` has built what it needs, which draws from it, too.
            seed = (self.settings["seed"] + epoch) % _SEEDS
            callbacks.append(
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda *_: keras.utils.set_random_seed(seed)
                )
            )
        dataset = self.batches.dataset(epoch)
        former = epoch * len(self.batches)
        step = min(former + len(self.batches), self.schedule.total_steps)
        if step < former + len(self.batches):
            dataset = dataset.take(step - former)
        began = time.perf_counter()
        logs = self.task.fit(
            dataset,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,  # it is; Keras would warn that it does not
            verbose=0,
            callbacks=callbacks,
        ).history
        trained = time.perf_counter()
        metrics = self.evaluate(
            self.task,
            self.validation,
            batch_size=self.settings["batch_size"],
        )
        # The last step's loss was that of the weights before it.
        check_loss("dev", metrics["loss"], f"epoch {epoch + 1}", epoch)
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
            f"{self._examples(row) / row['train_seconds']:.0f} examples/s"
        )

    def _steps(self, row):
        """The batches of an epoch that was trained."""
        return row["step"] - (row["epoch"] - 1) * len(self.batches)

    def _examples(self, row):
        """The examples of an epoch that was trained, on the average."""
        share = self._steps(row) / len(self.batches)
        return share * self.batches.examples

    def _tell_of_stuck_loss(self, curve, shown):
        stuck = stuck_loss(
            curve,
            self.schedule.warmup_steps,
            getattr(self.batches, "guessing_loss", None),
        )
        if stuck is None:
            self._told_of_stuck_loss = False
        elif not self._told_of_stuck_loss:
            self._told_of_stuck_loss = True
            rate = self.settings["learning_rate"]
            shown.say(stuck_warning(*stuck, rate))

    def _best(self, history):
        if self.settings["keep"] == "last":
            return history[-1]
        return max(history, key=lambda row: row[f"val_{self.monitor}"])

    def _keep(self, history, curve):
        # The model first: interrupted in between, the epoch is done again
        # and gives the same model.
        if self._best(history) is history[-1]:
            self.task.save_to_preset(self.folder.file(MODEL_FOLDER))
        write_summaries(
            self.folder.file(LOGS_FOLDER),
            history[-1],
            curve,
            self._steps(history[-1]),
            self.schedule,
        )
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
                sum(map(self._examples, history)) / trained, 1
            ),
            "learning_rate": self.settings["learning_rate"],
            **self._batch_size(),
            "accumulate": self.settings["accumulate"],
            "steps": history[-1]["step"],
            "train_rows": self.batches.examples,
            "validation_rows": _rows(self.validation),
            "parameters": self.task.count_params(),
            "seed": self.settings["seed"],
            "backend": self.settings["backend"],
        }
        self.folder.write_metrics(metrics)
        # Without variables: a finished run is not continued.
        self.folder.save_state(self._progress(history, curve, finished=True))
        return metrics

    def _batch_size(self):
        budget = self.settings["tokens_per_batch"]
        of_batches = getattr(self.batches, "tokens_per_batch", budget)
        return {
            # Of a budget that is given it is no part.
            "batch_size": (
                self.settings["batch_size"]
                if budget in (None, "auto")
                else None
            ),
            "tokens_per_batch": of_batches,
        }

    def _progress(self, history, curve, finished):
        return {
            "settings": self.settings,
            "finished": finished,
            "history": history,
            "curve": curve,
        }

    def _plot(self, history, curve):
        total = self.schedule.total_steps
        steps = np.unique(np.linspace(0, total - 1, 101).round())
        batch = self._batch_size()
        plot_training(
            self.folder.file(PLOT_FILE),
            history,
            curve,
            [(step, float(self.schedule(step))) for step in steps],
            self.monitor,
            f"{self.batches.examples:,} training examples, batches of "
            + (
                f"{batch['batch_size']}"
                if batch["tokens_per_batch"] is None
                else f"{batch['tokens_per_batch']:,} tokens"
            )
            + f", {self.settings['backend']}",
        )


def _rows(data):
    """The number of examples in what `evaluate` takes."""
    return len(data[0] if isinstance(data, tuple) else data)


def _jit_compile():
    """Whether Keras compiles by XLA: on JAX only.

    On TensorFlow a step of a small model is no faster by XLA on a CPU, while
    each of the batch lengths costs half a minute to compile: 114 s instead
    of 52 s for the first 3,000 texts of SST-2.
    """
    return keras.backend.backend() == "jax"
