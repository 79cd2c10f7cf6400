"""Questions with choices to packed sequences."""

import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka

pytestmark = pytest.mark.once

LENGTH, QUESTION_LENGTH = 16, 9
CONTEXTS = ["It rained all night and the river was high.", "", " \t"]
QUESTIONS = ["What was high?", "Where is a fish?", "What is it that you see?"]
CHOICES = [
    ["The river", "The king's house"],
    ["In the sea", "In a tree", "Hm", "At home, or in the house next door"],
    ["Nothing at all", "A", "?"],
]
X = {"context": CONTEXTS, "question": QUESTIONS, "choices": CHOICES}


@pytest.fixture(scope="module")
def preprocessor(tokenizer):
    return ka.AlbertMultipleChoicePreprocessor(
        tokenizer, sequence_length=LENGTH, question_length=QUESTION_LENGTH
    )


def by_hand(tokenizer, context, question, choice):
    """`convert_single_example` of the original, on lists."""

    def ids(text):
        return list(map(int, tokenizer(text)))

    first, second = ids(context), ids(question) + ids(choice)
    if not context.strip():
        first, second = ids(question), ids(choice)
    second = second[-QUESTION_LENGTH:]
    first = first[: LENGTH - 3 - len(second)]
    tokens = [2, *first, 3, *second, 3]
    segments = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    missing = [0] * (LENGTH - len(tokens))
    return tokens + missing, segments + missing


def test_packing(preprocessor, tokenizer):
    features = preprocessor(X)
    assert {x.shape for x in features.values()} == {(3, 4, LENGTH)}
    for row, choices in enumerate(CHOICES):
        for column, choice in enumerate(choices):
            tokens, segments = by_hand(
                tokenizer, CONTEXTS[row], QUESTIONS[row], choice
            )
            received = {n: x[row, column] for n, x in features.items()}
            assert received["token_ids"].tolist() == tokens
            assert received["segment_ids"].tolist() == segments
            is_token = np.array(tokens) > 0
            assert received["padding_mask"].tolist() == is_token.tolist()
        for values in features.values():
            assert not values[row, len(choices) :].any()


def test_graphs_and_single_questions(preprocessor):
    expected = preprocessor(X)
    ragged = {**X, "choices": tf.ragged.constant(CHOICES)}
    dataset = tf.data.Dataset.from_tensor_slices(ragged).batch(3)
    (batch,) = dataset.map(preprocessor).as_numpy_iterator()
    tf.nest.map_structure(np.testing.assert_array_equal, batch, expected)
    one = preprocessor({name: x[1] for name, x in X.items()})
    for name, value in one.items():
        np.testing.assert_array_equal(value, expected[name][1])
    without = preprocessor({k: X[k] for k in ("question", "choices")})
    np.testing.assert_array_equal(
        without["token_ids"][1:], expected["token_ids"][1:]
    )
    _, y, weight = preprocessor(X, y=[0, 1, 2], sample_weight=[1.0, 0.0, 1.0])
    assert (y, weight) == ([0, 1, 2], [1.0, 0.0, 1.0])


def test_presets_keep_it(preprocessor, tmp_path):
    preprocessor.save_to_preset(tmp_path)
    loaded = ka.AlbertMultipleChoicePreprocessor.from_preset(tmp_path)
    assert loaded.question_length == QUESTION_LENGTH
    tf.nest.map_structure(
        np.testing.assert_array_equal, loaded(X), preprocessor(X)
    )


def test_wrong_input(preprocessor, tokenizer):
    for x in ("text", {"question": "?"}, {**X, "answer": [0]}):
        with pytest.raises(ValueError, match="must be a dictionary"):
            preprocessor(x)
    for name in ("sequence_length", "question_length"):
        with pytest.raises(ValueError, match=f"`{name}` must be at least"):
            ka.AlbertMultipleChoicePreprocessor(tokenizer, **{name: 0})
