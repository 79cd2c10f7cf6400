"""Words and their labels to tensors: the same in every path, none lost."""

import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka
from keras_albert.preprocessing.word_splitting import (
    join_words,
    plan_windows,
    split_words,
    words_of,
)

LABELS = ["O", "B-PER", "I-PER", "B-LOC"]
WORDS = [
    ["Anna", "Berg", "lives", "in", "Oslo", "."],
    ["Antidisestablishmentarianism", "calls"],
    # Nothing, white space inside, digits that are split, not in Latin.
    ["\u200b", "10 000", "2019,", "東京タワー", "é", "NUL\0"],
    [],
    ["word"] * 20,
]
TAGS = [
    ["B-PER", "I-PER", "O", "O", "B-LOC", "O"],
    ["B-LOC", None],
    ["O", "O", "B-PER", "B-LOC", "O", "O"],
    [],
    ["O"] * 20,
]


@pytest.fixture(scope="module")
def preprocessor(tokenizer):
    return ka.AlbertTokenClassifierPreprocessor(tokenizer, 16, labels=LABELS)


def expected_row(preprocessor, words, tags):
    """Word by word, as the docstring says."""
    tokenizer = preprocessor.tokenizer
    ids, classes, weights = [tokenizer.cls_token_id], [0], [0.0]
    for word, tag in zip(words, tags, strict=True):
        pieces = [int(i) for i in tokenizer(word)] or [1]
        counts = tag is not None
        ids += pieces
        classes += [LABELS.index(tag) if counts else 0]
        classes += [0] * (len(pieces) - 1)
        weights += [float(counts)] + [0.0] * (len(pieces) - 1)
    length = preprocessor.sequence_length
    ids = [*ids[: length - 1], tokenizer.sep_token_id]
    padding = [0] * (length - len(ids))
    fill = [0] * length
    return (
        ids + padding,
        [1] * len(ids) + padding,
        (classes[: length - 1] + fill)[:length],
        (weights[: length - 1] + fill)[:length],
    )


def check(preprocessor, received, words=WORDS, tags=TAGS):
    x, y, weights = received
    rows = [
        expected_row(preprocessor, *pair)
        for pair in zip(words, tags, strict=True)
    ]
    names = (x["token_ids"], x["padding_mask"], y, weights)
    for values, expected in zip(names, zip(*rows, strict=True), strict=True):
        np.testing.assert_array_equal(np.asarray(values), expected)
    assert not np.asarray(x["segment_ids"]).any()


def as_strings(rows):
    return [
        join_words("<ignored>" if x is None else x for x in row) for row in rows
    ]


def test_lists_of_words(preprocessor):
    check(preprocessor, preprocessor(WORDS, TAGS))


def test_strings_of_words(preprocessor):
    check(preprocessor, preprocessor(as_strings(WORDS), as_strings(TAGS)))
    x, y, weights = preprocessor(as_strings(WORDS)[0], as_strings(TAGS)[0])
    assert x["token_ids"].shape == y.shape == weights.shape == (16,)


def test_class_indices(preprocessor):
    classes = [
        [-100 if tag is None else LABELS.index(tag) for tag in row]
        for row in TAGS
    ]
    check(preprocessor, preprocessor(WORDS, classes))


@pytest.mark.once
@pytest.mark.parametrize("ragged", [False, True])
def test_graphs(preprocessor, ragged):
    data = (as_strings(WORDS), as_strings(TAGS))
    if ragged:
        words = [row.split(" ") if row else [] for row in data[0]]
        tags = [row.split(" ") if row else [] for row in data[1]]
        data = tuple(
            tf.ragged.constant(rows, tf.string) for rows in (words, tags)
        )
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(len(WORDS))
    check(preprocessor, next(iter(dataset.map(preprocessor))))
    dataset = tf.data.Dataset.from_tensor_slices(data).map(preprocessor)
    if not ragged:
        check(preprocessor, next(iter(dataset.batch(len(WORDS)))))


def test_weights_of_sentences(preprocessor):
    _, _, weights = preprocessor(WORDS[:2], TAGS[:2], np.array([0.5, 2.0]))
    _, _, expected = preprocessor(WORDS[:2], TAGS[:2])
    np.testing.assert_allclose(weights, expected * [[0.5], [2.0]])


def test_config_round_trip(preprocessor):
    config = preprocessor.get_config()
    copy = ka.AlbertTokenClassifierPreprocessor.from_config(
        {**config, "tokenizer": preprocessor.tokenizer}
    )
    assert copy.labels == LABELS
    check(preprocessor, copy(WORDS, TAGS))


@pytest.mark.once
@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([["O"], ["O", "O"]], ["index 0", "6 words and 1 labels"]),
        ([TAGS[0], ["O", "B-ORG"]], ["'B-ORG'", "'B-LOC'"]),
        ([TAGS[0], [0, 4]], ["4"]),
        ([TAGS[0]], ["2 sentences", "for 1"]),
    ],
)
def test_labels_that_cannot_be_meant(preprocessor, y, words):
    with pytest.raises(ValueError) as error:
        preprocessor(WORDS[:2], y)
    for word in words:
        assert word in str(error.value)


@pytest.mark.once
@pytest.mark.parametrize(
    ("y", "words"), [("O", "numbers of words"), ("O B-ORG", "must be one of")]
)
def test_labels_that_cannot_be_meant_in_graphs(preprocessor, y, words):
    dataset = tf.data.Dataset.from_tensor_slices((["a b"], [y])).batch(1)
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        list(dataset.map(preprocessor))


@pytest.mark.once
def test_windows_have_each_word_once_in_its_context(preprocessor):
    words = [f"word{i}" for i in range(60)]
    pieces = preprocessor.pieces([words])[0]
    windows = preprocessor.windows([["a"], words, []])
    assert [w.sentence for w in windows if w.sentence != 1] == [0]
    seen = []
    for window in windows[1:]:
        assert len(window.token_ids) <= 16
        for word, position in zip(window.words, window.positions, strict=True):
            end = position + len(pieces[word])
            assert window.token_ids[position:end] == pieces[word]
            seen.append(word)
        if window.words[0] > 0:
            # Something stands before a window's own first word.
            assert window.positions[0] > 1
    assert seen == list(range(60))


@pytest.mark.once
def test_plans_cover_all_words_whatever_their_sizes():
    generator = np.random.default_rng(0)
    for room in (1, 2, 7, 30):
        for _ in range(100):
            size = generator.integers(1, 50)
            sizes = generator.integers(1, min(room, 5) + 1, size).tolist()
            sizes[size // 2] = room
            own = []
            for start, end, first, last in plan_windows(sizes, room):
                assert sum(sizes[start:end]) <= room
                assert start <= first <= last <= end
                own += range(first, last)
            assert own == list(range(size))
    assert plan_windows([], 5) == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Anna Berg's in Oslo.", ["Anna", "Berg", "'s", "in", "Oslo", "."]),
        ("(U.S.) O'Brien & Co.", ["(", "U.S.", ")", "O'Brien", "&", "Co", "."]),
        ("$1,000.50, e.g. 3-4", ["$", "1,000.50", ",", "e.g.", "3-4"]),
        ("@anna #tag…", ["@anna", "#tag", "…"]),
        ("東京 タ。", ["東", "京", "タ", "。"]),
        ("cafe\u0301 naïve", ["cafe\u0301", "naïve"]),
        ("लड़का घर जाता है।", ["लड़का", "घर", "जाता", "है", "।"]),
        ("السَّلَامُ عَلَيْكُمْ، שָׁלוֹם", ["السَّلَامُ", "عَلَيْكُمْ", "،", "שָׁלוֹם"]),
        ("தமிழ் ইংরেজি", ["தமிழ்", "ইংরেজি"]),
        ("👩\u200d💻 ✌\ufe0f!", ["👩\u200d💻", "✌\ufe0f", "!"]),
        (" \n", []),
    ],
)
def test_words_of_a_text(text, words):
    spans = split_words(text)
    assert [text[start:end] for start, end in spans] == words


@pytest.mark.once
def test_no_character_but_white_space_is_between_words():
    generator = np.random.default_rng(1)
    letters = list("ab1.,'’-#@é\u0301東ก\u0e31 \t\n😀\u200d‿_ß")
    for _ in range(300):
        text = "".join(generator.choice(letters, 20))
        end = 0
        for start, stop in split_words(text):
            assert not text[end:start].strip()
            assert stop > start
            end = stop
        assert not text[end:].strip()


@pytest.mark.once
def test_joined_words_come_back():
    words = ["a", "b c", "", "\u00a0"]
    assert words_of(join_words(words)) == ["a", "b\u00a0c", "\u200b", "\u00a0"]
