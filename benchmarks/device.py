"""Exported files side by side, beside KerasHub's own export.

    python benchmarks/device.py [--rounds 3] [--model MODEL --data DEV.tsv]

ALBERT-base with random weights, each file in a process of its own with
nothing but its runtime on 2 threads, the files in turn. Memory is that above
the bare runtime, at its peak. With a fine-tuned classifier and its labelled
texts (columns `sentence` and `label`, as of GLUE's SST-2), what quantization
does to its accuracy.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

TOKENS = 128
SHORT = 20
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
SMALL = {
    **BASE,
    "vocabulary_size": 100,
    "num_layers": 1,
    "hidden_dim": 48,
    "intermediate_dim": 48,
}
PEER = "KerasHub fp32"
ONNX = "ONNX unrolled"
# name, format, options
OURS = (
    ("LiteRT rolled fp32", "litert", {}),
    ("LiteRT rolled int8", "litert", {"quantization": "int8"}),
    ("LiteRT rolled int4", "litert", {"quantization": "int4"}),
    ("LiteRT unrolled fp32", "litert", {"layout": "unrolled"}),
    ("ONNX rolled fp32", "onnx", {"layout": "rolled"}),
    ("ONNX rolled int8", "onnx", {"layout": "rolled", "quantization": "int8"}),
    (f"{ONNX} fp32", "onnx", {}),
    (f"{ONNX} int8", "onnx", {"quantization": "int8"}),
)


def export_peer(shape, path):
    import keras_nlp

    backbone = keras_nlp.models.AlbertBackbone(**SHAPES[shape])
    classifier = keras_nlp.models.AlbertTextClassifier(backbone, 2)
    start = time.perf_counter()
    classifier.export(path, format="litert")
    return time.perf_counter() - start


def export_all(shape, folder, formats, ours=OURS):
    """Writes the files; yields name, format, path, seconds."""
    import keras_albert as ka
    from keras_albert.export.gate import WRITERS

    if "litert" in formats:
        path = os.path.join(folder, "peer.tflite")
        yield PEER, "litert", path, export_peer(shape, path)
    backbone = ka.AlbertBackbone(**SHAPES[shape])
    classifier = ka.AlbertTextClassifier(backbone, 2)
    warm = ka.AlbertTextClassifier(ka.AlbertBackbone(**SMALL), 2)
    for name, format_, options in ours:
        if format_ not in formats:
            continue
        # Importing the converters is not what is measured.
        WRITERS[format_](warm, os.path.join(folder, "warm"), **options)
        suffix = {"litert": "tflite", "onnx": "onnx"}[format_]
        path = os.path.join(folder, f"{name.replace(' ', '_')}.{suffix}")
        print(f"exporting {name}", file=sys.stderr)
        start = time.perf_counter()
        WRITERS[format_](classifier, path, **options)
        yield name, format_, path, time.perf_counter() - start


def measure(path, format_):
    """Memory at 128 tokens, and the latencies of 128 and of 20."""
    from keras_albert.export.runtime_process import RuntimeProcess

    generator = np.random.default_rng(0)

    def inputs(tokens):
        return {
            "token_ids": generator.integers(
                0, VOCABULARY, (1, tokens), "int32"
            ),
            "segment_ids": np.zeros((1, tokens), "int32"),
            "padding_mask": np.ones((1, tokens), "int32"),
        }

    with RuntimeProcess(path, format_) as process:
        (signature,) = process.signatures
        shape = process.signatures[signature]["inputs"]["token_ids"]
        lengths = [TOKENS] if shape[-1] else [TOKENS, SHORT]
        report, _ = process.run(
            [(signature, inputs(tokens)) for tokens in lengths], []
        )
    times = [entry["median_ms"] for entry in report["latency"]]
    return report["peak_bytes"], times[0], times[-1] if times[1:] else None


def print_files(runs):
    print(
        f"{'file':<22}{'convert s':>10}{'MB':>8}{'memory MB':>11}"
        f"{'x peer':>8}{'128 ms':>8}{'x peer':>8}{'20 ms':>8}{'of 128':>8}"
    )
    peer = None
    medians = {}
    for (name, _, path, seconds), results in runs.items():
        memory, full, short = (
            statistics.median(values) if None not in values else None
            for values in zip(*results, strict=True)
        )
        peer = peer or (memory, full)
        medians[name] = full, seconds
        line = (
            f"{name:<22}{seconds:10.1f}{os.path.getsize(path) / 1e6:8.2f}"
            f"{memory / 1e6:11.1f}{memory / peer[0]:8.3f}"
            f"{full:8.1f}{full / peer[1]:8.2f}"
        )
        if short is not None:
            line += f"{short:8.1f}{short / full:8.2f}"
        print(line)
    print("x peer: over the first line's")
    if f"{ONNX} int8" in medians:
        (fp32, unrolled), (int8, _), (_, rolled) = (
            medians[name]
            for name in (f"{ONNX} fp32", f"{ONNX} int8", "ONNX rolled fp32")
        )
        print(
            f"ONNX int8 over fp32, time: {int8 / fp32:.2f}; conversion of "
            f"rolled over unrolled: {rolled / unrolled:.2f}"
        )


def print_accuracy(model, data):
    """What each file does to a trained classifier's accuracy."""
    from keras_albert.export.gate import WRITERS
    from keras_albert.export.verify import Reference
    from keras_albert.tasks.loading import load_preset
    from keras_albert.training.text_classification import files_for

    task = load_preset(model)
    files, labels = files_for(task, "sentence", "label", None, None)
    rows = files.read(data)
    reference = Reference(task, rows.texts, files.targets(rows, labels))
    print(f"{'file':<22}{'accuracy':>9}{'points':>8}{'same label %':>14}")
    with tempfile.TemporaryDirectory() as folder:
        for name, format_, options in OURS:
            path = os.path.join(
                folder, f"m.{'tflite' if format_ == 'litert' else 'onnx'}"
            )
            WRITERS[format_](task, path, **options)
            report = reference.check(path)
            print(
                f"{name:<22}{report.metric['artifact']:9.4f}"
                f"{0.0 - report.metric['drop']:+8.2f}"
                f"{100 * report.label_agreement:14.2f}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rounds", type=int, default=3)
    add("--shape", choices=SHAPES, default="base")
    formats = ("litert", "onnx")
    add("--formats", nargs="*", choices=formats, default=list(formats))
    add("--model", help="a fine-tuned classifier, a preset")
    add("--data", help="its labelled texts, GLUE's SST-2 dev.tsv")
    args = parser.parse_args()
    if args.formats:
        with tempfile.TemporaryDirectory() as folder:
            cases = list(export_all(args.shape, folder, args.formats))
            runs = {case: [] for case in cases}
            for _ in range(args.rounds):
                for case in cases:
                    runs[case].append(measure(case[2], case[1]))
            print_files(runs)
    if args.model:
        print_accuracy(args.model, args.data)


if __name__ == "__main__":
    main()
