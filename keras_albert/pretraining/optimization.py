"""Optimizers and learning rates of pretraining."""

import keras

from keras_albert.optimizers.lamb import NOT_ADAPTED, AlbertLAMB
from keras_albert.optimizers.schedules import WarmupPolynomialDecay

# Learning rate at a batch size, and the power of the batch size that it goes
# by. LAMB: the original's settings and the square-root scaling of the LAMB
# paper (section 4). AdamW: found with the bundled preset, see
# docs/pretraining.md.
_LEARNING_RATES = {"lamb": (0.00176, 4096, 0.5), "adamw": (1e-3, 32, 0.5)}
OPTIMIZERS = tuple(_LEARNING_RATES)
WEIGHT_DECAY = 0.01
GLOBAL_CLIPNORM = 1.0


def default_learning_rate(optimizer, batch_size):
    """The learning rate that fits a batch size.

    Args:
        optimizer: string, one of `OPTIMIZERS`.
        batch_size: int, examples of an optimizer's step.
    """
    rate, reference, power = _LEARNING_RATES[optimizer]
    return rate * (batch_size / reference) ** power


def make_schedule(settings):
    """The learning rate by step.

    Args:
        settings: dictionary of the arguments of `pretrain`.
    """
    # An optimizer that accumulates counts the parts.
    batches = settings["steps"] * settings["accumulate"]
    return WarmupPolynomialDecay(
        settings["learning_rate"],
        batches,
        round(settings["warmup"] * batches),
    )


def make_optimizer(settings, schedule, mirrored=1):
    """The optimizer.

    Args:
        settings: dictionary of the arguments of `pretrain`.
        schedule: what `make_schedule` returned.
        mirrored: int, replicas of TensorFlow's `MirroredStrategy`.
    """
    classes = {"lamb": AlbertLAMB, "adamw": keras.optimizers.AdamW}
    optimizer_class = classes[settings["optimizer"]]
    if mirrored > 1:
        from keras_albert.pretraining.mirrored import over_replicas

        optimizer_class = over_replicas(optimizer_class)
    common = {
        "learning_rate": schedule,
        "global_clipnorm": GLOBAL_CLIPNORM / mirrored,
        "gradient_accumulation_steps": (
            settings["accumulate"] if settings["accumulate"] > 1 else None
        ),
    }
    if settings["optimizer"] == "lamb":
        optimizer = optimizer_class(weight_decay_rate=WEIGHT_DECAY, **common)
    else:
        optimizer = optimizer_class(weight_decay=WEIGHT_DECAY, **common)
        optimizer.exclude_from_weight_decay(var_names=list(NOT_ADAPTED))
    if settings["dtype"] == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
