r"""What a pretrained model knows of the dev documents it was not trained on.

    python benchmarks/pretraining_dev.py MODEL DATA [--sequence-length 64 128]

MODEL is a preset with both heads, DATA a folder of `prepare-pretraining`. For
each length prints the accuracy on masked tokens and on sentence order, the
latter also for pairs that divide one long segment and for pairs of several
whole ones, which are much the harder, and how full the rows are. `--epochs`
draws of pairs and masks from each document.
"""

import argparse

import numpy as np
import tensorflow as tf

import keras_albert as ka
from keras_albert.preprocessing.pretrainer import pretraining_batch
from keras_albert.pretraining.dataset import PretrainingBatches
from keras_albert.pretraining.records import read_dataset, read_documents

FIRST = 100  # Segments' numbers are tokens beyond the special ones.


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("model")
    add("data")
    add("--sequence-length", type=int, nargs="+", default=[32, 64, 128])
    add("--epochs", type=int, default=3)
    args = parser.parse_args()

    model = ka.AlbertPretrainer.from_preset(args.model, compile=False)
    tokenizer = ka.AlbertTokenizer.from_preset(args.model)
    dataset = read_dataset(args.data)
    documents = [
        document
        for path in dataset.paths("dev")
        for document in read_documents(path)
    ]
    print("| tokens | rows | filled | masked | order | one segment | several |")
    print("|---|---|---|---|---|---|---|")
    for length in args.sequence_length:
        batches = PretrainingBatches(dataset, tokenizer, length, 64)
        drawn = [
            draw(batches, *document, (epoch, index))
            for epoch in range(args.epochs)
            for index, document in enumerate(documents)
        ]
        inputs, targets, weights, is_one = tf.nest.map_structure(
            lambda *parts: np.concatenate(parts), *drawn
        )
        answers = model.predict(inputs, batch_size=64, verbose=0)
        masked, order = (
            answers[name].argmax(-1) == targets[name] for name in ("mlm", "sop")
        )
        masked = masked[weights["mlm"] > 0]
        filled = inputs["padding_mask"].mean()
        print(
            f"| {length} | {len(order)} | {filled:.3f} "
            f"| {masked.mean():.3f} | {order.mean():.3f} "
            f"| {order[is_one].mean():.3f} ({is_one.mean():.0%} of rows) "
            f"| {order[~is_one].mean():.3f} |",
            flush=True,
        )


def draw(batches, token_ids, segment_lengths, seed):
    """Examples of a document, and which of them are of one segment."""
    packed = batches.pairs(token_ids, segment_lengths, seed)
    masked = batches.masker(packed["token_ids"], seed)
    # The same pairs of a document whose tokens are the segments' numbers.
    numbers = np.repeat(np.arange(len(segment_lengths)), segment_lengths)
    rows = batches.pairs(numbers + FIRST, segment_lengths, seed)["token_ids"]
    rows = np.ma.masked_less(rows.numpy(), FIRST)
    is_one = np.asarray(rows.min(axis=1) == rows.max(axis=1))
    examples = pretraining_batch(batches.masker, packed, masked)
    return *tf.nest.map_structure(lambda x: x.numpy(), examples), is_one


if __name__ == "__main__":
    main()
