"""What test_cluster.py runs in processes of their own.

python cluster_program.py ROLE DATA VOCABULARY FOLDER
"""

import contextlib
import json
import os
import pathlib
import sys

import numpy as np

RUN = {
    "sizes": {
        "hidden_dim": 16,
        "num_layers": 2,
        "num_heads": 2,
        "embedding_dim": 8,
        "intermediate_dim": 32,
    },
    "dropout": 0.1,
    "sequence_length": 32,
    "batch_size": 8,
    "steps": 6,
    "checkpoint_every": 3,
    "learning_rate": 1e-2,
    "optimizer": "lamb",
}
DIVIDED = {"model_parallel": 2, "steps": 3}


class InterruptionError(Exception):
    pass


def one_process():
    """One process for the batches of two, and for several devices."""
    from keras_albert.pretraining import run as run_module

    batches_class = run_module.PretrainingBatches

    class OfTwoReaders(batches_class):
        """Batches whose halves are those of two readers."""

        def __init__(self, *args, batch_size, split="train", **kwargs):
            super().__init__(
                *args, batch_size=batch_size, split=split, **kwargs
            )
            if split == "dev":
                return
            kwargs = {**kwargs, "batch_size": batch_size // 2, "processes": 2}
            self.halves = [
                batches_class(*args, **{**kwargs, "process": process})
                for process in (0, 1)
            ]

        def batches(self, start=None):
            return Halves(self.halves)

    class Halves:
        def __init__(self, halves):
            self.halves = halves

        def as_numpy_iterator(self):
            from keras import tree

            streams = [
                half.batches().as_numpy_iterator() for half in self.halves
            ]
            for (one, position), (two, _) in zip(*streams, strict=True):
                both = tree.map_structure(
                    lambda *x: np.concatenate(x), one, two
                )
                yield both, position

    run_module.PretrainingBatches = OfTwoReaders
    train("of_two_readers")
    run_module.PretrainingBatches = batches_class
    train("one_device", steps=3)
    train("divided", **DIVIDED)  # Twice, in halves: four devices.


def one_of_two():
    """A process of two: one run, then an interrupted one, and others."""
    import jax

    from keras_albert.cli import main
    from keras_albert.pretraining.run import PretrainingRun

    train("whole")
    failures["batch size"] = failure("odd", batch_size=9)
    failures["seed"] = failure("seeds", seed=jax.process_index())
    train("whole_divided", **DIVIDED)
    train_interrupted("interrupted")
    tell()

    end_interval = PretrainingRun._end_interval

    def die(self, interval, logs):
        if interval == 1 and jax.process_index() == 1:
            os._exit(9)
        end_interval(self, interval, logs)

    PretrainingRun._end_interval = die
    command = ["pretrain", data, "--vocabulary", vocabulary]
    command += ["-o", str(folder / "dying")]
    for name, value in {**RUN, **RUN["sizes"]}.items():
        if name != "sizes":
            command += ["--" + name.replace("_", "-"), str(value)]
    sys.exit(main(command))


def mirrored():
    """TensorFlow's strategy on two devices, and one device."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    # Each device drops others: losses are alike without dropout only.
    train("one_device", dropout=0.0)
    train("two_devices", dropout=0.0, devices=2)
    train_interrupted("interrupted", dropout=0.0, devices=2)
    failures["devices"] = failure("many", devices=3)
    failures["accumulate"] = failure("parts", devices=2, accumulate=2)
    failures["resume"] = failure("interrupted", dropout=0.0, resume=True)


def train(name, **kwargs):
    from keras_albert.pretraining.recipe import pretrain

    where = folder / name
    if (
        role == "one_of_two"
        and os.environ["KERAS_DISTRIBUTION_PROCESS_ID"] != "0"
    ):
        where = folder / "nothing" / name  # Must not be made.
    return pretrain(data, vocabulary, where, **{**RUN, **kwargs})


def train_interrupted(name, **kwargs):
    """Trains for an interval, and then goes on."""
    from keras_albert.pretraining.run import PretrainingRun

    end_interval = PretrainingRun._end_interval

    def interrupt(self, interval, logs):
        end_interval(self, interval, logs)
        raise InterruptionError

    PretrainingRun._end_interval = interrupt
    with contextlib.suppress(InterruptionError):
        train(name, **kwargs)
    PretrainingRun._end_interval = end_interval
    train(name, resume=True, **kwargs)


def failure(name, **kwargs):
    try:
        train(name, **kwargs)
    except (ValueError, OSError) as error:
        return str(error)


def tell():
    print(json.dumps(failures), flush=True)


if __name__ == "__main__":
    role, data, vocabulary, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    failures: dict = {}
    globals()[role]()
    tell()
