"""Training of a SentencePiece vocabulary on text files."""

import contextlib
import gzip
import io
import os
import pathlib
import random
import re
import string
from collections.abc import Iterator, Sequence

import sentencepiece

from keras_albert.preprocessing.normalizer import (
    fold_sentencepiece,
    normalize_text,
    round_scores,
)

_PAD, _UNKNOWN = "<pad>", "<unk>"
# Text cannot produce these; they take the ids 2, 3 and 4.
_CONTROL_SYMBOLS = ("[CLS]", "[SEP]", "[MASK]")
# Always pieces of their own, as in the original vocabulary. The comma is
# added to them: the original splits it from digits after tokenizing, a
# vocabulary that never joins it needs no such step.
_PIECES_OF_THEIR_OWN = ("(", ")", '"', "-", ".", "–", "£", "€", ",")

# Never unknown, however rare they are in the text.
_REQUIRED_CHARACTERS = "".join(
    character
    for character in string.ascii_letters + string.digits + string.punctuation
    if character not in _PIECES_OF_THEIR_OWN
)

# The order in which floats are summed up, and with it the result, depends on
# the number of threads: a constant, whatever machine this runs on.
_NUM_THREADS = 4
# Bytes. SentencePiece leaves longer lines out, without a word.
_MAX_LINE_LENGTH = 1 << 24


def train_vocabulary(
    files: Sequence[str | os.PathLike],
    vocabulary_size: int,
    output_path: str | os.PathLike,
    *,
    lowercase: bool = True,
    strip_accents: bool = True,
    seed: int = 0,
    max_sentences: int = 1_000_000,
) -> pathlib.Path:
    """Trains ALBERT's kind of SentencePiece vocabulary on text files.

    A unigram model with the settings and the special ids of the original:
    `<pad>` 0, `<unk>` 1, `[CLS]` 2, `[SEP]` 3, `[MASK]` 4. The normalization
    is inside (`keras_albert.preprocessing.normalizer.fold_sentencepiece`),
    and scores are rounded so that all runtimes agree (`round_scores`).
    Same files in the same order, same arguments and same versions of
    sentencepiece and Python: same bytes. Source: google-research/albert,
    README, `spm_train`.

    Args:
        files: Paths of UTF-8 text files, `.gz` compressed or not. Each line
            that is not blank is one sample.
        vocabulary_size: Number of pieces, special ones included.
        output_path: Path of the model file to write, `….spm`. Its folder is
            made if it is missing; a file that is there is replaced at the
            end.
        lowercase: Whether the vocabulary is for lower-cased text.
        strip_accents: Whether the vocabulary is for text without accents.
        seed: Seed of the choice of lines.
        max_sentences: Lines to train on. Of more lines in `files`, so many
            are chosen at random. Training needs about 20 bytes of memory a
            character.

    Returns:
        `output_path`.

    Raises:
        ValueError: If there are no files or no text in them, a file is not
            UTF-8, or the text does not fit `vocabulary_size`.
        FileNotFoundError: If a file is missing.
    """
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    if not files:
        raise ValueError(
            "`files` must name at least one text file. Received: none."
        )
    if max_sentences < 1:
        raise ValueError(
            "`max_sentences` must be at least 1. Received: "
            f"max_sentences={max_sentences}."
        )
    lines = _sample(_lines(files), max_sentences, random.Random(seed))
    if not lines:
        raise ValueError(
            "`files` must hold at least one line of text. Received only "
            f"blank ones: {', '.join(map(str, files))}."
        )
    texts = (
        normalize_text(line, lowercase=lowercase, strip_accents=strip_accents)
        for line in lines
    )
    required = normalize_text(
        _REQUIRED_CHARACTERS, lowercase=lowercase, strip_accents=False
    )
    model = fold_sentencepiece(
        round_scores(_train(texts, vocabulary_size, required)),
        lowercase=lowercase,
        strip_accents=strip_accents,
    )
    return _write(pathlib.Path(output_path), model)


def _lines(files: Sequence[str | os.PathLike]) -> Iterator[str]:
    for path in files:
        opened = gzip.open if str(path).endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8") as file:
            try:
                yield from (line for line in file if line.strip())
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"Text files must be UTF-8. Received: {path}, with "
                    f"{error.reason} ({error.object[error.start]:#x}). "
                    "Convert it first: `iconv -f latin1 -t utf-8`."
                ) from error


def _sample(
    lines: Iterator[str], size: int, generator: random.Random
) -> list[str]:
    """Reservoir sampling: each line has the same chance, in one pass."""
    chosen = []
    for index, line in enumerate(lines):
        if index < size:
            chosen.append(line)
        elif (place := generator.randrange(index + 1)) < size:
            chosen[place] = line
    return chosen


def _train(
    texts: Iterator[str], vocabulary_size: int, required_characters: str
) -> bytes:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=texts,
            model_writer=model,
            model_type="unigram",
            vocab_size=vocabulary_size,
            normalization_rule_name="nmt_nfkc",
            character_coverage=0.99995,
            required_chars=required_characters,
            pad_id=0,
            pad_piece=_PAD,
            unk_id=1,
            unk_piece=_UNKNOWN,
            bos_id=-1,
            eos_id=-1,
            control_symbols=list(_CONTROL_SYMBOLS),
            user_defined_symbols=list(_PIECES_OF_THEIR_OWN),
            max_sentence_length=_MAX_LINE_LENGTH,
            shuffle_input_sentence=False,
            num_threads=_NUM_THREADS,
            minloglevel=1,
        )
    except (OSError, RuntimeError) as error:
        if "ocabulary size" not in str(error) and "vocab_size" not in str(
            error
        ):
            raise
        limit = re.search(r"value <= (\d+)", str(error))
        raise ValueError(
            "`vocabulary_size` must fit the text. Received: vocabulary_size="
            f"{vocabulary_size}"
            + (f", where {limit[1]} is the most" if limit else "")
            + ". Give more text or change the size. SentencePiece says: "
            f"{error}"
        ) from error
    return model.getvalue()


def _write(path: pathlib.Path, content: bytes) -> pathlib.Path:
    """Writes a file as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
    return path
