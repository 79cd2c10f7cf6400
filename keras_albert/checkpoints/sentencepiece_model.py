"""The few fields of a SentencePiece model that other formats hold too.

The protobuf wire format, without a protobuf library: SentencePiece's own
classes load with some versions of it only. Fields, of
`sentencepiece_model.proto`: pieces 1 (piece 1, score 2, type 3) and
normalizer_spec 3 (name 1, precompiled_charsmap 2).
"""

import struct

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def make_model(pieces, charsmap):
    """Makes a SentencePiece model of type Unigram.

    Args:
        pieces: list of `(piece, score, type)`, in the order of their ids.
        charsmap: bytes, the compiled normalization table; may be empty.

    Returns:
        bytes, the serialized model.
    """
    model = bytearray()
    for piece, score, kind in pieces:
        model += _field(
            1,
            _field(1, piece.encode("utf-8"))
            + b"\x15"
            + struct.pack("<f", score)
            + b"\x18"
            + _varint(kind),
        )
    # A name that is none of SentencePiece's own: the table may be any.
    spec = _field(1, b"table") + _field(2, charsmap)
    return bytes(model + _field(3, spec))


def read_model(model):
    """Reads a SentencePiece model.

    Args:
        model: bytes, the serialized model.

    Returns:
        list of `(piece, score, type)` and bytes, the normalization table.

    Raises:
        ValueError: if it is no SentencePiece model.
    """
    pieces, charsmap = [], b""
    try:
        for number, value in _fields(model):
            if number == 1:
                piece = dict(_fields(value))
                (score,) = struct.unpack("<f", piece.get(2, bytes(4)))
                pieces.append((piece[1].decode(), score, piece.get(3, NORMAL)))
            elif number == 3:
                charsmap = dict(_fields(value)).get(2, b"")
    except (IndexError, KeyError, struct.error, AttributeError) as error:
        raise ValueError("This is no SentencePiece model.") from error
    return pieces, charsmap


def _field(number, content):
    return bytes([number << 3 | _BYTES]) + _varint(len(content)) + content


def _varint(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(encoded) + bytes([value])


def _fields(message):
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _read_varint(message, position)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
            if size is None:
                size, position = _read_varint(message, position)
            value = bytes(message[position : position + size])
            position += size
        yield number, value


def _read_varint(message, position):
    value, shift = 0, 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
