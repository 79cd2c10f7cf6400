r"""A pretraining step with the data pipeline and with one cached batch.

    KERAS_BACKEND=jax python benchmarks/pretraining_step.py DATA \
        --vocabulary vocabulary.spm

DATA is a folder of `keras-albert prepare-pretraining`. The model has the
bundled preset's size. Both run in turns, and medians are printed: seconds a
step, tokens a second, and the ratio, which is 1 where training never waits.
"""

import argparse
import itertools
import json
import statistics
import time

import keras

import keras_albert as ka
from keras_albert.pretraining.dataset import Position, PretrainingBatches
from keras_albert.pretraining.feed import Feed
from keras_albert.pretraining.records import read_dataset


class StepTimes(keras.callbacks.Callback):
    """Seconds of each training step after the first ones."""

    def on_train_begin(self, logs=None):
        self.seconds, self._last = [], None

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # Waits for the device.
        now = time.perf_counter()
        if self._last is not None:
            self.seconds.append(now - self._last)
        self._last = now


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--steps", type=int, default=15, help="in a turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--jit-compile", action="store_true")
    args = parser.parse_args()

    tokenizer = ka.AlbertTokenizer(args.vocabulary)
    backbone = ka.AlbertBackbone.from_preset(
        "albert_tiny_en", dropout=0.0, attention_dropout=0.0
    )
    model = ka.AlbertPretrainer(backbone, compile=False)
    is_jax = keras.backend.backend() == "jax"
    model.compile(
        keras.optimizers.AdamW(1e-4, global_clipnorm=1.0),
        jit_compile=args.jit_compile or is_jax,
    )
    batches = PretrainingBatches(
        read_dataset(args.data),
        tokenizer,
        args.sequence_length,
        args.batch_size,
    )

    def seconds(source, steps=args.steps):
        times = StepTimes()
        keras.Model.fit(
            model,
            source,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[times],
        )
        return times.seconds[2:]

    def feed():
        return iter(Feed(batches, Position()))

    def repeated():
        yield from itertools.repeat(cached)

    cached = next(feed())
    tokens = cached[0]["padding_mask"].sum()
    seconds(repeated(), 4)  # Compiles.
    measured = {"pipeline": [], "cached": []}
    for _ in range(args.turns):
        measured["pipeline"] += seconds(feed())
        measured["cached"] += seconds(repeated())
    medians = {n: statistics.median(s) for n, s in measured.items()}
    report = {
        "backend": keras.backend.backend(),
        "batch_size": args.batch_size,
        "sequence_length": args.sequence_length,
        **{f"{n}_seconds": round(s, 4) for n, s in medians.items()},
        "tokens_per_second": round(float(tokens / medians["pipeline"])),
        "ratio": round(medians["pipeline"] / medians["cached"], 3),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
