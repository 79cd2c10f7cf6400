"""What a pretraining run tells, and what it stops at."""

import sys
import time

import keras
import numpy as np

# Reading the loss waits for the device, so it is not read at each step.
_SECONDS_BETWEEN_READINGS = 0.5
# Times the loss of guessing: only a model that got worse is there.
_DIVERGED = 1.5
# How much of the past the speed that is shown goes by.
_SMOOTHING = 0.9


class PretrainingProgress(keras.callbacks.Callback):
    """Shows steps, losses, speed and time left; stops what cannot go on.

    Args:
        steps: int, of the whole run.
        batches_per_step: int, batches that an optimizer's step takes.
        feed: a `keras_albert.pretraining.feed.Feed`.
        guessing: float, the loss of a model that knows nothing.
        checkpoint: function without arguments, the step of the last
            checkpoint.
        cluster: the run's `Cluster`. Only process 0 shows anything, and
            stops a run in the middle of an interval.
        stream: a text stream, stderr by default. A terminal gets a bar,
            others get lines.

    Attributes:
        curve: list of `(step, loss)` pairs of the running interval, means
            since the pair before.

    Raises:
        ValueError: in training, when the loss is not finite or has diverged.
    """

    def __init__(
        self,
        steps,
        batches_per_step,
        feed,
        guessing,
        checkpoint,
        cluster,
        stream=None,
    ):
        super().__init__()
        self.steps = steps
        self.batches_per_step = batches_per_step
        self.feed = feed
        self.guessing = guessing
        self.checkpoint = checkpoint
        self.stream = sys.stderr if stream is None else stream
        self.is_first = cluster.is_first
        self.readers = cluster.readers
        self.step = 0
        self.curve = []
        self.tokens_per_second = None
        self._bar = None

    def open(self, step):
        """Starts at a step."""
        self.step = step
        if not self.is_first or not self.stream.isatty():
            return
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("step {task.completed:,}/{task.total:,}"),
            progress.BarColumn(bar_width=None),
            progress.TextColumn("{task.fields[note]}"),
            console=Console(file=self.stream),
            transient=True,
        )
        self._row = self._bar.add_task("", total=self.steps, note="")
        self._bar.update(self._row, completed=step)
        self._bar.start()

    def close(self):
        """Removes the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, line):
        """Prints a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        elif self.is_first:
            print(line, file=self.stream, flush=True)

    def speed(self):
        """Tokens a second and time left, as text."""
        if not self.tokens_per_second:
            return "starting"
        return (
            f"{self.tokens_per_second:,.0f} tokens/s, "
            f"{_duration(self._seconds_left)} left"
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.curve = []
        self._batches = 0
        self._last = (0, 0.0)
        self._read(time.perf_counter())

    def _read(self, now):
        self._read_at = now
        self._tokens_read = self.feed.tokens
        self._steps_read = self.step

    def on_train_batch_end(self, batch, logs=None):
        done = batch + 1 - self._batches
        self._batches += done
        self.feed.passed(done)
        if self._batches % self.batches_per_step:
            return
        self.step += max(done // self.batches_per_step, 1)
        now = time.perf_counter()
        wait = _SECONDS_BETWEEN_READINGS
        if not self.is_first or now - self._read_at < wait:
            return
        loss = self.check(logs)
        now = time.perf_counter()  # The device has caught up.
        self._measure(now - self._read_at)
        self._read(now)
        if self._bar is not None:
            note = f"loss {loss:.3f}  {self.speed()}"
            self._bar.update(self._row, completed=self.step, note=note)

    def check(self, logs):
        """Adds to the curve, and raises ValueError if the run is lost.

        Args:
            logs: dictionary of Keras, means since the interval began.

        Returns:
            float, the mean loss since the last time.
        """
        loss = float(logs["loss"])
        former_count, former_loss = self._last
        if self._batches == former_count:
            return loss
        recent = (loss * self._batches - former_loss * former_count) / (
            self._batches - former_count
        )
        self._last = (self._batches, loss)
        if not np.isfinite(recent):
            self._stop(f"The training loss must be finite. It became {recent}")
        if recent > _DIVERGED * self.guessing:
            self._stop(
                f"The training loss diverged: it became {recent:.3g}, where "
                f"guessing costs {self.guessing:.3g}"
            )
        self.curve.append((self.step, recent))
        return recent

    def _stop(self, what):
        kept = self.checkpoint()
        kept = f"The checkpoint of step {kept:,} is kept. " if kept else ""
        raise ValueError(
            f"{what}, by step {self.step:,} of {self.steps:,}. {kept}Start "
            "again in another folder, with a smaller learning rate, a longer "
            "warm-up or another seed."
        )

    def _measure(self, seconds):
        # All readers' batches have equally many rows.
        tokens = self.readers * (self.feed.tokens - self._tokens_read)
        rate = tokens / seconds
        steps = (self.step - self._steps_read) / seconds
        if self.tokens_per_second is None:
            # The first reading holds the compilation.
            self.tokens_per_second, self._steps_per_second = 0.0, 0.0
            return
        if self.tokens_per_second:
            rate += _SMOOTHING * (self.tokens_per_second - rate)
            steps += _SMOOTHING * (self._steps_per_second - steps)
        self.tokens_per_second, self._steps_per_second = rate, steps

    @property
    def _seconds_left(self):
        left = self.steps - self.step
        return left / max(self._steps_per_second, 1e-9)


def _duration(seconds):
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
