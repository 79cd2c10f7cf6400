r"""From texts to labels: texts a second, beside Hugging Face sorted by length.

    KERAS_BACKEND=jax python benchmarks/inference.py DATA [--rounds 3]
        [--size base] [--batch-size 32] [--json FILE]

The dev sentences of SST-2 in the data folder that docs/data.md describes, and
ALBERT-base with random weights, the same on both sides:

- here: `classify`, with its defaults, on KERAS_BACKEND;
- Hugging Face, always on torch: the fast tokenizer on all texts in one call,
  sorted by length, batches of `--batch-size` padded to their longest text.

First the logits of both are compared: the exit code is 1 if they are not the
same, or a label is not. Then they run in turns, in one process, after a run
that compiles what there is to compile. Figures are medians.
"""

import argparse
import json
import sys
import time

import keras
import numpy as np
import peers
import torch

TARGET = 1.3
DRAWN_ON = 32  # texts


def sorted_by_length(model, tokenizer, texts, batch_size):
    """Logits of Hugging Face's model, in the order of the texts."""
    encoded = tokenizer(texts, truncation=True, return_token_type_ids=True)
    order = np.argsort([len(ids) for ids in encoded["input_ids"]])
    logits = np.empty((len(texts), len(peers.LABELS)), "float32")
    with torch.inference_mode():
        for start in range(0, len(texts), batch_size):
            rows = order[start : start + batch_size]
            batch = peers.hugging_face_batch(tokenizer, encoded, rows)
            logits[rows] = model(**batch).logits.numpy()
    return logits


def labelled(logits):
    """What `classify` returns, from logits."""
    probabilities = torch.softmax(torch.from_numpy(logits), -1).numpy()
    best = probabilities.argmax(-1)
    return [
        {"label": peers.LABELS[index], "score": float(row[index])}
        for row, index in zip(probabilities, best, strict=True)
    ]


def draw_weights(model, texts):
    """Random weights with which each text has outputs of its own.

    With the initializer's standard deviation of 0.02 they are nearly alike.
    The bias is such that both labels occur.
    """
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if variable.name == "kernel":
            shape = variable.shape
            variable.assign(generator.normal(size=shape) / shape[0] ** 0.5)
    logits = model.predict_by_length(texts)
    model.output_dense.bias.assign(-np.median(logits, axis=0))


def compare(ours, theirs):
    """Raises SystemExit unless both logits, and the labels, are the same."""
    report = peers.check_same({"keras_albert": ours, "Hugging Face": theirs})
    # Nearer to a tie, rounding chooses.
    margin = 2 * report["largest_difference"]
    clear = np.abs(ours[:, 0] - ours[:, 1]) > margin
    equal = (ours.argmax(-1) == theirs.argmax(-1))[clear]
    counts = np.bincount(ours.argmax(-1), minlength=len(peers.LABELS))
    print(
        f"{equal.sum()} of {len(equal)} labels equal, "
        f"{' and '.join(map(str, counts))} of each"
    )
    if not equal.all():
        sys.exit("All labels must be equal. They are not.")
    return {**report, "equal_labels": int(equal.sum()), "labels": len(equal)}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    peers.add_arguments(parser)
    add = parser.add_argument
    add("--batch-size", type=int, default=32, help="Hugging Face's [32]")
    add("--texts", type=int, help="the first N only [all]")
    args = parser.parse_args(argv)

    texts, _ = peers.read_sst2(args.data, "dev")
    texts = texts[: args.texts]
    ours, model, tokenizer = peers.make_pair(
        args, lambda model: draw_weights(model, texts[:DRAWN_ON])
    )
    model.eval()

    def theirs():
        return sorted_by_length(model, tokenizer, texts, args.batch_size)

    began = time.perf_counter()
    logits = ours.predict_by_length(texts)
    first_seconds = time.perf_counter() - began
    agreement = compare(logits, theirs())
    contenders = {
        "keras_albert": lambda: ours.classify(texts),
        "Hugging Face": lambda: labelled(theirs()),
    }
    seconds, results = peers.time_in_turns(contenders, args.rounds)
    for name, (first, *_) in results.items():
        assert len(first) == len(texts), name
    rates = peers.rates_of(seconds, len(texts))
    ratio = rates["keras_albert"] / rates["Hugging Face"]
    backend = keras.backend.backend()
    print(f"{len(texts)} texts, ALBERT-{args.size}, {args.rounds} rounds")
    print(f"keras_albert, {backend:<12} {rates['keras_albert']:8.1f} texts/s")
    print(f"Hugging Face, torch        {rates['Hugging Face']:8.1f} texts/s")
    print(f"ratio {ratio:.2f} (target {TARGET})")
    print(f"first run on {backend}, with compilation: {first_seconds:.1f} s")
    if args.json:
        report = {
            "backend": backend,
            "size": args.size,
            "texts": len(texts),
            "batch_size": args.batch_size,
            "agreement": agreement,
            "first_seconds": first_seconds,
            "seconds": seconds,
            "texts_per_second": rates,
            "ratio": ratio,
            "target": TARGET,
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
