"""Memory and latency on the device, beside KerasHub's own LiteRT export.

    python benchmarks/device_memory.py [--rounds 3]

ALBERT-base with random weights, 128 tokens, `ai_edge_litert` on 2 threads,
each file in a process of its own, the files in turn. Memory is that above
the bare interpreter.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

RUNTIME = os.path.join(
    os.path.dirname(__file__),
    "../keras_albert/export/runtimes/run_litert.py",
)
TOKENS = 128
THREADS = 2
VOCABULARY = 30000
BASE = {
    "vocabulary_size": VOCABULARY,
    "num_layers": 12,
    "num_heads": 12,
    "embedding_dim": 128,
    "hidden_dim": 768,
    "intermediate_dim": 3072,
}
SHAPES = {
    "base": BASE,
    "2 groups of 2": {**BASE, "num_groups": 2, "num_inner_repetitions": 2},
}


def export_peer(shape, path):
    import keras_nlp

    backbone = keras_nlp.models.AlbertBackbone(**SHAPES[shape])
    classifier = keras_nlp.models.AlbertTextClassifier(backbone, 2)
    start = time.perf_counter()
    classifier.export(path, format="litert")
    return time.perf_counter() - start


def export_ours(shape, path, quantization):
    import keras_albert as ka

    backbone = ka.AlbertBackbone(**SHAPES[shape])
    classifier = ka.AlbertTextClassifier(backbone, 2)
    start = time.perf_counter()
    ka.export.to_litert(classifier, path, quantization=quantization)
    return time.perf_counter() - start


def layer_bytes(shape):
    """Bytes of all distinct transformer layers in float32."""
    config = SHAPES[shape]
    hidden, intermediate = config["hidden_dim"], config["intermediate_dim"]
    weights = 4 * hidden * hidden + 2 * hidden * intermediate
    layers = config.get("num_groups", 1) * config.get(
        "num_inner_repetitions", 1
    )
    return 4 * weights * layers


def run(path, folder):
    """One process: the file, nothing but the runtime."""
    examples = os.path.join(folder, "examples.npz")
    results = os.path.join(folder, "results.npz")
    generator = np.random.default_rng(0)
    np.savez(
        examples,
        **{
            "latency/token_ids": generator.integers(
                0, VOCABULARY, (1, TOKENS), "int32"
            ),
            "latency/segment_ids": np.zeros((1, TOKENS), "int32"),
            "latency/padding_mask": np.ones((1, TOKENS), "int32"),
        },
    )
    subprocess.run(
        [
            sys.executable,
            RUNTIME,
            path,
            examples,
            results,
            str(THREADS),
        ],
        check=True,
        capture_output=True,
    )
    with np.load(results) as file:
        return json.loads(str(file["report"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        cases = []
        for shape in SHAPES:
            slug = shape.replace(" ", "_")
            path = os.path.join(folder, f"{slug}_peer.tflite")
            cases.append(
                (shape, "KerasHub fp32", path, export_peer(shape, path))
            )
            for quantization in (None, "int8"):
                name = quantization or "fp32"
                path = os.path.join(folder, f"{slug}_{name}.tflite")
                seconds = export_ours(shape, path, quantization)
                cases.append((shape, f"rolled {name}", path, seconds))
        runs = {case: [] for case in cases}
        for _ in range(rounds):
            for case in cases:
                runs[case].append(run(case[2], folder))
        print_table(runs)


def print_table(runs):
    print(
        f"{'shape':<14} {'file':<14} {'convert s':>9} {'file MB':>8} "
        f"{'resident MB':>11} {'peak MB':>8} {'x peer':>7} "
        f"{'x weights':>9} {'median ms':>9} {'x peer':>7}"
    )
    peers = {}
    for (shape, name, path, seconds), reports in runs.items():
        resident, peak, latency = (
            statistics.median(report[key] for report in reports)
            for key in ("resident_bytes", "peak_bytes", "median_latency_ms")
        )
        peer = peers.setdefault(shape, (peak, latency))
        print(
            f"{shape:<14} {name:<14} {seconds:9.1f} "
            f"{os.path.getsize(path) / 1e6:8.2f} {resident / 1e6:11.1f} "
            f"{peak / 1e6:8.1f} {peak / peer[0]:7.3f} "
            f"{peak / layer_bytes(shape):9.2f} "
            f"{latency:9.1f} {latency / peer[1]:7.2f}"
        )
    print(
        "x weights: peak memory over the float32 size of the distinct "
        "transformer layers"
    )


if __name__ == "__main__":
    main()
