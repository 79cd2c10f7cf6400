"""Memory on the device, of one shared layer and of several.

    python benchmarks/device_memory.py [--rounds 3]

ALBERT-base with random weights as it is, and with 2 groups of 2 layers, beside
KerasHub's own LiteRT export of the same sizes; 128 tokens, 2 threads, each
file in a process of its own, in turn. Memory is that above the bare runtime,
at its peak. `device.py` compares more formats.
"""

import argparse
import os
import statistics
import tempfile

from device import OURS, SHAPES, export_all, measure

FILES = tuple(row for row in OURS if row[0].endswith(("fp32", "int8")))[:2]
ROW = "{:<15}{:<20}{:>10}{:>8}{:>10}{:>8}{:>10}{:>9}{:>8}"


def layer_bytes(shape):
    """Bytes of the float32 weights of all layers that differ."""
    hidden, inner = shape["hidden_dim"], shape["intermediate_dim"]
    matrices = 4 * hidden * hidden + 2 * hidden * inner
    vectors = 9 * hidden + inner
    layers = shape.get("num_groups", 1) * shape.get("num_inner_repetitions", 1)
    return 4 * layers * (matrices + vectors)


def print_shape(name, rounds):
    with tempfile.TemporaryDirectory() as folder:
        cases = list(export_all(name, folder, ("litert",), FILES))
        runs = {case: [] for case in cases}
        for _ in range(rounds):
            for case in cases:
                runs[case].append(measure(case[2], case[1]))
        peer = None
        for (file, _, path, seconds), results in runs.items():
            memory, latency = (
                statistics.median(result[i] for result in results)
                for i in (0, 1)
            )
            peer = peer or (memory, latency)
            print(
                ROW.format(
                    name,
                    file,
                    f"{seconds:.1f}",
                    f"{os.path.getsize(path) / 1e6:.2f}",
                    f"{memory / 1e6:.1f}",
                    f"{memory / peer[0]:.3f}",
                    f"{memory / layer_bytes(SHAPES[name]):.2f}",
                    f"{latency:.1f}",
                    f"{latency / peer[1]:.2f}",
                )
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    columns = ("shape", "file", "convert s", "MB", "memory MB", "x peer")
    print(ROW.format(*columns, "x layers", "ms", "x peer"))
    for name in SHAPES:
        print_shape(name, args.rounds)
    print("x layers: over the float32 weights of the layers that differ")


if __name__ == "__main__":
    main()
