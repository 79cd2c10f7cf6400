"""What sharing layers is worth: this code as ALBERT, and as BERT.

    python benchmarks/sharing.py [--rounds 3] [--steps 3] [--layers 12]

The encoder of ALBERT-base's sizes with random weights, once as ALBERT (one
layer for all depths, embeddings of 128) and once as BERT: as many groups of
parameters as layers, and embeddings as wide as the encoder. Each as a LiteRT
file of the rolled layout, in a process of its own with nothing but its runtime
on 2 threads, in turn: the file, the memory at its peak above the bare runtime
and the latency of 128 tokens. Then a training step of 8 texts of 128 tokens
with AdamW, first of a model of each kind after the compilation, in turn.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

import keras
import numpy as np
from device import BASE, TOKENS, VOCABULARY, measure

import keras_albert as ka
from keras_albert.export.gate import WRITERS

BATCH = 8


def shapes(layers):
    albert = {**BASE, "num_layers": layers}
    bert = {"num_groups": layers, "embedding_dim": BASE["hidden_dim"]}
    return {"as ALBERT": albert, "as BERT": {**albert, **bert}}


def make(shape):
    keras.utils.set_random_seed(0)
    return ka.AlbertTextClassifier(ka.AlbertBackbone(**shape), 2)


def device_figures(models, rounds):
    """Of each: bytes of the file, peak memory and latency, medians."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for number, (name, model) in enumerate(models.items()):
            print(f"exporting {name}", file=sys.stderr)
            paths[name] = os.path.join(folder, f"{number}.tflite")
            WRITERS["litert"](model, paths[name])
        runs = {name: [] for name in paths}
        for _ in range(rounds):
            for name, path in paths.items():
                memory, latency, _ = measure(path, "litert")
                runs[name].append((memory, latency))
        return {
            name: (
                os.path.getsize(path),
                *(statistics.median(x) for x in zip(*runs[name], strict=True)),
            )
            for name, path in paths.items()
        }


def step_seconds(models, steps):
    """Of each: the median of a training step's seconds."""
    generator = np.random.default_rng(0)
    features = {
        "token_ids": generator.integers(0, VOCABULARY, (BATCH, TOKENS)),
        "segment_ids": np.zeros((BATCH, TOKENS), "int32"),
        "padding_mask": np.ones((BATCH, TOKENS), "int32"),
    }
    targets = generator.integers(0, 2, BATCH)
    times = {name: [] for name in models}
    for name, model in models.items():
        print(f"compiling the step {name}", file=sys.stderr)
        model.train_on_batch(features, targets)
    for _ in range(steps):
        for name, model in models.items():
            start = time.perf_counter()
            model.train_on_batch(features, targets)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(part) for name, part in times.items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--layers", type=int, default=12)
    args = parser.parse_args()
    models = {name: make(x) for name, x in shapes(args.layers).items()}
    device = device_figures(models, args.rounds)
    for name, figures in device.items():
        # A training step may take long: what is known is told.
        print(name, "bytes, bytes, ms:", *figures, file=sys.stderr)
    steps = step_seconds(models, args.steps)
    columns = "parameters", "file, MB", "memory, MB", "latency, ms", "step, s"
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    rows = {}
    for name, model in models.items():
        size, memory, latency = device[name]
        parameters = model.backbone.count_params()
        rows[name] = parameters, size, memory, latency, steps[name]
        print(
            f"| {name} | {parameters:,} | {size / 1e6:.1f} | "
            f"{memory / 1e6:.1f} | {latency:.1f} | {steps[name]:.2f} |"
        )
    albert, bert = rows.values()
    ratios = (f"{b / a:.2f}" for a, b in zip(albert, bert, strict=True))
    print("| BERT over ALBERT | " + " | ".join(ratios) + " |")


if __name__ == "__main__":
    main()
