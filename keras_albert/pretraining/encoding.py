"""Texts to the records of `records.py`: token ids, hash, serialized form."""

import dataclasses
import hashlib
import itertools
import os
import struct
from collections.abc import Sequence

import numpy as np
import sentencepiece

from keras_albert.preprocessing.normalizer import (
    fold_sentencepiece,
    folding_of,
    splitting_model,
    vocabulary_case,
)
from keras_albert.pretraining.records import SEGMENT_LENGTHS, TOKEN_IDS

SPECIAL_TOKENS = {
    "pad": "<pad>",
    "unk": "<unk>",
    "cls": "[CLS]",
    "sep": "[SEP]",
    "mask": "[MASK]",
}
_WORD_START = "▁"


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """A SentencePiece model, folded as `AlbertTokenizer` folds it.

    Attributes:
        model: The folded model, serialized.
        size: Number of pieces.
        special_ids: Ids by the keys of `SPECIAL_TOKENS`.
    """

    model: bytes
    size: int
    special_ids: dict[str, int]

    @property
    def sha256(self) -> str:
        """Checksum of the folded model, hexadecimal."""
        return hashlib.sha256(self.model).hexdigest()


def read_vocabulary(path: str | os.PathLike) -> Vocabulary:
    """Reads a SentencePiece model.

    Args:
        path: Path of the model.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If it is no SentencePiece model, or has not all of
            `<pad>`, `<unk>`, `[CLS]`, `[SEP]` and `[MASK]`.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(
            "The vocabulary must be the file of a SentencePiece model. "
            f"There is no file {path}; check the path."
        )
    with open(path, "rb") as file:
        model = file.read()
    try:
        if not folding_of(model):
            lowercase, strip_accents = vocabulary_case(model)
            model = fold_sentencepiece(
                model, lowercase=lowercase, strip_accents=strip_accents
            )
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"The vocabulary must be a SentencePiece model. {path} is none: "
            f"{error}"
        ) from error
    ids = {
        name: processor.piece_to_id(piece)
        for name, piece in SPECIAL_TOKENS.items()
    }
    missing = [
        piece
        for name, piece in SPECIAL_TOKENS.items()
        if processor.id_to_piece(ids[name]) != piece
    ]
    if missing:
        raise ValueError(
            "The vocabulary must have the pieces "
            f"{', '.join(SPECIAL_TOKENS.values())}. {path} lacks "
            f"{', '.join(missing)}; make one with `keras-albert train-vocab`."
        )
    return Vocabulary(model, processor.get_piece_size(), ids)


class DocumentEncoder:
    """Sentences to ids; the same ids as `AlbertTokenizer`.

    Args:
        model: A folded SentencePiece model, serialized.
        max_segment_tokens: Longer sentences are cut, before the start of a
            word where there is one.
    """

    def __init__(self, model: bytes, max_segment_tokens: int):
        splitting, split_pieces = splitting_model(model)
        self._processor = sentencepiece.SentencePieceProcessor(
            model_proto=splitting
        )
        self._splits = {
            index: self._processor.piece_to_id(pieces)
            for index, pieces in split_pieces.items()
        }
        self._max_segment_tokens = max_segment_tokens
        self._starts_word = np.array(
            [
                self._processor.id_to_piece(index).startswith(_WORD_START)
                for index in range(self._processor.get_piece_size())
            ]
        )
        self.unknown_id = self._processor.unk_id()

    def encode(self, sentences: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Tokenizes a document.

        Args:
            sentences: Strings.

        Returns:
            `token_ids` `(tokens,)` uint32, and `segment_lengths`
            `(segments,)` int64; sentences without tokens are left out.
        """
        rows = self._processor.encode(list(sentences), num_threads=1)
        if self._splits:
            rows = [self._split(row) for row in rows]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.fromiter(
            itertools.chain.from_iterable(rows), np.uint32, lengths.sum()
        )
        lengths = lengths[lengths > 0]
        if (lengths > self._max_segment_tokens).any():
            lengths = self._cut(ids, lengths)
        return ids, lengths

    def _split(self, ids: list[int]) -> list[int]:
        splits = self._splits
        if splits.keys().isdisjoint(ids):
            return ids
        return [part for i in ids for part in splits.get(i, (i,))]

    def _cut(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        parts = []
        for start, end in zip(
            np.cumsum(lengths) - lengths, np.cumsum(lengths), strict=True
        ):
            while end - start > self._max_segment_tokens:
                # In parts of about one length, not a long and a tiny one.
                left = end - start
                count = -(-left // self._max_segment_tokens)
                least = start + max(left // count // 2, 1)
                most = start + min(-(-left // count), self._max_segment_tokens)
                words = np.flatnonzero(self._starts_word[ids[least : most + 1]])
                cut = least + words[-1] if len(words) else most
                parts.append(cut - start)
                start = cut
            parts.append(end - start)
        return np.array(parts, dtype=np.int64)


def document_hash(token_ids: np.ndarray) -> bytes:
    """16 bytes by which documents with the same tokens are known."""
    content = token_ids.astype("<u4").tobytes()
    return hashlib.blake2b(content, digest_size=16).digest()


def serialize_document(
    token_ids: np.ndarray, segment_lengths: np.ndarray
) -> bytes:
    """Serializes a `tf.train.Example` without TensorFlow.

    Args:
        token_ids: `(tokens,)` integers, not negative.
        segment_lengths: `(segments,)` integers, not negative.

    Returns:
        The bytes of a record. The features are in a fixed order, which
        protobuf's own serialization does not promise.
    """
    features = b"".join(
        _field(
            1,
            _field(1, name.encode())
            # Feature.int64_list, and in it Int64List.value, packed.
            + _field(2, _field(3, _field(1, _varints(values)))),
        )
        for name, values in (
            (SEGMENT_LENGTHS, segment_lengths),
            (TOKEN_IDS, token_ids),
        )
    )
    return _field(1, features)


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer, length-delimited."""
    head = bytearray([number << 3 | 2])
    length = len(content)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content


def _varints(values: np.ndarray) -> bytes:
    """Integers in base 128, lowest digits first, as protocol buffers do."""
    values = values.astype(np.uint32)
    digits = values[:, None] >> np.arange(0, 35, 7, dtype=np.uint32)
    count = 1 + (digits[:, 1:] > 0).sum(axis=1)
    position = np.arange(5)
    encoded = (digits & 0x7F).astype(np.uint8)
    encoded |= np.where(position < count[:, None] - 1, 0x80, 0).astype(np.uint8)
    return encoded[position < count[:, None]].tobytes()


def tfrecord(record: bytes) -> bytes:
    """A record with the length and the checksums of a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return b"".join(
        (length, _checksum(length), record, _checksum(record)),
    )


def _checksum(content: bytes) -> bytes:
    import google_crc32c

    crc = google_crc32c.value(content)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)
