"""Learning-rate schedules."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_albert")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to a peak, then falls linearly to 0.

    The usual form of the original's schedule, whose rate steps down at the
    end of the warm-up: see `WarmupPolynomialDecay`.

    Args:
        peak: float, the highest learning rate.
        warmup_steps: int, the steps that it rises for.
        total_steps: int, the step at which it is 0 again.

    Raises:
        ValueError: if the steps contradict each other.

    Example:
    ```python
    schedule = WarmupLinearDecay(1e-3, warmup_steps=10, total_steps=100)
    optimizer = keras.optimizers.AdamW(schedule)
    ```
    """

    def __init__(self, peak, warmup_steps, total_steps):
        super().__init__()
        if not 0 <= warmup_steps <= total_steps or total_steps < 1:
            raise ValueError(
                "`warmup_steps` must lie between 0 and `total_steps`. "
                f"Received: warmup_steps={warmup_steps}, "
                f"total_steps={total_steps}."
            )
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step):
        # Step 0 already trains: the rate counts the step that is taken.
        step = ops.cast(step, "float32")
        rising = (step + 1.0) / max(self.warmup_steps, 1)
        falling = (self.total_steps - step) / max(
            self.total_steps - self.warmup_steps, 1
        )
        return self.peak * ops.maximum(
            ops.minimum(ops.minimum(rising, falling), 1.0), 0.0
        )

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


@keras.saving.register_keras_serializable(package="keras_albert")
class WarmupPolynomialDecay(keras.optimizers.schedules.LearningRateSchedule):
    """The original's schedule: decay from the first step, warm-up before.

    Source: google-research/albert `optimization.py`, `create_optimizer`. The
    rate decays over all steps; during the warm-up it is, instead, the part
    of `peak` that step by step is. The first step has the rate 0.

    Args:
        peak: float, the learning rate that decays.
        steps: int, the step at which it is `end`.
        warmup_steps: int, the steps that it rises for.
        power: float, of the polynomial.
        end: float, the last learning rate.

    Raises:
        ValueError: if the steps contradict each other.
    """

    def __init__(self, peak, steps, warmup_steps=0, power=1.0, end=0.0):
        super().__init__()
        if not 0 <= warmup_steps <= steps or steps < 1:
            raise ValueError(
                "`warmup_steps` must lie between 0 and `steps`. Received: "
                f"warmup_steps={warmup_steps}, steps={steps}."
            )
        self.peak = peak
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.power = power
        self.end = end

    def __call__(self, step):
        step = ops.cast(step, "float32")
        left = 1.0 - ops.minimum(step, self.steps) / self.steps
        rate = (self.peak - self.end) * ops.power(left, self.power) + self.end
        rising = self.peak * step / max(self.warmup_steps, 1)
        return ops.where(step < self.warmup_steps, rising, rate)

    def get_config(self):
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "power": self.power,
            "end": self.end,
        }
