"""A tokenizer's vocabulary as one file for devices.

`export/android/` and `export/web/` hold the tokenizers that read it. All
numbers are little-endian; u32 is an unsigned, f32 a floating point number of
four bytes. The file:

    "ALBV"      4 bytes
    version     u32, `VERSION`
    length      u32, bytes that follow the checksum
    checksum    u32, CRC-32 of these bytes
    flags       u32: 1 put a space before each text, 2 remove extra white
                space, 4 write a space as "▁"
    ids         5 u32: <unk> [CLS] [SEP] <pad> [MASK]
    scores      n u32, then n f32: what each id adds to the score of a
                segmentation; <unk> stands for a character of no piece
    hidden      n u32, then n u32: ids of pieces that text never gives
    symbols     n u32, then n u32: ids of user-defined symbols
    splits      n u32, then n times: an id u32, m u32, m ids u32 that stand
                for it (pieces of digits with a comma)
    pieces      n u32, m u32, then m bytes: n strings in UTF-8, NUL between
                two of them
    sources     the same: what the normalizer replaces, longest match first
    targets     the same: what it puts there
"""

import struct
import zlib

import numpy as np

from keras_albert.checkpoints.sentencepiece_model import (
    NORMAL,
    UNIGRAM,
    UNKNOWN,
    USER_DEFINED,
    read_model,
    read_options,
)
from keras_albert.preprocessing.normalizer import (
    normalization_rules,
    splitting_model,
)

MAGIC = b"ALBV"
VERSION = 1
SPECIAL_PIECES = ("[CLS]", "[SEP]", "<pad>", "[MASK]")


def device_vocabulary(model: bytes) -> bytes:
    """Writes a folded SentencePiece model in the form that devices read.

    Args:
        model: a folded SentencePiece model, serialized, as
            `AlbertTokenizer.proto` holds it.

    Returns:
        The content of the file.

    Raises:
        ValueError: if the model is none, or does what the devices'
            tokenizers do not: segmentation other than Unigram, byte
            fallback, white space as a suffix.
    """
    splitting, splits = splitting_model(model)
    pieces, _ = read_model(splitting)
    options = read_options(splitting)
    _check_supported(pieces, options)
    ids = {piece: index for index, (piece, _, _) in enumerate(pieces)}
    unknown = [i for i, (_, _, kind) in enumerate(pieces) if kind == UNKNOWN]
    rules = normalization_rules(splitting)
    flags = (
        options["add_dummy_prefix"]
        | options["remove_extra_whitespaces"] << 1
        | options["escape_whitespaces"] << 2
    )
    payload = b"".join(
        (
            _u32(flags, unknown[0], *(ids[name] for name in SPECIAL_PIECES)),
            struct.pack(f"<I{len(pieces)}f", len(pieces), *_scores(pieces)),
            _ids(pieces, lambda kind: kind not in (NORMAL, USER_DEFINED)),
            _ids(pieces, lambda kind: kind == USER_DEFINED),
            _u32(len(splits)),
            *(_u32(i, len(parts), *parts) for i, parts in splits.items()),
            _strings([piece for piece, _, _ in pieces]),
            _strings([source for source, _ in rules]),
            _strings([target for _, target in rules]),
        )
    )
    header = MAGIC + _u32(VERSION, len(payload), zlib.crc32(payload))
    return header + payload


def _check_supported(pieces, options):
    if options["model_type"] != UNIGRAM:
        raise _unsupported("segment by Unigram", "another algorithm")
    if options["byte_fallback"]:
        raise _unsupported("give `<unk>` for what it does not know", "bytes")
    if options["treat_whitespace_as_suffix"]:
        raise _unsupported("put white space before words", "it after them")
    names = {piece for piece, _, _ in pieces}
    kinds = [kind for _, _, kind in pieces]
    missing = [name for name in SPECIAL_PIECES if name not in names]
    if missing or UNKNOWN not in kinds:
        raise ValueError(
            "The vocabulary must hold `<unk>` and "
            f"{', '.join(SPECIAL_PIECES)}. It lacks "
            f"{', '.join(missing) or '<unk>'}."
        )
    if any("\0" in piece for piece, _, _ in pieces):
        raise _unsupported("hold pieces without NUL", "a piece with it")


def _scores(pieces):
    """The scores that SentencePiece's search takes, since 0.2.3."""
    rarest = min(score for _, score, kind in pieces if kind == NORMAL)
    special = {
        UNKNOWN: lambda piece: np.float32(rarest) - np.float32(10),
        USER_DEFINED: lambda piece: 0.1 * (len(piece.encode("utf-8")) - 1),
    }
    return [
        special[kind](piece) if kind in special else score
        for piece, score, kind in pieces
    ]


def _unsupported(wanted, came):
    return ValueError(
        f"The vocabulary for devices must {wanted}. This SentencePiece model "
        f"has {came}; export with `inputs='text'`, which runs "
        "SentencePiece itself."
    )


def _u32(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _ids(pieces, is_wanted):
    ids = [i for i, (_, _, kind) in enumerate(pieces) if is_wanted(kind)]
    return _u32(len(ids), *ids)


def _strings(strings):
    encoded = "\0".join(strings).encode("utf-8")
    return _u32(len(strings), len(encoded)) + encoded
