"""Entities in sequences of tags, and how well they are found.

The rules are those of CoNLL's `conlleval` and of `seqeval` in its default
mode: an entity counts when type, first and last word are right, and tags that
contradict each other are read as the nearest ones that do not. `seqeval` is
what tests compare with; it is not required, since its last release (1.2.2,
2020) no longer builds with today's setuptools.
"""

# The letters of one-word and of last words, by scheme.
_SINGLE = {"IOB2": "B", "IOBES": "S", "BILOU": "U"}
_LAST = {"IOB2": "I", "IOBES": "E", "BILOU": "L"}
_LETTERS = frozenset("BIESLU")
_BEGINS = frozenset("BSU")
_ENDS = frozenset("ESLU")
OUTSIDE = "O"


def tag_scheme(labels):
    """The scheme by which tags mark entities.

    Args:
        labels: iterable of strings.

    Returns:
        `"IOB2"` (`B-PER I-PER`), `"IOBES"` (with `E-` for last words and
        `S-` for single ones), `"BILOU"` (the same as `L-` and `U-`), or
        `None` for labels without such prefixes.
    """
    tags = [label for label in labels if label != OUTSIDE]
    prefixes = {tag.partition("-")[0] for tag in tags}
    if not tags or not prefixes <= _LETTERS:
        return None
    if prefixes & {"E", "S"}:
        return "IOBES"
    return "BILOU" if prefixes & {"L", "U"} else "IOB2"


def entity_spans(tags, scheme="IOB2"):
    """The entities that a sentence's tags mark.

    Args:
        tags: list of strings, a word each.
        scheme: string or `None`, see `tag_scheme`. All schemes are read
            alike; without one, neighbours with the same label are one
            entity.

    Returns:
        list of `(type, start, end)`, in words, `end` exclusive.
    """
    spans = []
    former_type, has_ended = None, True
    for index, tag in enumerate(tags):
        if tag == OUTSIDE:
            has_ended = True
            continue
        letter, type_ = "I", tag
        if scheme is not None:
            letter, _, type_ = tag.partition("-")
        if letter in _BEGINS or has_ended or type_ != former_type:
            spans.append((type_, index, index + 1))
        else:
            spans[-1] = (type_, spans[-1][1], index + 1)
        former_type, has_ended = type_, letter in _ENDS
    return spans


def tags_of_spans(spans, length, scheme="IOB2"):
    """The tags of a sentence that mark entities.

    Args:
        spans: list of `(type, start, end)`, see `entity_spans`.
        length: int, the words of the sentence.
        scheme: string or `None`, see `tag_scheme`.

    Returns:
        list of strings.
    """
    tags = [OUTSIDE] * length
    for type_, start, end in spans:
        if scheme is None:
            tags[start:end] = [type_] * (end - start)
            continue
        letters = ["B", *"I" * (end - start - 2), _LAST[scheme]]
        if end - start == 1:
            letters = [_SINGLE[scheme]]
        # Tags of one type only may have no name for it.
        suffix = f"-{type_}" if type_ else ""
        tags[start:end] = [letter + suffix for letter in letters]
    return tags


def score_entities(expected, given, scheme="IOB2"):
    """Precision, recall and F1 over the entities of all sentences.

    Args:
        expected: list of lists of tags, a sentence each.
        given: list of the same lengths, what a model gave.
        scheme: string or `None`, see `tag_scheme`.

    Returns:
        dictionary of `"precision"`, `"recall"` and `"f1"`, floats between 0
        and 1; 0 where there is nothing to divide by.

    Raises:
        ValueError: if there are other numbers of sentences or words.
    """
    if [*map(len, expected)] != [*map(len, given)]:
        raise ValueError(
            "There must be a tag given for each expected one. Received other "
            f"numbers: {len(expected)} and {len(given)} sentences of "
            f"{sum(map(len, expected))} and {sum(map(len, given))} words."
        )
    there, found, right = 0, 0, 0
    for tags, others in zip(expected, given, strict=True):
        entities = set(entity_spans(tags, scheme))
        others = set(entity_spans(others, scheme))
        there += len(entities)
        found += len(others)
        right += len(entities & others)
    return {
        "precision": right / found if found else 0.0,
        "recall": right / there if there else 0.0,
        "f1": 2 * right / (there + found) if there + found else 0.0,
    }
