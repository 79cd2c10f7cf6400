"""The same weights on each backend: how far their logits are apart.

    python benchmarks/backend_parity.py [--size base] [--rows 4] [--length 128]
        [--backends tensorflow jax torch]

A classifier with random weights is saved as a preset under the first backend.
Each backend loads it in a process of its own and computes logits on the same
random ids, segments and masks. Printed is the largest |Δ| of each pair; the
exit code is 1 if one is above 1e-5.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile

import numpy as np

TOLERANCE = 1e-5
# hidden_dim, num_layers, num_heads, intermediate_dim
SIZES = {
    "tiny": (64, 4, 4, 256),
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
}


def write_preset(folder, size):
    import keras

    import keras_albert as ka

    hidden_dim, num_layers, num_heads, intermediate_dim = SIZES[size]
    keras.utils.set_random_seed(0)
    classifier = ka.AlbertTextClassifier(
        ka.AlbertBackbone(
            vocabulary_size=30000,
            num_layers=num_layers,
            num_heads=num_heads,
            embedding_dim=128,
            hidden_dim=hidden_dim,
            intermediate_dim=intermediate_dim,
        ),
        num_classes=3,
    )
    classifier.save_to_preset(os.path.join(folder, "preset"))


def compute_logits(folder):
    import keras

    import keras_albert as ka

    classifier = ka.AlbertTextClassifier.from_preset(
        os.path.join(folder, "preset")
    )
    with np.load(os.path.join(folder, "batch.npz")) as batch:
        logits = classifier.predict(dict(batch), verbose=0)
    backend = keras.backend.backend()
    np.save(os.path.join(folder, f"{backend}.npy"), logits)


def random_batch(rows, length):
    generator = np.random.default_rng(0)
    tokens = generator.integers(2, length + 1, size=(rows, 1))
    return {
        "token_ids": generator.integers(0, 30000, (rows, length)),
        "segment_ids": generator.integers(0, 2, (rows, length)),
        "padding_mask": np.arange(length) < tokens,
    }


def run(step, folder, size, backend):
    subprocess.run(
        [sys.executable, __file__, "--step", step, folder, "--size", size],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        check=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument(
        "--backends", nargs="+", default=["tensorflow", "jax", "torch"]
    )
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step, folder = arguments.step
        if step == "write":
            write_preset(folder, arguments.size)
        else:
            compute_logits(folder)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        batch = random_batch(arguments.rows, arguments.length)
        np.savez(
            os.path.join(folder, "batch.npz"),
            **{name: x.astype("int32") for name, x in batch.items()},
        )
        run("write", folder, arguments.size, arguments.backends[0])
        logits = {}
        for backend in arguments.backends:
            run("compute", folder, arguments.size, backend)
            logits[backend] = np.load(os.path.join(folder, f"{backend}.npy"))
    print(f"{arguments.size}, {arguments.rows} rows of {arguments.length}")
    worst = 0.0
    for one, other in itertools.combinations(arguments.backends, 2):
        difference = float(np.abs(logits[one] - logits[other]).max())
        worst = max(worst, difference)
        print(f"{one:<10} {other:<10} max |Δ| {difference:.2e}")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
