"""Splitting of text into sentences, in any script, by rules alone."""

import re

# Closing quotes and brackets belong to the sentence that they end.
_CLOSING = "\"'”’»›)\\]}」』】）》〉〕］｣"
# These end a sentence wherever they stand: scripts without spaces, and marks
# that are not used within words or numbers.
_ALWAYS = "。！？｡।॥؟۔።፧။។៕།։"
_BOUNDARY = re.compile(
    rf"[{_ALWAYS}]+[{_CLOSING}]*\s*"
    # From the first mark of a run only: trying each takes quadratic time.
    rf"|(?<![.!?…‼⁇⁈⁉])(?P<mark>[.!?…‼⁇⁈⁉]+)[{_CLOSING}]*\s+"
)
# A full stop after these does not end a sentence.
_ABBREVIATIONS = frozenset(
    re.findall(
        r"\w+",
        """
        adm al approx art aug bd bros bzw ca capt cf ch chap cmdr co col corp
        dec dept dipl dr ed esq est etc ev feb fig fr gen gov hon hr ing jan
        jr lt ltd mdm messrs mfg mgr mlle mm mme mr mrs ms mt mts nat nos nov
        nr oct op pp pres prof pt rep rev sen sept sgt sig sr sra srta st str
        supt tel ud vgl viz vol vols vs
        """,
    )
)
# White space and no more between two line ends.
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
_OPENING = "\"'“‘«‹([{¿¡"


def split_sentences(text: str) -> list[str]:
    """Splits a paragraph.

    A sentence ends at `.`, `!`, `?` or `…` before white space, unless a
    lower-case letter follows, or the full stop belongs to an initial or a
    common abbreviation; and at `。`, `！`, `？`, `।` and their like, with or
    without white space. Text without such marks, as Thai, stays whole here:
    `DocumentEncoder` cuts what is too long.

    Args:
        text: A paragraph.

    Returns:
        Its sentences, without white space around them, none empty.
    """
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Finds the sentences of a paragraph, by the rule of `split_sentences`.

    Args:
        text: A paragraph.

    Returns:
        `(start, end)` of each sentence, in characters of the text.
    """
    spans = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match["mark"] and not _ends(text, start, match):
            continue
        spans.append(_stripped(text, start, match.end()))
        start = match.end()
    spans.append(_stripped(text, start, len(text)))
    return [(start, end) for start, end in spans if start < end]


def document_spans(text: str) -> list[tuple[int, int]]:
    """Finds the sentences of a document, whose paragraphs blank lines part.

    Args:
        text: A document.

    Returns:
        `(start, end)` of each sentence, in characters of the text.
    """
    spans, start = [], 0
    for match in [*_BLANK_LINES.finditer(text), None]:
        end = len(text) if match is None else match.start()
        paragraph = text[start:end]
        spans += [
            (start + first, start + last)
            for first, last in sentence_spans(paragraph)
        ]
        start = end if match is None else match.end()
    return spans


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def _ends(text: str, start: int, match: re.Match) -> bool:
    following = text[match.end() : match.end() + 2].lstrip(_OPENING)[:1]
    if following.islower():
        return False
    if match["mark"] != ".":
        return True
    # No word that matters is longer.
    before = text[max(start, match.start() - 12) : match.start()]
    word = before[before.rfind(" ") + 1 :].lstrip(_OPENING)
    is_initial = len(word) == 1 and word.isalpha() and word.isupper()
    return not is_initial and word.lower() not in _ABBREVIATIONS
