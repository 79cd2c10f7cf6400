"""What a run tells on stderr: a progress bar, or a line an epoch."""

import sys
import time

import keras
import numpy as np

# Reading the loss waits for the device, so it is not read at each step.
_SECONDS_BETWEEN_READINGS = 0.25
# Points of the loss curve an epoch.
_POINTS = 40


def check_loss(name, loss, place, epochs):
    """Raises ValueError for a loss that is no number any more.

    Args:
        name: string, the texts that it is of.
        loss: float.
        place: string, where in the training.
        epochs: int, how many were finished before.
    """
    if not np.isfinite(loss):
        kept = "The best model so far is kept." if epochs else ""
        raise ValueError(
            f"The {name} loss must be finite. It became {loss} in {place}; "
            f"train with a smaller learning rate. {kept}".rstrip()
        )


class TrainingProgress(keras.callbacks.Callback):
    """Shows a run's progress, and collects its loss curve.

    Args:
        epochs: int, of the whole run.
        steps: int, batches an epoch.
        examples: int, texts an epoch.
        curve: list to which `(step, loss)` pairs are added, the mean training
            loss since the pair before.
        stream: a text stream. A terminal gets a bar, others get lines.
        total: int, steps of the whole run; `None`: those of all epochs.

    Raises:
        ValueError: in training, when the loss is no longer finite.
    """

    def __init__(self, epochs, steps, examples, curve, stream=None, total=None):
        super().__init__()
        self.epochs = epochs
        self.steps = steps
        self.examples = examples
        self.total = epochs * steps if total is None else total
        self.curve = curve
        self.stream = sys.stderr if stream is None else stream
        self.epoch = 0
        self._bar = None
        self._read_at = 0.0
        self._last = (0, 0.0)

    def say(self, line):
        """Prints a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=self.stream, flush=True)

    def open(self, epoch):
        """Starts the bar, at an epoch counted from 0."""
        if not self.stream.isatty():
            return
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("epoch {task.fields[epoch]}"),
            progress.BarColumn(bar_width=None),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[note]}"),
            progress.TextColumn("[dim]left"),
            progress.TimeRemainingColumn(),
            console=Console(file=self.stream),
            transient=True,
        )
        self._row = self._bar.add_task("", total=self.total, epoch="", note="")
        self._bar.update(self._row, completed=epoch * self.steps)
        self._bar.start()

    def close(self):
        """Removes the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self._began = time.perf_counter()
        self._last = (0, 0.0)
        self._show(0, "")

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        step = batch + 1
        is_last = step in (self.steps, self.total - self.epoch * self.steps)
        point = is_last or step % max(self.steps // _POINTS, 1) == 0
        if not point and now - self._read_at < _SECONDS_BETWEEN_READINGS:
            return
        self._read_at = now
        loss = float(logs["loss"])
        place = f"epoch {self.epoch + 1}, step {step} of {self.steps}"
        check_loss("training", loss, place, self.epoch)
        if point:
            # Keras gives the mean over the epoch: undo it, for the mean
            # since the last point.
            former_step, former_loss = self._last
            recent = (loss * step - former_loss * former_step) / (
                step - former_step
            )
            self.curve.append((self.epoch * self.steps + step, recent))
            self._last = (step, loss)
        rate = step / self.steps * self.examples / (now - self._began)
        shown = [
            f"{name} {float(value):.4f}"
            for name, value in logs.items()
            if name != "lr"
        ]
        self._show(step, "  ".join([*shown, f"{rate:.0f} examples/s"]))

    def _show(self, step, note):
        if self._bar is not None:
            self._bar.update(
                self._row,
                completed=self.epoch * self.steps + step,
                epoch=f"{self.epoch + 1}/{self.epochs}",
                note=note,
            )
