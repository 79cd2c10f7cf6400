"""Sentences a second from text to packed batches, beside Hugging Face.

    python benchmarks/tokenization.py DATA [--rounds 5]

SST-2's training sentences of the data folder that docs/data.md describes,
truncated to 128 tokens, padded to the longest of their batch:

- here: an `AlbertTextClassifierPreprocessor` in a `tf.data` pipeline;
- Hugging Face: its fast tokenizer (Rust, as many threads as it likes), a
  batch a call, to NumPy arrays.

The contenders run in turn, in one process. The figures are medians of the
rounds; the exit code is 1 if the pipeline is slower with any batch size.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# A user's choice, where there is one; else the library warns about forks.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

from corpora import CORPORA, texts_of

BATCH_SIZES = (32, 256, 1024)
LENGTH = 128  # tokens


def make_ours(vocabulary, texts):
    import tensorflow as tf

    import keras_albert as ka
    from keras_albert.preprocessing.packer import trim_padding

    preprocessor = ka.AlbertTextClassifierPreprocessor(
        ka.AlbertTokenizer(str(vocabulary)), sequence_length=LENGTH
    )

    def run(batch_size):
        dataset = (
            tf.data.Dataset.from_tensor_slices(texts)
            .batch(batch_size)
            .map(
                lambda text: trim_padding(preprocessor(text)),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            .prefetch(tf.data.AUTOTUNE)
        )
        return sum(int(b["padding_mask"].shape[0]) for b in dataset)

    return run


def make_theirs(vocabulary, texts):
    import transformers

    from keras_albert.checkpoints.sentencepiece_model import read_model

    pieces, charsmap = read_model(vocabulary.read_bytes())
    tokenizer = transformers.AlbertTokenizer(
        vocab=[(piece, score) for piece, score, _ in pieces],
        _spm_precompiled_charsmap=charsmap,
    )

    def run(batch_size):
        return sum(
            tokenizer(
                texts[start : start + batch_size],
                padding=True,
                truncation=True,
                max_length=LENGTH,
                return_token_type_ids=True,
                return_tensors="np",
            )["input_ids"].shape[0]
            for start in range(0, len(texts), batch_size)
        )

    return run


def measure(run, batch_size, texts):
    start = time.perf_counter()
    assert run(batch_size) == texts
    return texts / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=pathlib.Path, help="folder")
    parser.add_argument("--rounds", type=int, default=5, help="[5]")
    parser.add_argument("--texts", type=int, help="[all]")
    args = parser.parse_args()
    (sources,) = [s for _, name, s in CORPORA if name == "SST-2"]
    texts = texts_of(args.data, sources)[: args.texts]
    vocabulary = args.data / "albert_vocab" / "spiece.model"
    contenders = [make(vocabulary, texts) for make in (make_ours, make_theirs)]
    print(f"{len(texts)} sentences, {os.cpu_count()} cores")
    print("| batch | here, sentences/s | Hugging Face, sentences/s | ratio |")
    print("|---|---|---|---|")
    slower = False
    for batch_size in BATCH_SIZES:
        rates = [[], []]
        for _ in range(1 + args.rounds):
            for rate, run in zip(rates, contenders, strict=True):
                rate.append(measure(run, batch_size, len(texts)))
        # The first round warms up.
        ours, theirs = (statistics.median(rate[1:]) for rate in rates)
        slower |= ours < theirs
        print(
            f"| {batch_size} | {ours:,.0f} | {theirs:,.0f} | "
            f"{ours / theirs:.2f} |",
            flush=True,
        )
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
