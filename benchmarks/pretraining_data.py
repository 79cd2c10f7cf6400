"""Time of preparing pretraining data, against bare SentencePiece.

    python benchmarks/pretraining_data.py DATA/pretrain/*.txt.gz

Bare SentencePiece encodes the same sentences, already split and in memory, a
sentence at a time in one process. Preparing does all the rest too: reading,
splitting, duplicates, shuffling, writing. Beam's start-up is the time of the
same pipeline on one short document, and is taken off. Of `--repeats`
alternating runs the fastest counts.
"""

import argparse
import collections
import json
import pathlib
import tempfile
import time

import sentencepiece

from keras_albert.presets.registry import local_preset_folder
from keras_albert.pretraining.documents import (
    Block,
    TextFormat,
    read_chunks,
    sentences_of,
    text_files,
)
from keras_albert.pretraining.preparation import prepare_pretraining


def seconds(function, *arguments, **options):
    began = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - began


def bare_sentencepiece(vocabulary, sentences):
    processor = sentencepiece.SentencePieceProcessor(model_file=vocabulary)
    for sentence in sentences:
        processor.encode(sentence)


def plain_copies(files, folder):
    """The files uncompressed, as blocks of them can be read in parallel."""
    text_format = TextFormat()
    sentences, paths = [], []
    for index, path in enumerate(text_files(files)):
        paths.append(folder / f"{index}.txt")
        with open(paths[-1], "wb") as file:
            for chunk in read_chunks(Block(path), text_format):
                for document in chunk:
                    file.write(document.rstrip(b"\n") + b"\n\n")
                    for part in sentences_of(
                        document, text_format, collections.Counter()
                    ):
                        sentences += part
    return paths, sentences


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--vocabulary", metavar="SPM")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    vocabulary = args.vocabulary or str(
        pathlib.Path(local_preset_folder("albert_tiny_en"))
        / "assets/tokenizer/vocabulary.spm"
    )
    times = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "text").mkdir()
        paths, sentences = plain_copies(args.files, folder / "text")
        short = folder / "short.txt"
        short.write_text("This document is here for its length alone.\n")
        for _ in range(args.repeats):
            times["bare"].append(
                seconds(bare_sentencepiece, vocabulary, sentences)
            )
            for workers in args.workers:
                for kind, files in (("start", [short]), ("all", paths)):
                    times[kind, workers].append(
                        seconds(
                            prepare_pretraining,
                            files,
                            vocabulary,
                            folder / "data",
                            workers=workers,
                            overwrite=True,
                        )
                    )
        size = sum(path.stat().st_size for path in paths)
    best = {key: min(values) for key, values in times.items()}
    report = {"megabytes": size / 1e6, "bare_sentencepiece_s": best["bare"]}
    for workers in args.workers:
        work = best["all", workers] - best["start", workers]
        report[f"workers_{workers}"] = {
            "start_s": best["start", workers],
            "preparing_s": work,
            # With ideal scaling, bare SentencePiece on as many cores.
            "times_bare": work * workers / best["bare"],
            "speedup": (
                best["all", args.workers[0]] - best["start", args.workers[0]]
            )
            / work,
        }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
