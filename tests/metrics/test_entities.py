"""Entities in tags, as conlleval and seqeval read them."""

import random

import pytest

from keras_albert.metrics.entities import (
    entity_spans,
    score_entities,
    tag_scheme,
    tags_of_spans,
)

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O B-A I-A O", [("A", 1, 3)]),
        ("B-A B-A", [("A", 0, 1), ("A", 1, 2)]),
        ("B-A I-B", [("A", 0, 1), ("B", 1, 2)]),
        ("O I-A I-A", [("A", 1, 3)]),
        ("I-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),
        ("S-A B-A I-A E-A S-B", [("A", 0, 1), ("A", 1, 4), ("B", 4, 5)]),
        ("B-A E-A E-A", [("A", 0, 2), ("A", 2, 3)]),
        ("U-A B-A L-A", [("A", 0, 1), ("A", 1, 3)]),
        ("B-A-B I-A-B", [("A-B", 0, 2)]),
        ("B I O", [("", 0, 2)]),
        ("", []),
    ],
)
def test_spans(tags, spans):
    tags = tags.split()
    assert entity_spans(tags, "IOB2") == spans


def test_labels_without_prefixes_run_together():
    tags = ["PER", "PER", "O", "LOC"]
    assert tag_scheme(tags) is None
    spans = [("PER", 0, 2), ("LOC", 3, 4)]
    assert entity_spans(tags, None) == spans
    assert tags_of_spans(spans, 4, None) == tags


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (["O", "B-PER", "I-PER"], "IOB2"),
        (["O", "S-PER", "B-PER"], "IOBES"),
        (["U-PER", "L-PER"], "BILOU"),
        (["NOUN", "VERB"], None),
        (["O", "B-PER", "PER"], None),
        (["O"], None),
    ],
)
def test_scheme(labels, scheme):
    assert tag_scheme(labels) == scheme


@pytest.mark.parametrize("scheme", ["IOB2", "IOBES", "BILOU"])
def test_tags_and_spans_are_two_ways_to_say_it(scheme):
    spans = [("A", 0, 1), ("A", 1, 4), ("B", 4, 6), ("A", 8, 9)]
    tags = tags_of_spans(spans, 10, scheme)
    assert entity_spans(tags, scheme) == spans
    if scheme == "IOBES":
        assert tags == (
            ["S-A", "B-A", "I-A", "E-A", "B-B", "E-B", "O", "O", "S-A", "O"]
        )


def test_scores_of_the_example_in_the_readme_of_seqeval():
    expected = ["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"]
    given = ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"]
    scores = score_entities(
        [tags.split() for tags in expected], [tags.split() for tags in given]
    )
    assert scores == {"precision": 0.5, "recall": 0.5, "f1": 0.5}


def test_scores_of_hand_counted_entities():
    # Three there; two found, one of them right, and one right but of
    # another type.
    expected = [["B-A", "I-A", "O", "B-B"], ["B-A"]]
    given = [["B-A", "I-A", "O", "B-A"], ["O"]]
    assert score_entities(expected, given) == {
        "precision": pytest.approx(1 / 2),
        "recall": pytest.approx(1 / 3),
        "f1": pytest.approx(2 * 1 / (2 + 3)),
    }
    # The same words in another sentence are another entity.
    assert score_entities([["B-A"], ["O"]], [["O"], ["B-A"]])["f1"] == 0.0
    nothing = {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert score_entities([["O"]], [["O"]]) == nothing
    with pytest.raises(ValueError, match="a tag given for each"):
        score_entities([["O", "O"]], [["O"]])


@pytest.mark.parametrize("letters", ["BIO", "BIESO"])
def test_scores_equal_those_of_seqeval(letters):
    metrics = pytest.importorskip(
        "seqeval.metrics", reason="seqeval is not installed"
    )
    generator = random.Random(5)

    def tags():
        drawn = generator.choices(letters, k=12)
        return [
            x if x == "O" else f"{x}-{generator.choice('AB')}" for x in drawn
        ]

    for _ in range(50):
        expected, given = ([tags() for _ in range(4)] for _ in range(2))
        scores = score_entities(expected, given)
        for name, value in scores.items():
            wanted = getattr(metrics, f"{name}_score")(expected, given)
            assert value == pytest.approx(wanted), name
