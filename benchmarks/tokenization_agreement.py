"""Does every place where a model can run give the reference's ids?

    python benchmarks/tokenization_agreement.py DATA [--vocabulary SPM]
        [--texts N] [--show N]

Reads every text of the data folder that docs/data.md describes and tokenizes
it with the reference: `keras_albert.preprocessing.normalizer.encode_ids`, the
original's algorithm on the vocabulary as it is. Printed is the number of texts
whose ids differ:

- with `AlbertTokenizer`: called, in `tf.data`, and from a SavedModel;
- with the folded vocabulary, for runtimes that know only SentencePiece: in
  sentencepiece, in LiteRT (the custom op `FastSentencepieceTokenize` of a
  .tflite file), and in `tensorflow_text.SentencepieceTokenizer`.

The exit code is 1 if the first three differ anywhere. Some 10 minutes on two
cores.
"""

import argparse
import itertools
import pathlib
import sys
import tempfile
import time

import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text
from corpora import CORPORA, ELSEWHERE, MORE, TWEETS, texts_of

import keras_albert as ka
from keras_albert.preprocessing import normalizer

_BATCH_SIZE = 4096
_EXACT = ("called", "tf.data", "SavedModel")


# === Tokenizers ===


def from_lists(ids):
    return list(itertools.chain.from_iterable(ids)), [*map(len, ids)]


def from_ragged(ragged):
    return ragged.values.numpy(), ragged.row_lengths().numpy()


def in_tf_data(tokenizer):
    def tokenize(texts):
        dataset = tf.data.Dataset.from_tensor_slices(texts)
        return from_ragged(next(iter(dataset.batch(len(texts)).map(tokenizer))))

    return tokenize


def graph_of(tokenize):
    """A module with a function from texts to ids and the rows' ends."""
    module = tf.Module()

    def encode(text):
        ragged = tokenize(text)
        return {"ids": ragged.values, "ends": ragged.row_limits()}

    module.encode = tf.function(
        encode, input_signature=[tf.TensorSpec([None], "string", name="text")]
    )
    return module


def in_saved_model(tokenizer):
    module = graph_of(tokenizer)
    # What the graph holds, which a module must name.
    module.resources = tokenizer._fast_tokenizer, tokenizer._split_table
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.encode)
        loaded = tf.saved_model.load(folder)

    def tokenize(texts):
        outputs = loaded.signatures["serving_default"](text=tf.constant(texts))
        ends = outputs["ends"].numpy()
        return outputs["ids"].numpy(), np.diff(ends, prepend=0)

    return tokenize


def in_litert(folded):
    from ai_edge_litert import interpreter as litert
    from tensorflow_text.core.pybinds import tflite_registrar

    module = graph_of(
        tensorflow_text.FastSentencepieceTokenizer(folded).tokenize
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.encode.get_concrete_function()], module
    )
    converter.allow_custom_ops = True
    interpreter = litert.InterpreterWithCustomOps(
        model_content=converter.convert(),
        custom_op_registerers=tflite_registrar.SELECT_TFTEXT_OPS,
    )
    runner = interpreter.get_signature_runner("serving_default")

    def tokenize(texts):
        text = np.array([text.encode() for text in texts], dtype=object)
        outputs = runner(text=text)
        return outputs["ids"], np.diff(outputs["ends"], prepend=0)

    return tokenize


def tokenizers(model):
    """The reference and its rivals: name → texts → (ids, row lengths)."""
    lowercase, strip_accents = normalizer.vocabulary_case(model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokenizer = ka.AlbertTokenizer(model)
    folded = tokenizer.proto
    folded_processor = sentencepiece.SentencePieceProcessor(model_proto=folded)
    graph = tensorflow_text.SentencepieceTokenizer(folded)

    def reference(texts):
        return from_lists(
            [
                normalizer.encode_ids(
                    processor,
                    text,
                    lowercase=lowercase,
                    strip_accents=strip_accents,
                )
                for text in texts
            ]
        )

    rivals = (
        lambda texts: from_lists(tokenizer(texts)),
        in_tf_data(tokenizer),
        in_saved_model(tokenizer),
    )
    return {
        "reference": reference,
        **dict(zip(_EXACT, rivals, strict=True)),
        "sentencepiece": lambda texts: from_lists(
            folded_processor.encode(texts, num_threads=1)
        ),
        "LiteRT": in_litert(folded),
        "tensorflow_text": lambda texts: from_ragged(
            graph.tokenize(tf.constant(texts))
        ),
    }


def split(encoded):
    ids, lengths = (np.asarray(part, dtype=np.int64) for part in encoded)
    return np.split(ids, np.cumsum(lengths)[:-1])


def differing(texts, encoders):
    """For each rival, the texts to which it gives other ids."""
    found = [[] for _ in range(len(encoders) - 1)]
    for begin in range(0, len(texts), _BATCH_SIZE):
        batch = texts[begin : begin + _BATCH_SIZE]
        first, *others = (split(encode(batch)) for encode in encoders.values())
        for differences, other in zip(found, others, strict=True):
            differences += [
                (text, expected.tolist(), received.tolist())
                for text, expected, received in zip(
                    batch, first, other, strict=True
                )
                if not np.array_equal(expected, received)
            ]
    return found


# === Report ===


def print_row(name, counts):
    print(f"| {name} | " + " | ".join(map(str, counts)) + " |", flush=True)


def show(corpus, rivals, found, processor, count):
    for rival, differences in zip(rivals, found, strict=True):
        for text, expected, received in differences[:count]:
            print(
                f"{corpus}, {rival}: {text!a}\n"
                f"  reference {processor.id_to_piece(expected)}\n"
                f"  {rival} {processor.id_to_piece(received)}",
                file=sys.stderr,
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("data", type=pathlib.Path, help="folder")
    add(
        "--vocabulary",
        type=pathlib.Path,
        help="a SentencePiece model [data/albert_vocab/spiece.model]",
    )
    add("--texts", type=int, help="of each corpus at most [all]")
    add("--show", type=int, default=0, help="differences to print a corpus [0]")
    args = parser.parse_args()
    path = args.vocabulary or args.data / "albert_vocab" / "spiece.model"
    if not path.exists():
        parser.exit(2, f"No vocabulary at {path}; name one: --vocabulary.\n")
    model = path.read_bytes()
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    encoders = tokenizers(model)
    rivals = list(encoders)[1:]
    print_row("corpus", ["texts", *rivals])
    print_row("---", ["---"] * (1 + len(rivals)))
    start = time.monotonic()
    totals = {
        group: np.zeros(1 + len(rivals), dtype=int)
        for group in (TWEETS, ELSEWHERE, MORE)
    }
    for group, name, sources in CORPORA:
        texts = texts_of(args.data, sources)[: args.texts]
        if not texts:
            continue
        found = differing(texts, encoders)
        counts = np.array([len(texts), *map(len, found)])
        totals[group] += counts
        print_row(f"{group}: {name}", counts)
        show(name, rivals, found, processor, args.show)
    for group, counts in totals.items():
        print_row(f"**{group}**", counts)
    everywhere = sum(totals.values())
    print_row("**all**", everywhere)
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    return int(everywhere[1 : 1 + len(_EXACT)].any())


if __name__ == "__main__":
    sys.exit(main())
