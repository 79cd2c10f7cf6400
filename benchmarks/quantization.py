r"""What each way to store the weights costs, on a trained classifier.

    python benchmarks/quantization.py MODEL --data dev.tsv \
        --text-column sentence --label-column label [--rounds 3]
    python benchmarks/quantization.py --base [--folder DIR]

For a preset: one row a recipe, with the bits of each part of the model, the
file's size, the labels that stay the same, the accuracy, and the
probabilities' mean |Δ|. `--base` is ALBERT-base with random weights, 128
tokens, for size, memory and latency beside KerasHub's own LiteRT export: each
file in a process of its own, in turn, `ai_edge_litert` on 2 threads; memory is
that above the bare interpreter. Files that are in DIR already are not made
again.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

PARTS = ("embedding", "attention", "feed_forward", "other")
RECIPES = {
    "int8": (8, 8, 8, 8),
    "4: embedding": (4, 8, 8, 8),
    "4: attention": (8, 4, 8, 8),
    "4: feed-forward": (8, 8, 4, 8),
    "4: layers": (8, 4, 4, 8),
    "4: embedding, feed-forward": (4, 8, 4, 8),
    "4: embedding, layers": (4, 4, 4, 8),
    "4: everything": (4, 4, 4, 4),
}
BASE = {
    "vocabulary_size": 30000,
    "num_layers": 12,
    "num_heads": 12,
    "embedding_dim": 128,
    "hidden_dim": 768,
    "intermediate_dim": 3072,
}
TOKENS = (128, 20)
# One process: a file, its memory and the median latency at each length.
RUN = """
import statistics, sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from measure import memory

path, lengths = sys.argv[1], map(int, sys.argv[2].split(","))
memory(), np.ones(1) @ np.ones(1)
bare = memory()[0]
interpreter = Interpreter(path, num_threads=2)
run = interpreter.get_signature_runner()
for place, tokens in enumerate(lengths):
    ones = np.ones((1, tokens), "int32")
    inputs = {name: ones for name in run.get_input_details()}
    segments = [name for name in inputs if "segment" in name]
    inputs[segments[0]] = 0 * ones
    run(**inputs), run(**inputs)
    if place == 0:
        print((memory()[0] - bare) / 1e6)
    times = []
    for _ in range(15):
        start = time.perf_counter()
        run(**inputs)
        times.append(1000 * (time.perf_counter() - start))
    print(statistics.median(times))
"""
RUNTIMES = os.path.join(
    os.path.dirname(os.path.abspath(__file__)),
    "../keras_albert/export/runtimes",
)


def compare_recipes(model, rows):
    from keras_albert.export import litert

    whole = litert.convert(model)
    features = [tokens_of(model, text) for text in rows.texts]
    targets = np.array([model.labels.index(label) for label in rows.labels])
    expected = probabilities(whole, features)
    print_recipe("float32", whole, expected, expected, targets)
    for name, bits in RECIPES.items():
        content = litert.quantize_weights(
            whole, model.backbone, dict(zip(PARTS, bits, strict=True))
        )
        received = probabilities(content, features)
        print_recipe(name, content, expected, received, targets)


def tokens_of(model, text):
    features = model.preprocessor([text], y=None)
    tokens = int(np.sum(features["padding_mask"]))
    return {
        name: np.asarray(x)[:, :tokens].astype("int32")
        for name, x in features.items()
    }


def probabilities(content, features):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=2)
    run = interpreter.get_signature_runner()
    return np.concatenate([run(**x)["probabilities"] for x in features])


def print_recipe(name, content, expected, received, targets):
    labels = received.argmax(axis=-1)
    accuracy = (labels == targets).mean()
    drop = (expected.argmax(axis=-1) == targets).mean() - accuracy
    same = (labels == expected.argmax(axis=-1)).mean()
    print(
        f"{name:<28} {len(content) / 1e6:8.2f} MB  same label "
        f"{100 * same:6.2f} %  accuracy {accuracy:.4f} "
        f"({0.0 - 100 * drop:+.2f} points)  mean |Δ| "
        f"{np.abs(received - expected).mean():.4f}",
        flush=True,
    )


def measure_base(folder, rounds):
    import keras_nlp

    import keras_albert as ka

    names = ["KerasHub float32"] + [
        f"{layout} {quantization}"
        for layout in ("rolled", "unrolled")
        for quantization in ("float32", "int8", "int4")
    ]
    paths = {
        name: os.path.join(folder, f"{name.replace(' ', '_')}.tflite")
        for name in names
    }
    model = ka.AlbertTextClassifier(ka.AlbertBackbone(**BASE), 2)
    for name, path in paths.items():
        if os.path.exists(path):
            continue
        if name == names[0]:
            backbone = keras_nlp.models.AlbertBackbone(**BASE)
            peer = keras_nlp.models.AlbertTextClassifier(backbone, 2)
            peer.export(path, format="litert")
            continue
        layout, quantization = name.split()
        ka.export.to_litert(
            model,
            path,
            layout=layout,
            quantization=None if quantization == "float32" else quantization,
        )
    runs = {name: [] for name in paths}
    for _ in range(rounds):
        for name, path in paths.items():
            lengths = TOKENS if name.startswith("rolled") else TOKENS[:1]
            runs[name].append(run_alone(path, lengths))
    print_base(paths, runs)


def run_alone(path, lengths):
    finished = subprocess.run(
        [sys.executable, "-c", RUN, path, ",".join(map(str, lengths))],
        env={**os.environ, "PYTHONPATH": RUNTIMES},
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(line) for line in finished.stdout.split()]


def print_base(paths, runs):
    peer = None
    for name, reports in runs.items():
        median = [statistics.median(x) for x in zip(*reports, strict=True)]
        peer = peer or median
        line = (
            f"{name:<18} {os.path.getsize(paths[name]) / 1e6:6.2f} MB  memory "
            f"{median[0]:6.1f} MB ({median[0] / peer[0]:.3f} x KerasHub)  "
            f"{TOKENS[0]} tokens {median[1]:6.1f} ms "
            f"({median[1] / peer[1]:.2f} x KerasHub)"
        )
        if len(median) > 2:
            line += (
                f"  {TOKENS[1]} tokens {median[2]:5.1f} ms "
                f"({median[2] / median[1]:.2f} x {TOKENS[0]})"
            )
        print(line)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="See the top of this file for examples.",
    )
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="preset of a classifier")
    add("--data", metavar="FILE")
    add("--text-column", metavar="C")
    add("--label-column", metavar="C")
    add("--base", action="store_true", help="ALBERT-base beside KerasHub")
    add("--folder", metavar="DIR", help="keeps the files of --base")
    add("--rounds", type=int, default=3, metavar="N")
    args = parser.parse_args()
    if args.base:
        with tempfile.TemporaryDirectory() as folder:
            measure_base(args.folder or folder, args.rounds)
    if args.model:
        from keras_albert.data.readers import read_rows
        from keras_albert.tasks.loading import load_preset

        rows = read_rows(
            args.data, args.text_column, label_column=args.label_column
        )
        compare_recipes(load_preset(args.model, dtype="float32"), rows)


if __name__ == "__main__":
    main()
