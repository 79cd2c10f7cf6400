"""Questions with choices: choosing, training, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import contracts
import keras_albert as ka

CONTEXTS = ["It rained all night.", "", "A man sleeps in a house by the sea."]
QUESTIONS = ["What fell?", "Where is a fish?", "Who sleeps?"]
CHOICES = [
    ["Rain", "A tree"],
    ["In the sea", "In a tree", "Hm", "At home in the house next door"],
    ["A man", "The sea", "A house"],
]
X = {"context": CONTEXTS, "question": QUESTIONS, "choices": CHOICES}


@pytest.fixture(scope="module")
def make(tokenizer, tiny):
    def make(dtype=None, with_preprocessor=True, **kwargs):
        preprocessor = None
        if with_preprocessor:
            preprocessor = ka.AlbertMultipleChoicePreprocessor(
                tokenizer, sequence_length=32
            )
        chooser = ka.AlbertMultipleChoice(
            ka.AlbertBackbone(**tiny, dtype=dtype),
            preprocessor=preprocessor,
            **kwargs,
        )
        contracts.randomize(chooser)
        return chooser

    return make


@pytest.fixture(scope="module")
def chooser(make):
    return make()


def logits_by_hand(chooser, context, question, choice):
    """Of one choice, from the backbone's output."""
    x = {"context": [context], "question": [question], "choices": [[choice]]}
    features = {n: v[:, 0] for n, v in chooser.preprocessor(x).items()}
    outputs = contracts.predict(chooser.backbone, features)
    kernel, bias = chooser.output_dense.get_weights()
    return float((outputs["pooled_output"] @ kernel + bias)[0, 0])


@pytest.mark.inference
def test_choose(chooser):
    """Against each choice by itself."""
    results = chooser.choose(CONTEXTS, QUESTIONS, CHOICES, batch_size=4)
    for context, question, choices, result in zip(
        CONTEXTS, QUESTIONS, CHOICES, results, strict=True
    ):
        logits = np.array(
            [logits_by_hand(chooser, context, question, c) for c in choices]
        )
        expected = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(result["scores"], expected, atol=1e-5)
        assert result["index"] == expected.argmax()
        assert result["choice"] == choices[result["index"]]
        assert result["score"] == max(result["scores"])
    one = chooser.choose(CONTEXTS[1], QUESTIONS[1], CHOICES[1])
    assert one["choice"] == results[1]["choice"]
    np.testing.assert_allclose(one["scores"], results[1]["scores"], atol=1e-5)
    assert chooser.choose([], [], []) == []


def test_missing_choices_have_no_share(chooser):
    """In the model's own outputs, and in the gradient that they give."""
    outputs = chooser.predict(X, verbose=0)
    assert outputs.shape == (3, 4)
    for row, choices in enumerate(CHOICES):
        assert (outputs[row, len(choices) :] == -10000).all()
        assert outputs[row, 0] == pytest.approx(
            logits_by_hand(chooser, CONTEXTS[row], QUESTIONS[row], choices[0]),
            abs=1e-4,
        )
    alone = {name: value[:1] for name, value in X.items()}
    loss = chooser.evaluate(alone, [1], verbose=0, return_dict=True)["loss"]
    logits = outputs[0, :2].astype("float64")
    expected = np.log(np.exp(logits).sum()) - logits[1]
    assert loss == pytest.approx(expected, abs=1e-3)


def test_fit_takes_questions(make):
    chooser = make(dropout=0.0)
    chooser.backbone.enable_lora(2)
    chooser.optimizer.learning_rate = 0.01
    history = chooser.fit(
        X, [0, 0, 1], epochs=8, batch_size=2, verbose=0
    ).history
    assert history["loss"][-1] < history["loss"][0]
    losses = [
        chooser.evaluate(X, y, verbose=0)[0]
        for y in ([0, 0, 1], [[0], [0], [1]], np.array([[0], [0], [1]]))
    ]
    assert losses == pytest.approx([losses[0]] * 3)
    data = {**X, "choices": tf.ragged.constant(CHOICES)}
    dataset = tf.data.Dataset.from_tensor_slices((data, [0, 0, 1])).batch(2)
    logs = chooser.evaluate(dataset, verbose=0, return_dict=True)
    assert np.isfinite(logs["loss"]) and 0 <= logs["accuracy"] <= 1


def test_saving(chooser, tmp_path):
    chooser.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertMultipleChoice.from_preset(tmp_path / "preset")
    assert loaded.preprocessor.sequence_length == 32
    expected = chooser.choose(CONTEXTS, QUESTIONS, CHOICES)
    assert loaded.choose(CONTEXTS, QUESTIONS, CHOICES) == expected
    chooser.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.choose(CONTEXTS, QUESTIONS, CHOICES) == expected


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
def test_half_precision(make, chooser, policy):
    mixed = make(dtype=policy)
    mixed.set_weights(chooser.get_weights())
    outputs = mixed.predict(X, verbose=0).astype("float32")
    assert np.isfinite(outputs).all() and outputs[0, 2] < -9000
    for a, b in zip(
        mixed.choose(CONTEXTS, QUESTIONS, CHOICES),
        chooser.choose(CONTEXTS, QUESTIONS, CHOICES),
        strict=True,
    ):
        np.testing.assert_allclose(a["scores"], b["scores"], atol=0.1)


@pytest.mark.once
def test_bad_input(make, chooser):
    for choices, message in [
        (["one"], "at least two choices.*index 0"),
        ([], "at least two choices"),
        (["a", ""], "not empty"),
        (["a", " "], "not empty"),
        (["a", "\u200b"], "not empty"),
        (["a", 3], "must be strings"),
    ]:
        with pytest.raises(ValueError, match=message):
            chooser.choose("", "?", choices)
        with pytest.raises(ValueError, match=message):
            chooser.fit({"question": ["?"], "choices": [choices]}, [0])
    with pytest.raises(ValueError, match="2 of context, 3 of question"):
        chooser.choose(CONTEXTS[:2], QUESTIONS, CHOICES)
    with pytest.raises(ValueError, match="must be a string.*index 0: None"):
        chooser.choose(None, "?", ["a", "b"])
    for x, y, message in (
        (X, None, "index of the right choice.*Received none"),
        (X, [0], "an answer for each question. Received: 1 for 3"),
        ({**X, "context": ["", None, ""]}, [0, 0, 0], "index 1: None"),
        ({**X, "question": [np.nan, "", ""]}, [0, 0, 0], "index 0: nan"),
        ({**X, "id": ["1", "2", "3"]}, [0, 0, 0], "no other keys.*'id'"),
    ):
        for call in (chooser.fit, chooser.evaluate):
            with pytest.raises(ValueError, match=message):
                call(x, y, verbose=0)
    with pytest.raises(ValueError, match="3 targets, 1 sample weights"):
        chooser.fit(X, [0, 0, 0], sample_weight=[1.0], verbose=0)
    with pytest.raises(ValueError, match="must be finite. Received: nan"):
        weights = [1.0, np.nan, 1.0]
        chooser.fit(X, [0, 0, 0], sample_weight=weights, verbose=0)
    with pytest.raises(ValueError, match="`x` must be a dictionary"):
        chooser.fit(CHOICES, [0, 0, 0], verbose=0)
    with pytest.raises(ValueError, match="`batch_size` must be positive"):
        chooser.fit(X, [0, 0, 0], batch_size=0, verbose=0)
    with pytest.raises(ValueError, match="index 0: 2 of 2 choices"):
        chooser.fit(X, [2, 0, 0], verbose=0)
    with pytest.raises(ValueError, match="must be numbers"):
        chooser.fit(X, ["A", "B", "A"], verbose=0)
    with pytest.raises(ValueError, match="`question` must have a text for"):
        chooser.predict({**X, "question": ["?"]}, verbose=0)
    with pytest.raises(ValueError, match="needs a `preprocessor`"):
        make(with_preprocessor=False).choose("", "?", ["a", "b"])
