"""Which pieces of a vocabulary begin a word, and which are special."""

import unicodedata

import numpy as np
import sentencepiece

WORD_BOUNDARY = "▁"  # What SentencePiece makes of a space.
CONTINUES, BEGINS, ALONE, SPACE = range(4)
# Join what they stand between: "don't" is one word.
_JOINERS = frozenset("'’ʼ\u200c\u200d")
# Scripts that write no spaces between words, by the start of their
# characters' Unicode names.
_UNSPACED = (
    "CJK ",
    "HIRAGANA ",
    "KATAKANA",
    "HALFWIDTH KATAKANA",
    "BOPOMOFO ",
    "YI ",
    "THAI ",
    "LAO ",
    "KHMER ",
    "MYANMAR ",
    "TIBETAN ",
    "JAVANESE ",
    "BALINESE ",
    "TAI ",
    "NEW TAI ",
)


def word_role(piece, wordpiece=False):
    """What a piece is to the word that it stands in.

    The original's `_is_start_piece_sp` asks whether a piece is made of ASCII
    letters and punctuation, and so takes each accented piece and each number
    for a word of its own. Here it is Unicode that tells.

    Args:
        piece: string, a piece of a SentencePiece vocabulary.
        wordpiece: bool. Whether it is one of WordPiece instead, where `##`
            marks what goes on with a word.

    Returns:
        `BEGINS`: a new word, since a space stands before it; `ALONE`: a unit
        by itself, after which something new begins: punctuation or a symbol,
        or text in a script without spaces; `CONTINUES`: it goes on with the
        word before: letters, digits, marks, apostrophes.
    """
    text = piece.removeprefix("##" if wordpiece else WORD_BOUNDARY)
    if not text:
        return SPACE
    if any(map(_is_unspaced, text)) or not any(map(_is_word_character, text)):
        return ALONE
    return BEGINS if (text != piece) is not wordpiece else CONTINUES


def _is_unspaced(character):
    if character < "\u0e00":
        return False
    return unicodedata.name(character, "").startswith(_UNSPACED)


def _is_word_character(character):
    return character in _JOINERS or unicodedata.category(character)[0] in "LMN"


def word_roles(tokenizer):
    """The roles of all pieces.

    Args:
        tokenizer: an `AlbertTokenizer` or `AlbertWordPieceTokenizer`.

    Returns:
        `(vocabulary_size,)` int32, see `word_role`.
    """
    if not is_sentencepiece(tokenizer):
        vocabulary = tokenizer.get_vocabulary()
        return np.array([word_role(x, wordpiece=True) for x in vocabulary])
    pieces = _pieces(tokenizer)
    return np.array(
        [word_role(pieces.id_to_piece(i)) for i in range(len(pieces))], "int32"
    )


def ordinary_ids(tokenizer):
    """The ids that text is made of: not special, unknown or unused.

    Args:
        tokenizer: an `AlbertTokenizer` or `AlbertWordPieceTokenizer`.

    Returns:
        int32 array of ids, ascending.
    """
    if not is_sentencepiece(tokenizer):
        special = {tokenizer.oov_token, *tokenizer.special_tokens}
        return np.array(
            [
                index
                for index, piece in enumerate(tokenizer.get_vocabulary())
                if piece not in special and not piece.startswith("[unused")
            ],
            "int32",
        )
    pieces = _pieces(tokenizer)
    return np.array(
        [
            index
            for index in range(len(pieces))
            if not (
                pieces.is_control(index)
                or pieces.is_unknown(index)
                or pieces.is_unused(index)
            )
        ],
        "int32",
    )


def is_sentencepiece(tokenizer):
    """Whether a tokenizer is SentencePiece's, and not WordPiece's."""
    return hasattr(tokenizer, "proto")


def _pieces(tokenizer):
    return sentencepiece.SentencePieceProcessor(model_proto=tokenizer.proto)
