"""Words in texts, and windows of the words of long sentences."""

import re
import unicodedata

# Stands for a word without characters: a space of no width.
EMPTY = "\u200b"
# White space in ASCII: what TensorFlow's `strings.split` splits at.
SPACES = re.compile("[ \t\n\r\v\f]+")
# Scripts that write no spaces between words: each character is one.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
_UNSPACED += "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Marks, and what joins, belong to the character before them. `\w` lacks most:
# the vowel signs of India, the points of Arabic and Hebrew.
_MARKS = "\u200c\u200d" + "".join(
    character
    for character in map(chr, range(0x300, 0x20000))
    if unicodedata.category(character).startswith("M")
)
_LETTER = rf"[^\W{_UNSPACED}]"
_WORD = re.compile(
    # U.S. and e.g., with their last full stop
    rf"(?:{_LETTER}\.){{2,}}"
    # 's as the treebanks split it off
    rf"|['’](?:s|m|d|re|ve|ll)(?![\w])"
    # letters and digits, and what joins two of them: 1,000.5, AT&T, O'Brien
    rf"|[#@]?(?:{_LETTER}[{_MARKS}]*)+"
    rf"(?:(?!['’](?:s|m|d|re|ve|ll)(?!\w))[-.,:/&'’_@·]"
    rf"(?:{_LETTER}[{_MARKS}]*)+)*"
    # anything else, emoji that are joined to one
    rf"|\S[{_MARKS}]*(?:(?<=\u200d)\S[{_MARKS}]*)*",
    re.IGNORECASE,
)


def split_words(text):
    """Finds the words of a text, much as annotated corpora have them.

    Punctuation is apart unless letters or digits stand on both of its sides
    (`1,000.5`, `O'Brien`, `e-mail`), as are English clitics (`John` `'s`);
    abbreviations keep their full stops (`U.S.`). In scripts without spaces
    each character is a word.

    Args:
        text: string.

    Returns:
        list of `(start, end)`, in characters of the text.
    """
    return [match.span() for match in _WORD.finditer(text)]


def words_of(sentence):
    """The words of a sentence that is a string: what white space separates.

    Args:
        sentence: string. A no-break space belongs to a word.

    Returns:
        list of strings.
    """
    return [word for word in SPACES.split(sentence) if word]


def join_words(words):
    """The string from which `words_of` gives back the words.

    Args:
        words: list of strings. White space within one becomes a no-break
            space, which tokenizers take as they take any other.

    Returns:
        string.
    """
    return " ".join(SPACES.sub("\u00a0", word) or EMPTY for word in words)


def plan_windows(sizes, room):
    """Splits a sentence that is too long into windows that overlap.

    Each word is labelled in one window, its own, where it has words around
    it: a quarter of a window overlaps with the one before, and half of that
    is context on either side.

    Args:
        sizes: list of int, the tokens of each word, each at most `room`.
        room: int, the tokens that a window holds.

    Returns:
        list of `(start, end, first, last)`, in words: the window has the
        words `start` to `end`, and `first` to `last` are its own.
    """
    windows, start, first = [], 0, 0
    while start < len(sizes):
        end, used = start, 0
        while end < len(sizes) and used + sizes[end] <= room:
            used += sizes[end]
            end += 1
        if end == len(sizes):
            windows.append((start, end, first, end))
            break
        # Back for context, as far as the next word still fits.
        following, context = end, 0
        most = min(room // 4, room - sizes[end])
        while following - 1 > first and context + sizes[following - 1] <= most:
            following -= 1
            context += sizes[following]
        last = (following + end + 1) // 2
        windows.append((start, end, first, last))
        start, first = following, last
    return windows
