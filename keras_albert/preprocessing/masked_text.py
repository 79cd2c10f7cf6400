"""Texts in which a user wrote `[MASK]`, and what is put in its place."""

from keras_albert.preprocessing.words import WORD_BOUNDARY, is_sentencepiece

# Stands for the mask before what follows it, so that SentencePiece does not
# take this for the start of a text, which it puts a space before. No
# vocabulary has the character; a private one, it is in no text either.
_STAND_IN = "\ue000"
_WORDPIECE_CONTINUES = "##"


def tokenize_masked(tokenizer, text):
    """Tokenizes a text in which the mask token is written out.

    What stands before and after a mask is tokenized as if a word were in its
    place: in `"the [MASK]s sat"` the `s` goes on with the masked word, and
    `sat` begins a new one. (Hugging Face's tokenizers put a space before
    whatever follows a mask, before a full stop, too.)

    Args:
        tokenizer: an `AlbertTokenizer` or `AlbertWordPieceTokenizer`.
        text: string. Only the token as the vocabulary spells it, `[MASK]`, is
            a mask; `[mask]` is text.

    Returns:
        list of ids, that of the mask token for each mask.
    """
    first, *others = text.split(tokenizer.mask_token)
    ids = [int(i) for i in tokenizer.tokenize(first)]
    for part in others:
        ids += [tokenizer.mask_token_id, *_tokenize_after(tokenizer, part)]
    return ids


def _tokenize_after(tokenizer, text):
    if not is_sentencepiece(tokenizer):
        return [int(i) for i in tokenizer.tokenize(text)]
    ids, spans = tokenizer.tokenize_with_offsets(_STAND_IN + text)
    return [
        i
        for i, (_, end) in zip(ids, spans, strict=True)
        if end > len(_STAND_IN)
    ]


def fill(tokenizer, text, index, token):
    """Puts a token in the place of one of a text's masks.

    The text stays as the user wrote it, but for the space before the mask:
    there is one if the token begins a word, and none if it goes on with one.

    Args:
        tokenizer: the tokenizer of the token.
        text: string.
        index: int, which of the masks in the text.
        token: string, a piece of the vocabulary.

    Returns:
        The token as it is read, and the text with it; two strings.
    """
    mask = tokenizer.mask_token
    parts = text.split(mask)
    before = mask.join(parts[: index + 1])
    after = mask.join(parts[index + 1 :])
    if is_sentencepiece(tokenizer):
        word = token.removeprefix(WORD_BOUNDARY)
        goes_on = word == token
        needs_space = not goes_on
    else:
        word = token.removeprefix(_WORDPIECE_CONTINUES)
        goes_on = word != token
        # Its vocabularies do not tell whether there is a space.
        needs_space = False
    if goes_on:
        before = before.rstrip()
    elif needs_space and before and not before[-1].isspace():
        before += " "
    return word, before + word + after
