"""The few fields of a SentencePiece model that other formats hold too.

The protobuf wire format, without a protobuf library: SentencePiece's own
classes load with some versions of it only. Fields, of
`sentencepiece_model.proto`: pieces 1 (piece 1, score 2, type 3), trainer_spec
2 (the ids and pieces of `_SPECIAL_FIELDS`) and normalizer_spec 3 (name 1,
precompiled_charsmap 2), and in the last two those of `_OPTION_FIELDS`.
"""

import struct

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
UNIGRAM = 1  # `TrainerSpec.ModelType`.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Piece: the fields of trainer_spec with its id and its name. FastSentencepiece
# goes by `unk_id`, not by the type of the piece.
_SPECIAL_FIELDS = {
    "<unk>": (40, 45),
    "[CLS]": (41, 46),
    "[SEP]": (42, 47),
    "<pad>": (43, 48),
}

# Option: the number of the message it is in, its field there, its default.
_OPTION_FIELDS = {
    "model_type": (2, 3, UNIGRAM),
    "treat_whitespace_as_suffix": (2, 24, 0),
    "byte_fallback": (2, 35, 0),
    "add_dummy_prefix": (3, 3, 1),
    "remove_extra_whitespaces": (3, 4, 1),
    "escape_whitespaces": (3, 5, 1),
}


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
    indices = {piece: index for index, (piece, _, _) in enumerate(pieces)}
    trainer = bytearray()
    for piece, (id_field, piece_field) in _SPECIAL_FIELDS.items():
        if piece in indices:
            trainer += _varint(id_field << 3 | _VARINT)
            trainer += _varint(indices[piece])
            trainer += _field(piece_field, piece.encode("utf-8"))
    model += _field(2, bytes(trainer))
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


def read_options(model):
    """Reads how a SentencePiece model segments and treats white space.

    Args:
        model: bytes, the serialized model.

    Returns:
        dictionary of int, the keys of `_OPTION_FIELDS`; booleans are 0 or 1.

    Raises:
        ValueError: if it is no SentencePiece model.
    """
    try:
        messages = {
            number: dict(_fields(value))
            for number, value in _fields(model)
            if number in (2, 3)
        }
    except (IndexError, TypeError) as error:
        raise ValueError("This is no SentencePiece model.") from error
    return {
        option: messages.get(message, {}).get(field, default)
        for option, (message, field, default) in _OPTION_FIELDS.items()
    }


def _field(number, content):
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


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
