"""Do runtimes that know only SentencePiece give the reference's ids?

    python benchmarks/tokenization_agreement.py DATA [--vocabulary SPM]
        [--show N]

Reads every text of the data folder that docs/data.md describes, tokenizes it
with the reference (`keras_albert.preprocessing.normalizer.encode_ids` on the
vocabulary as it is) and with the folded vocabulary in sentencepiece, in
`tensorflow_text.SentencepieceTokenizer` and in
`tensorflow_text.FastSentencepieceTokenizer` (LiteRT's), and prints a table of
the number of texts whose ids differ. A few minutes on two cores.
"""

import argparse
import csv
import gzip
import itertools
import json
import pathlib
import sys
import time

import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text

from keras_albert.preprocessing import normalizer

_BATCH_SIZE = 4096


# === Texts ===


def open_text(path):
    opened = gzip.open if path.suffix == ".gz" else open
    return opened(path, "rt", encoding="utf-8", newline="")


def read_columns(path, columns, delimiter="\t", header=True):
    """The texts of some columns of a table, `""` quoting for commas only."""
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with open_text(path) as file:
        rows = csv.reader(file, delimiter=delimiter, quoting=quoting)
        for row in itertools.islice(rows, int(header), None):
            yield from (row[column] for column in columns)


def read_lines(path):
    with open_text(path) as file:
        yield from (line for line in file if line.strip())


def read_conll(path):
    with open_text(path) as file:
        blank = lambda line: not line.strip()  # noqa: E731
        for is_blank, lines in itertools.groupby(file, blank):
            if not is_blank:
                yield " ".join(line.split()[0] for line in lines)


def read_json(path):
    """Every string that has a blank in it, wherever it stands."""
    with open_text(path) as file:
        lines = file if ".jsonl" in path.name else [file.read()]
        pending = [json.loads(line) for line in lines]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, str) and " " in value:
            yield value


def columns(*numbers, **options):
    return lambda path: read_columns(path, numbers, **options)


CORPORA = (
    ("banking77", "banking77/t*.csv*", columns(0, delimiter=",")),
    ("bbc_news_summary", "bbc_news_summary/*.jsonl*", read_json),
    ("commonsenseqa", "commonsenseqa/*.jsonl*", read_json),
    ("conll2003", "conll2003/*.txt*", read_conll),
    ("covid_faq", "covid_faq/*.csv*", columns(0, 1, delimiter=",")),
    (
        "davidson_hate (tweets)",
        "davidson_hate/*.csv*",
        columns(6, delimiter=","),
    ),
    ("glue/CoLA", "glue/CoLA/*.tsv*", columns(3, header=False)),
    ("glue/MRPC", "glue/MRPC/*.tsv*", columns(3, 4)),
    ("glue/RTE", "glue/RTE/*.tsv*", columns(1, 2)),
    ("glue/SST-2", "glue/SST-2/*.tsv*", columns(0)),
    ("glue/STS-B", "glue/STS-B/*.tsv*", columns(5, 6, header=False)),
    ("glue/WNLI", "glue/WNLI/*.tsv*", columns(1, 2)),
    ("mlqe en-de", "mlqe/en-de.*", columns(1, 2)),
    ("mlqe et-en", "mlqe/et-en.*", columns(1, 2)),
    ("mlqe ro-en", "mlqe/ro-en.*", columns(1, 2)),
    ("pretrain/gutenberg", "pretrain/gutenberg.*", read_lines),
    ("pretrain/us_speeches", "pretrain/us_speeches.*", read_lines),
    ("pretrain/wikipedia", "pretrain/wikipedia*", read_lines),
    ("scitldr", "scitldr/*.jsonl*", read_json),
    ("squad", "squad/*.json*", read_json),
    ("wnut17 (tweets)", "wnut17/*.conll*", read_conll),
)


# === Tokenizers ===


def tokenizers(model, **options):
    """The reference and its rivals: name → texts → (ids, row lengths)."""
    folded = normalizer.fold_sentencepiece(model, **options)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    folded_processor = sentencepiece.SentencePieceProcessor(model_proto=folded)

    def from_lists(ids):
        return list(itertools.chain.from_iterable(ids)), [*map(len, ids)]

    def from_ragged(tokenizer):
        def tokenize(texts):
            ragged = tokenizer.tokenize(tf.constant(texts))
            return ragged.values.numpy(), ragged.row_lengths().numpy()

        return tokenize

    return {
        "reference": lambda texts: from_lists(
            [
                normalizer.encode_ids(processor, text, **options)
                for text in texts
            ]
        ),
        "sentencepiece": lambda texts: from_lists(
            folded_processor.encode(texts, num_threads=1)
        ),
        "tensorflow_text": from_ragged(
            tensorflow_text.SentencepieceTokenizer(folded)
        ),
        "Fast": from_ragged(tensorflow_text.FastSentencepieceTokenizer(folded)),
    }


def split(encoded):
    ids, lengths = (np.asarray(part, dtype=np.int64) for part in encoded)
    return np.split(ids, np.cumsum(lengths)[:-1])


def differing(texts, encoders):
    """For each rival, the texts to which it gives other ids."""
    first, *others = (split(encode(texts)) for encode in encoders.values())
    return [
        [
            (text, expected.tolist(), received.tolist())
            for text, expected, received in zip(
                texts, first, other, strict=True
            )
            if not np.array_equal(expected, received)
        ]
        for other in others
    ]


# === Report ===


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="example: python benchmarks/tokenization_agreement.py data",
    )
    parser.add_argument("data", type=pathlib.Path, help="folder")
    parser.add_argument(
        "--vocabulary",
        type=pathlib.Path,
        help="a SentencePiece model (data/albert_vocab/spiece.model)",
    )
    parser.add_argument(
        "--show", type=int, default=0, help="differences to print a corpus"
    )
    arguments = parser.parse_args()
    path = arguments.vocabulary or (
        arguments.data / "albert_vocab" / "spiece.model"
    )
    if not path.exists():
        parser.exit(2, f"No vocabulary at {path}; name one: --vocabulary.\n")
    model = path.read_bytes()
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    lowercase, strip_accents = normalizer.vocabulary_case(model)
    encoders = tokenizers(
        model, lowercase=lowercase, strip_accents=strip_accents
    )
    rivals = list(encoders)[1:]
    print("| corpus | texts | " + " | ".join(rivals) + " |")
    print("|---|---|" + "---|" * len(rivals))
    totals, start = np.zeros(1 + len(rivals), dtype=int), time.monotonic()
    for name, pattern, read in CORPORA:
        texts = sorted(
            {
                text
                for path in arguments.data.glob(pattern)
                for text in read(path)
            }
        )
        found = [[] for _ in rivals]
        for begin in range(0, len(texts), _BATCH_SIZE):
            batch = texts[begin : begin + _BATCH_SIZE]
            for all_found, new in zip(
                found, differing(batch, encoders), strict=True
            ):
                all_found += new
        counts = np.array([len(texts), *map(len, found)])
        totals += counts
        print(f"| {name} | " + " | ".join(map(str, counts)) + " |", flush=True)
        for rival, differences in zip(rivals, found, strict=True):
            for text, expected, received in differences[: arguments.show]:
                print(
                    f"{name}, {rival}: {text!a}\n"
                    f"  reference {processor.id_to_piece(expected)}\n"
                    f"  {rival} {processor.id_to_piece(received)}",
                    file=sys.stderr,
                )
    print("| **all** | " + " | ".join(map(str, totals)) + " |")
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
