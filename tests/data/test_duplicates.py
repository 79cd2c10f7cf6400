"""Groups of texts that resemble each other, beside comparing every pair."""

import itertools
import random

import numpy as np
import pytest

from keras_albert.data.duplicates import (
    SEPARATOR,
    duplicate_groups,
    resemblance,
)
from keras_albert.data.minhash import minhash, minhash_rows, shingle_hashes

pytestmark = pytest.mark.once

LETTER = """when will the new card that was sent to my old address last week
come and how much money do you take for a second one if it is lost again"""
WORDS = LETTER.split()


def brute_force_groups(texts, similarity):
    """Joins every two texts whose 5-character sequences overlap enough."""
    sets = [{text[i : i + 5] for i in range(len(text) - 4)} for text in texts]
    groups = list(range(len(texts)))
    for a, b in itertools.combinations(range(len(texts)), 2):
        jaccard = len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        if jaccard >= similarity and groups[a] != groups[b]:
            low, high = sorted((groups[a], groups[b]))
            groups = [low if group == high else group for group in groups]
    return groups


@pytest.mark.parametrize("similarity", [0.7, 0.8, 0.9])
def test_groups_are_those_of_comparing_every_pair(similarity):
    generator = random.Random(5)
    texts = []
    for _ in range(150):
        words = generator.choices(WORDS, k=generator.randint(8, 30))
        texts.append(" ".join(words))
        for _ in range(generator.randint(0, 2)):
            words[generator.randrange(len(words))] = generator.choice(WORDS)
            texts.append(" ".join(words))
    generator.shuffle(texts)
    expected = brute_force_groups(texts, similarity)
    assert len(set(expected)) < len(texts) - 20
    assert duplicate_groups(texts, similarity).tolist() == expected


def test_case_accents_punctuation_and_white_space_do_not_count():
    texts = ["Où est le café ?", "hm", "ou est  LE CAFÉ", "OU EST-LE CAFE!!"]
    assert duplicate_groups(texts, 1.0).tolist() == [0, 1, 0, 0]
    assert resemblance(texts[0], texts[3]) == 1.0


@pytest.mark.parametrize(
    ("one", "other"), [("लड़का", "लड़की"), ("क्या", "कया"), ("かき", "がき")]
)
def test_marks_that_make_another_letter_count(one, other):
    assert duplicate_groups([one, other, one], 1.0).tolist() == [0, 1, 0]


def test_texts_of_pairs_keep_their_sides():
    one = SEPARATOR.join(["hello my friend", ""])
    other = SEPARATOR.join(["", "hello my friend"])
    assert duplicate_groups([one, other], 1.0).tolist() == [0, 1]
    blank = [SEPARATOR.join(["!", "?"]), SEPARATOR.join(["?", "!"])]
    assert duplicate_groups(blank).tolist() == [0, 1]


def test_texts_without_words_are_compared_as_they_are():
    texts = ["!!!", "???", "", " ", "!!!", "🙂"]
    assert duplicate_groups(texts).tolist() == [0, 1, 2, 2, 0, 5]
    assert duplicate_groups([]).shape == (0,)


def test_short_texts_that_differ_in_a_letter_are_no_duplicates():
    assert duplicate_groups(["yes", "yet", "no"]).tolist() == [0, 1, 2]


def test_a_phrase_that_all_rows_begin_with_makes_no_duplicates():
    """Rows of one bucket are told apart, and cost no quadratic time."""
    generator = np.random.default_rng(2)
    tails = generator.integers(10**8, 10**9, (2000, 3)).tolist()
    texts = [
        "Thank you, the numbers of your order are " + " ".join(map(str, tail))
        for tail in tails
    ]
    groups = duplicate_groups([*texts, texts[7] + "5"])
    assert len(set(groups.tolist())) == 2000
    assert groups[-1] == 7


@pytest.mark.parametrize("similarity", [0.5, 1.1, float("nan")])
def test_similarities_that_are_not_found_are_refused(similarity):
    with pytest.raises(ValueError, match=r"between 0\.6 and 1"):
        duplicate_groups(["a"], similarity)


def test_signatures_of_many_rows_are_those_of_each():
    generator = np.random.default_rng(1)
    rows = [generator.integers(0, 99, n) for n in (5, 6, 40, 7)]
    hashes = [shingle_hashes(row, 5) for row in rows]
    starts = np.cumsum([0, *map(len, hashes[:-1])])
    signatures = minhash_rows(np.concatenate(hashes), starts)
    assert (signatures == [minhash(row) for row in rows]).all()
