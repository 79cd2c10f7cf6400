"""Where in a user's string the tokens come from."""

from collections.abc import Sequence

# What SentencePiece writes for a space.
_SPACE = "▁"


def spans_of_pieces(
    pieces: Sequence[str], origins: Sequence[int]
) -> list[tuple[int, int]]:
    """Finds the part of a text that each piece stands for.

    Args:
        pieces: The pieces of a text, as SentencePiece writes them. Joined,
            they are the normalized text.
        origins: For each character of the normalized text, the index of the
            character of the text that it came from, and at last the index
            where the text ends.

    Returns:
        `(start, end)` of each piece, in characters. The space that `▁`
        stands for is left out, so that a `▁` alone has an empty span, where
        the next piece starts. A character that became several (`ﬁ`) belongs
        whole to each piece that has a part of it; what was dropped (an
        accent of its own) belongs to the character before it.

    Raises:
        ValueError: If the pieces are not those of the normalized text.
    """
    length = len(origins) - 1
    if sum(map(len, pieces)) != length:
        raise ValueError(
            "Pieces must make up the normalized text to be found in it. "
            f"Received {len(pieces)} pieces of {sum(map(len, pieces))} "
            f"characters for a text of {length}. Does the vocabulary fall "
            "back to bytes (`byte_fallback`)? It must not."
        )
    spans, begin = [], 0
    for piece in pieces:
        end = begin + len(piece)
        first = end - len(piece.lstrip(_SPACE))
        last = begin + len(piece.rstrip(_SPACE))
        begin = end
        start = origins[first]
        if first == end:
            spans.append((start, start))
            continue
        while last < length and origins[last] == origins[last - 1]:
            last += 1
        spans.append((start, origins[last]))
    return spans
