"""Training of a SentencePiece vocabulary on text files."""

import collections
import dataclasses
import io
import os
import pathlib
import re
import string
import unicodedata
from collections.abc import Iterator, Sequence

import sentencepiece

from keras_albert.preprocessing.normalizer import (
    fold_sentencepiece,
    normalize_text,
    round_scores,
)
from keras_albert.presets.saving import whole_file
from keras_albert.pretraining.documents import TextFormat, check_apart
from keras_albert.pretraining.sampling import sample_lines

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
# Characters. Its time grows with the square of a line's length.
_LONGEST_SAMPLE = 1 << 13
# Of the report.
_LINES_MEASURED = 10_000


@dataclasses.dataclass(frozen=True)
class VocabularyReport:
    """How a new vocabulary fits the text that it was made from.

    Attributes:
        path: Of the model file.
        vocabulary_size: Number of pieces.
        lines_read: Lines of text in the files.
        lines_used: Lines that were chosen to train on.
        bytes_read: Bytes of text in the files, uncompressed.
        invalid_utf8_lines: Lines left out because they are not UTF-8.
        invalid_json_lines: Lines left out because they are no JSON object
            with the text field.
        character_coverage: Share of the characters, white space aside and
            after folding, that the vocabulary has.
        unknown_rate: Share of `<unk>` among the tokens.
        characters_per_token: Mean number, white space aside.
        marks_lost: Number of combining marks that folding drops, of 100
            characters of text, those of Latin and Greek letters aside. There
            marks are accents; elsewhere (Thai, Hindi, Japanese, Russian й)
            vowels, tones or letters are lost.

    The last four are measured on at most 10,000 of the lines used.
    """

    path: str
    vocabulary_size: int
    lines_read: int
    lines_used: int
    bytes_read: int
    invalid_utf8_lines: int
    invalid_json_lines: int
    character_coverage: float
    unknown_rate: float
    characters_per_token: float
    marks_lost: float


def train_vocabulary(
    files: Sequence[str | os.PathLike],
    vocabulary_size: int,
    output_path: str | os.PathLike,
    **options,
) -> pathlib.Path:
    """Trains a vocabulary as `train_and_report` does; takes what that takes.

    Returns:
        `output_path`.
    """
    report = train_and_report(files, vocabulary_size, output_path, **options)
    return pathlib.Path(report.path)


def train_and_report(
    files: Sequence[str | os.PathLike],
    vocabulary_size: int,
    output_path: str | os.PathLike,
    *,
    lowercase: bool = True,
    strip_accents: bool = True,
    seed: int = 0,
    max_sentences: int = 1_000_000,
    max_bytes: int = 100_000_000,
    text_format: TextFormat | None = None,
) -> VocabularyReport:
    """Trains ALBERT's kind of SentencePiece vocabulary on text files.

    A unigram model with the settings and the special ids of the original:
    `<pad>` 0, `<unk>` 1, `[CLS]` 2, `[SEP]` 3, `[MASK]` 4. The normalization
    is inside (`keras_albert.preprocessing.normalizer.fold_sentencepiece`),
    and scores are rounded so that all runtimes agree (`round_scores`).
    Same files, same arguments and same versions of sentencepiece and Python:
    same bytes. Source: google-research/albert, README, `spm_train`.

    Args:
        files: Paths of UTF-8 text files, `.gz` compressed or not, and of
            folders with them, of any size. Each line that is not blank is one
            sample.
        vocabulary_size: Number of pieces, special ones included.
        output_path: Path of the model file to write, `….spm`. Its folder is
            made if it is missing; a file that is there is replaced at the
            end.
        lowercase: Whether the vocabulary is for lower-cased text.
        strip_accents: Whether the vocabulary is for text without accents.
        seed: Seed of the choice of lines.
        max_sentences: Lines to train on. Of more lines in `files`, so many
            are chosen at random.
        max_bytes: Bytes of UTF-8 to train on, chosen like lines. Training
            needs about 20 bytes of memory a character.
        text_format: How the files are written; text by default.

    Returns:
        How the vocabulary fits the text.

    Raises:
        ValueError: If there are no files or no text in them, a file is
            binary or damaged, no line is UTF-8, or the text does not fit
            `vocabulary_size`.
        FileNotFoundError: If a file is missing.
        OSError: If `output_path` cannot be written.
    """
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    _check_output(output_path)
    check_apart(files, os.path.dirname(os.path.abspath(output_path)))
    for name, value in (
        ("vocabulary_size", vocabulary_size),
        ("max_sentences", max_sentences),
        ("max_bytes", max_bytes),
    ):
        if value < 1:
            raise ValueError(
                f"`{name}` must be at least 1. Received: {name}={value}."
            )
    sample = sample_lines(
        files,
        text_format=text_format,
        max_lines=max_sentences,
        max_bytes=max_bytes,
        seed=seed,
    )
    texts = (
        normalize_text(part, lowercase=lowercase, strip_accents=strip_accents)
        for line in sample.lines
        for part in _samples(line)
    )
    required = normalize_text(
        _REQUIRED_CHARACTERS, lowercase=lowercase, strip_accents=False
    )
    model = fold_sentencepiece(
        round_scores(_train(texts, vocabulary_size, required)),
        lowercase=lowercase,
        strip_accents=strip_accents,
    )
    path = _write(pathlib.Path(output_path), model)
    read = dataclasses.asdict(sample)
    return VocabularyReport(
        path=str(path),
        lines_used=len(read.pop("lines")),
        **read,
        **_fit(model, sample.lines, strip_accents),
    )


def _samples(line: str) -> Iterator[str]:
    """A line in parts that are not too long, parted at spaces if it has any."""
    while len(line) > _LONGEST_SAMPLE:
        cut = line.rfind(" ", 1, _LONGEST_SAMPLE)
        cut = cut if cut > 0 else _LONGEST_SAMPLE
        yield line[:cut]
        line = line[cut:]
    yield line


def _fit(model: bytes, lines: Sequence[str], strip_accents: bool) -> dict:
    lines = lines[:: -(-len(lines) // _LINES_MEASURED)]
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokens = unknown = characters = covered = 0
    pieces = map(processor.id_to_piece, range(processor.get_piece_size()))
    known = set().union(
        *(p for i, p in enumerate(pieces) if not processor.is_control(i))
    )
    for line in lines:
        ids = processor.encode(line)
        tokens += len(ids)
        unknown += ids.count(processor.unk_id())
        counts = collections.Counter(processor.normalize(line))
        del counts["▁"], counts[" "]
        characters += counts.total()
        covered += sum(n for c, n in counts.items() if c in known)
    return {
        "vocabulary_size": processor.get_piece_size(),
        "character_coverage": covered / max(characters, 1),
        "unknown_rate": unknown / max(tokens, 1),
        "characters_per_token": characters / max(tokens, 1),
        "marks_lost": _marks_lost(lines) if strip_accents else 0.0,
    }


def _marks_lost(lines: Sequence[str]) -> float:
    lost = characters = 0
    for line in lines:
        characters += len(line)
        if line.isascii():
            continue
        base = ""
        for character in unicodedata.normalize("NFKD", line):
            if not unicodedata.combining(character):
                base = character
            elif base and not _has_accents(base):
                lost += 1
    return 100 * lost / max(characters, 1)


def _has_accents(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(("LATIN ", "GREEK "))


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
        raise ValueError(
            "`vocabulary_size` must fit the text. Received: vocabulary_size="
            f"{vocabulary_size}{_limit(str(error))}"
        ) from error
    return model.getvalue()


def _limit(message: str) -> str:
    """What SentencePiece says of a size, in words of this package."""
    if most := re.search(r"value <= (\d+)", message):
        return (
            f", where {most[1]} is the most; give more text or a smaller one."
        )
    if least := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return (
            f". The special pieces and the characters alone are {least[1]}; "
            "give a larger one."
        )
    return f". SentencePiece says: {message}"


def _check_output(path: str | os.PathLike) -> None:
    """Finds out before hours of training whether the file can be written."""
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"The output must be a file. {path} is a folder; name a file in it."
        )
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(
            f"The output folder must be writable. {folder} is not, or is no "
            "folder. Choose another one."
        )


def _write(path: pathlib.Path, content: bytes) -> pathlib.Path:
    """Writes a file as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        pathlib.Path(partial).write_bytes(content)
    return path
