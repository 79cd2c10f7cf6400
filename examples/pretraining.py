"""Pretrain a tiny ALBERT on your own text, in Python.

    python examples/pretraining.py FILE [FILE …] [--steps 2000]

Makes a vocabulary, tokenizes the documents, and trains `AlbertPretrainer` on
masked tokens and sentence order. `keras_albert.pretraining` does the same for
text of any size, with checkpoints and several machines; here all is in memory
and in sight. A blank line ends a document.
"""

import argparse
import itertools
import pathlib
import random

import keras

import keras_albert as ka
from keras_albert.preprocessing.sentences import split_sentences
from keras_albert.pretraining.vocabulary import train_vocabulary


def sentence_pairs(files):
    """Sentences and what follows each; every 20th document for dev.

    Returns:
        Two pairs of lists, for training and for dev.
    """
    train, dev = [], []
    for path in files:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        for index, document in enumerate(text.split("\n\n")):
            sentences = [
                sentence
                for line in document.splitlines()
                for sentence in split_sentences(line)
            ]
            pairs = itertools.pairwise(sentences)
            (train if index % 20 else dev).extend(pairs)
    if not train or not dev:
        raise SystemExit("Give several documents, of several sentences each.")
    random.Random(0).shuffle(train)
    return [
        tuple(map(list, zip(*pairs, strict=True))) for pairs in (train, dev)
    ]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--vocabulary-size", type=int, default=8000)
    parser.add_argument("--sequence-length", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--output", default="runs/pretraining-example")
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    output = pathlib.Path(arguments.output)
    vocabulary = train_vocabulary(
        arguments.files,
        arguments.vocabulary_size,
        output / "vocabulary.spm",
    )
    tokenizer = ka.AlbertTokenizer(str(vocabulary))
    train, dev = sentence_pairs(arguments.files)
    pairs = len(train[0])
    print(f"{pairs} pairs of sentences to train on, {len(dev[0])} for dev")

    pretrainer = ka.AlbertPretrainer(
        ka.AlbertBackbone(
            vocabulary_size=tokenizer.vocabulary_size(),
            num_layers=4,
            num_heads=2,
            embedding_dim=64,
            hidden_dim=128,
            intermediate_dim=512,
        ),
        # Masks are drawn anew each time that a pair is seen.
        preprocessor=ka.AlbertPretrainerPreprocessor(
            tokenizer, sequence_length=arguments.sequence_length
        ),
    )
    # A warm-up, and a decay to 0.
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=arguments.steps,
        warmup_target=1e-3,
        warmup_steps=max(arguments.steps // 20, 1),
    )
    pretrainer.compile(keras.optimizers.AdamW(rate, global_clipnorm=1.0))
    epochs = -(-arguments.steps * arguments.batch_size // pairs)
    options = {"batch_size": arguments.batch_size, "verbose": 2}
    pretrainer.fit(*train, epochs=epochs, **options)

    metrics = pretrainer.evaluate(*dev, return_dict=True, **options)
    print(metrics)
    pretrainer.save_to_preset(output / "model")
    print(f'AlbertTextClassifier.from_preset("{output / "model"}", …) next')
    return metrics


if __name__ == "__main__":
    main()
