"""How well texts fit a model: pseudo-log-likelihood and pseudo-perplexity.

    python examples/pseudo_perplexity.py [--preset albert_tiny_en]
        [--epochs 10]

Adapts a masked language model to the requests of the bundled sample by
`model.fit` on bare texts, prints the pseudo-perplexity of unseen requests
before and after, the requests that surprise the model most, and what it
expects in the place of a `[MASK]`. (Salazar et al. 2020,
https://arxiv.org/abs/1910.14659.)
"""

import argparse
import csv
import math
import pathlib

import keras

import keras_albert as ka

DATA = pathlib.Path(__file__).parent / "data"


def read(split):
    path = DATA / f"intents_{split}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def pseudo_perplexity(results):
    """Of a corpus: all its tokens count alike."""
    score = sum(result["score"] for result in results)
    tokens = sum(result["tokens"] for result in results)
    return math.exp(-score / tokens)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="albert_tiny_en")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    texts, unseen = read("train"), read("test")
    masked_lm = ka.AlbertMaskedLM.from_preset(arguments.preset)
    before = pseudo_perplexity(masked_lm.score(unseen))
    # Other words are masked in each epoch.
    masked_lm.fit(texts, batch_size=32, epochs=arguments.epochs, verbose=2)
    results = masked_lm.score(unseen)
    after = pseudo_perplexity(results)
    print(f"pseudo-perplexity {before:.0f} before, {after:.0f} after")

    # A mean a token, since each further token makes a text less probable.
    surprises = sorted(
        (result["score"] / result["tokens"], text)
        for text, result in zip(unseen, results, strict=True)
    )
    print("least expected:")
    for score, text in surprises[:3]:
        print(f"  {score:6.2f} {text}")
    print("most expected:")
    for score, text in surprises[-3:]:
        print(f"  {score:6.2f} {text}")

    for filling in masked_lm.fill_mask("Set an [MASK] for six.", top_k=3):
        print(f"  {filling['score']:.3f} {filling['sequence']}")
    return before, after


if __name__ == "__main__":
    main()
