"""Parts of documents, of whole sentences, that fit a sequence."""

import dataclasses
import math


@dataclasses.dataclass
class Block:
    """A document, or a part of one that fits a sequence.

    Attributes:
        document: int, the index of the document.
        sentences: range, the indices of the sentences that it has.
        token_ids: list of int, `[CLS]` and `[SEP]` of each among them.
        segment_ids: list of int, 0 and 1 in turn by sentence.
        positions: list of int, where the `[CLS]` of each sentence stands.
    """

    document: int
    sentences: range
    token_ids: list
    segment_ids: list
    positions: list


def plan_blocks(sizes, room):
    """Parts of a document, each as long as a sequence at most.

    Args:
        sizes: list of int, the tokens of each sentence, each at most `room`.
        room: int, the tokens of a sequence.

    Returns:
        list of ranges of sentences: no more than it takes, and of about as
        many tokens each as that allows.
    """
    parts = _fill(sizes, room, room)
    if len(parts) < 2:
        return parts
    even = math.ceil(sum(sizes) / len(parts))
    for wanted in range(even, room, max(1, (room - even) // 8)):
        evener = _fill(sizes, room, wanted)
        if len(evener) == len(parts):
            return evener
    return parts


def _fill(sizes, room, wanted):
    """Parts that are closed as soon as they have the tokens wanted."""
    parts, start, used = [], 0, 0
    for index, size in enumerate(sizes):
        if index > start and (used >= wanted or used + size > room):
            parts.append(range(start, index))
            start, used = index, 0
        used += size
    if sizes:
        parts.append(range(start, len(sizes)))
    return parts
