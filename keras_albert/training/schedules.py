"""Learning-rate schedules."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_albert")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to a peak, then falls linearly to 0.

    The schedule of the original (`optimization.py`, google-research/albert:
    `polynomial_decay` of power 1 with `num_warmup_steps`).

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
