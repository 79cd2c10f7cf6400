"""Does a tokenizer rebuilt from `tokenizer.json` give transformers' ids?

    python benchmarks/huggingface_ids.py DATA [--texts N] [--show N]

Saves the published vocabulary as `transformers` saves it, loads the folder as
an `AlbertTokenizer`, and counts the texts of the data folder that
docs/data.md describes whose ids differ. A few minutes on two cores.
"""

import argparse
import pathlib
import tempfile

import transformers
from corpora import CORPORA, texts_of

import keras_albert as ka
from keras_albert.checkpoints.sentencepiece_model import read_model


def make_tokenizers(vocabulary):
    pieces, charsmap = read_model(vocabulary.read_bytes())
    theirs = transformers.AlbertTokenizer(
        vocab=[(piece, score) for piece, score, _ in pieces],
        _spm_precompiled_charsmap=charsmap,
    )
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        config = pathlib.Path(folder, "config.json")
        config.write_text('{"model_type": "albert"}', encoding="utf-8")
        ours = ka.AlbertTokenizer.from_preset(folder)
    return theirs, ours, [piece for piece, _, _ in pieces]


def differing(texts, theirs, ours):
    for text in texts:
        expected = theirs(text, add_special_tokens=False)["input_ids"]
        received = [int(i) for i in ours.tokenize(text)]
        if received != expected:
            yield text, expected, received


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=pathlib.Path, help="folder")
    parser.add_argument(
        "--texts", type=int, default=3000, help="of each corpus [3000]"
    )
    parser.add_argument(
        "--show", type=int, default=0, help="differing texts to print [0]"
    )
    args = parser.parse_args()
    theirs, ours, pieces = make_tokenizers(
        args.data / "albert_vocab" / "spiece.model"
    )
    print("| corpus | texts | ids differ |\n|---|---|---|")
    sums = [0, 0]
    for _, name, sources in CORPORA:
        texts = texts_of(args.data, sources)[: args.texts]
        different = list(differing(texts, theirs, ours))
        sums = [sums[0] + len(texts), sums[1] + len(different)]
        print(f"| {name} | {len(texts)} | {len(different)} |", flush=True)
        for text, *both in different[: args.show]:
            print(repr(text[:80]))
            for ids in both:
                print("   ", *(pieces[i] for i in ids))
    print(f"| all | {sums[0]} | {sums[1]} |")


if __name__ == "__main__":
    main()
