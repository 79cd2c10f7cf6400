"""Questions and texts in, parts of the texts out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import contracts
import keras_albert as ka
from keras_albert.preprocessing.windows import tokens_of_span

TEXT = (
    "The Oder (Odra) is 840 km long, rises at 634 m, and flows past Wrocław "
    "and Frankfurt to the Baltic Sea. 😀 Its cafe\u0301s ﬁnd many guests."
)
SHORT = "Nobody knows."
QUESTIONS = ["How long is it?", "Where does it rise?", "Who?"]
CONTEXTS = [TEXT, TEXT, SHORT]
ANSWERS = [
    {"text": "840 km", "answer_start": 19},
    [{"text": "634 m"}, {"text": "m"}],
    None,
]


@pytest.fixture(scope="module")
def make(tokenizer, tiny):
    def make(with_preprocessor=True, lengths=(24, 7, 8), **kwargs):
        preprocessor = None
        if with_preprocessor:
            preprocessor = ka.AlbertQuestionAnswererPreprocessor(
                tokenizer, *lengths
            )
        backbone = kwargs.pop("backbone", {})
        answerer = ka.AlbertQuestionAnswerer(
            ka.AlbertBackbone(**{**tiny, "num_layers": 1, **backbone}),
            preprocessor=preprocessor,
            **kwargs,
        )
        contracts.randomize(answerer, seed=2, scale=0.5)
        answerer.run_eagerly = keras.backend.backend() == "tensorflow"
        return answerer

    return make


@pytest.fixture(scope="module")
def answerer(make):
    return make()


def all_answers(answerer, question, context, longest=30):
    """Every span of every window, by one loop over the model's outputs."""
    pairs = answerer.preprocessor.readable_pairs([question], [context])
    windows = pairs.windows()
    outputs = contracts.predict(answerer, windows.features())
    spans = pairs.spans[0]
    best, nulls = {}, []
    room = {}
    for row in range(len(windows)):
        begin, prefix = windows.begin[row], windows.prefix[row]
        size = windows.offsets[row + 1] - windows.offsets[row] - prefix - 1
        starts, ends = outputs["start_logits"][row], outputs["end_logits"][row]
        nulls.append(float(starts[0] + ends[0]))
        for i in range(size):
            around = min(i, size - 1 - i) + 0.01 * size
            if around <= room.get(begin + i, (-1.0,))[0]:
                continue
            room[begin + i] = (around, row)
            best[begin + i] = [
                (
                    float(starts[prefix + i]) + float(ends[prefix + j]),
                    int(spans[begin + i][0]),
                    int(spans[begin + j][1]),
                )
                for j in range(i, min(i + longest, size))
                if spans[begin + i][0] < spans[begin + i][1]
                and spans[begin + j][0] < spans[begin + j][1]
            ]
    found = sorted((x for row in best.values() for x in row), reverse=True)
    return found, min(nulls)


@pytest.mark.inference
def test_answers_are_the_best_spans_of_all_windows(answerer):
    results = answerer.answer(QUESTIONS, CONTEXTS, batch_size=4)
    for question, context, result in zip(
        QUESTIONS, CONTEXTS, results, strict=True
    ):
        expected, _ = all_answers(answerer, question, context)
        score, start, end = expected[0]
        assert (result["start"], result["end"]) == (start, end)
        assert result["text"] == context[start:end] != ""
        total = sum(np.exp(x[0] - score) for x in expected)
        assert result["score"] == pytest.approx(1 / total, rel=1e-3)


def test_one_and_several(answerer):
    one = answerer.answer(QUESTIONS[0], TEXT)
    assert set(one) == {"text", "score", "start", "end"}
    several = answerer.answer(QUESTIONS[:2], TEXT)
    for name in one:
        assert several[0][name] == pytest.approx(one[name])
    both = answerer.answer(QUESTIONS[0], [TEXT, SHORT])
    assert both[0]["text"] == one["text"] and both[1]["text"] in SHORT
    assert answerer.answer([], []) == answerer.answer([], TEXT) == []
    best = answerer.answer(QUESTIONS[0], TEXT, top_k=4)
    assert len({x["text"] for x in best}) == len(best) == 4
    assert best[0] == pytest.approx(one)
    scores = [x["score"] for x in best]
    assert scores == sorted(scores, reverse=True)
    [word] = answerer.answer([QUESTIONS[0]], [TEXT], max_answer_length=1)
    assert len(word["text"].split()) == 1


def test_no_answer(answerer):
    expected, null = all_answers(answerer, QUESTIONS[0], TEXT)
    difference = null - expected[0][0]
    [ranked] = answerer.rank_answers([QUESTIONS[0]], [TEXT])
    assert ranked["no_answer_score"] == pytest.approx(difference, abs=1e-4)
    try:
        for threshold in (difference - 0.01, difference + 0.01):
            answerer.no_answer_threshold = threshold
            result = answerer.answer(QUESTIONS[0], TEXT)
            is_none = difference > threshold
            assert (result["text"] == "") == is_none
            assert result["text"] == TEXT[result["start"] : result["end"]]
            total = np.exp(null) + sum(np.exp(x[0]) for x in expected)
            score = null if is_none else expected[0][0]
            assert result["score"] == pytest.approx(
                np.exp(score) / total, rel=1e-3
            )
            texts = [
                x["text"] for x in answerer.answer(QUESTIONS[0], TEXT, top_k=3)
            ]
            assert len(texts) == 3 and ("" in texts) == is_none
    finally:
        answerer.no_answer_threshold = None


# === Training ===


def learn(answerer, *data, epochs=6, **kwargs):
    answerer.compile(optimizer=keras.optimizers.Adam(0.03))
    answerer.run_eagerly = keras.backend.backend() == "tensorflow"
    return answerer.fit(
        *data, batch_size=8, epochs=epochs, verbose=0, **kwargs
    ).history


def test_fit_on_texts_learns_where_answers_are(make, recwarn):
    answerer = make(backbone={"dropout": 0.0}, lengths=(48, 16, 12))
    history = learn(
        answerer,
        (QUESTIONS, CONTEXTS),
        ANSWERS,
        validation_data=((QUESTIONS, CONTEXTS), ANSWERS),
    )
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert history["val_loss"][-1] < 0.7 * history["loss"][0]
    metrics = answerer.evaluate(
        {"question": QUESTIONS, "context": CONTEXTS, "answers": ANSWERS},
        batch_size=8,
        verbose=0,
        return_dict=True,
    )
    assert metrics["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-3)
    assert not [str(w.message) for w in recwarn if w.category is UserWarning]


@pytest.mark.once
def test_the_loss_is_that_of_all_windows(make):
    """By hand: the mean over windows, weights of questions heeded."""
    answerer = make()
    preprocessor = answerer.preprocessor
    pairs = preprocessor.readable_pairs(QUESTIONS, CONTEXTS)
    windows = pairs.windows()
    outputs = contracts.predict(answerer, windows.features(24))
    spans = [(19, 25), (41, 46), None]
    losses = []
    for row, example in enumerate(windows.example_of):
        first, last = 0, 0
        if spans[example]:
            tokens = tokens_of_span(pairs.spans[0], *spans[example])
            begin, prefix = windows.begin[row], windows.prefix[row]
            size = windows.offsets[row + 1] - windows.offsets[row]
            if begin <= tokens[0] and tokens[1] < begin + size - prefix - 1:
                first, last = (token - begin + prefix for token in tokens)
        loss = 0.0
        for name, position in (("start_logits", first), ("end_logits", last)):
            logits = outputs[name][row].astype("float64")
            loss += np.log(np.exp(logits).sum()) - logits[position]
        losses.append(loss / 2)
    metrics = answerer.evaluate(
        (QUESTIONS, CONTEXTS), ANSWERS, 99, verbose=0, return_dict=True
    )
    assert metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    weights = np.array([1.0, 0.0, 0.0])
    metrics = answerer.evaluate(
        (QUESTIONS, CONTEXTS),
        ANSWERS,
        99,
        weights,
        verbose=0,
        return_dict=True,
    )
    expected = np.mean(losses * weights[windows.example_of])
    assert metrics["loss"] == pytest.approx(expected, rel=1e-4)


def test_fit_on_a_pipeline(make):
    answerer = make()
    columns = {
        "text": ["840 km", "634 m", ""],
        "answer_start": [19, 41, 0],
    }
    inputs = {"question": QUESTIONS, "context": CONTEXTS}
    dataset = tf.data.Dataset.from_tensor_slices((inputs, columns)).batch(3)
    metrics = answerer.evaluate(dataset, verbose=0, return_dict=True)
    expected = answerer.evaluate(
        (QUESTIONS, CONTEXTS), ANSWERS, 99, verbose=0, return_dict=True
    )
    assert metrics["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    answerer.fit(dataset.repeat(2), steps_per_epoch=2, verbose=0)


def test_lora_in_mixed_precision(make):
    answerer = make(backbone={"dtype": "mixed_bfloat16"}, lengths=(48, 16, 12))
    answerer.backbone.enable_lora(2)
    before = answerer.backbone.get_weights()
    learn(answerer, (QUESTIONS, CONTEXTS), ANSWERS, epochs=1)
    changed = [
        weight.path
        for weight, value in zip(answerer.backbone.weights, before, strict=True)
        if not np.array_equal(keras.ops.convert_to_numpy(weight), value)
    ]
    assert changed and all("lora" in p or "seed" in p for p in changed)
    result = answerer.answer(QUESTIONS[0], TEXT)
    assert result["text"] == TEXT[result["start"] : result["end"]]


# === Predict, saving ===


def test_predict_gives_a_row_a_question(answerer):
    for x in (
        (QUESTIONS, CONTEXTS),
        {"question": QUESTIONS, "context": CONTEXTS},
    ):
        outputs = answerer.predict(x, batch_size=2, verbose=0)
        inputs = answerer.preprocessor((QUESTIONS, CONTEXTS), y=None)
        expected = contracts.predict(answerer, inputs)
        assert expected["start_logits"].shape == (3, 24)
        contracts.assert_same(outputs, expected, tolerance=1e-5)


def test_saving(make, tmp_path):
    answerer = make(no_answer_threshold=-1.5)
    expected = answerer.answer(QUESTIONS, CONTEXTS)
    answerer.save_to_preset(tmp_path / "preset")
    answerer.save(tmp_path / "model.keras")
    for loaded in (
        ka.AlbertQuestionAnswerer.from_preset(tmp_path / "preset"),
        keras.models.load_model(tmp_path / "model.keras"),
    ):
        assert loaded.no_answer_threshold == -1.5
        assert loaded.preprocessor.stride == 7
        loaded.run_eagerly = answerer.run_eagerly
        for result, answer in zip(
            loaded.answer(QUESTIONS, CONTEXTS), expected, strict=True
        ):
            assert result["text"] == answer["text"]
            assert result["score"] == pytest.approx(answer["score"], rel=1e-4)


# === What is given wrongly ===


@pytest.mark.once
@pytest.mark.parametrize(
    ("question", "context", "message"),
    [
        (None, TEXT, "`question`: Texts must be a string"),
        ("Who?", [TEXT, 3], "`context`: .*index 1: 3"),
        (["Who?"], [TEXT, TEXT], "1 questions and 2 contexts"),
        ([("a", "b")], [TEXT], r"`question` must be a string.*\('a', 'b'\)"),
        ("Who?", " \n", "Texts must hold words"),
        (["Who?", ""], TEXT, "Questions must hold words.*index 1"),
        ("Who?", "half a pair \ud800", "`context`: .*Unicode"),
    ],
)
def test_answer_what_is_no_question(answerer, question, context, message):
    with pytest.raises(ValueError, match=message):
        answerer.answer(question, context)


@pytest.mark.once
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "an answer for each question.*none for 3"),
        (["840 km"], "Received: 1 for 3 questions"),
        (
            ["840 km", "Elbe", None],
            "index 1: an answer must be in its text.*El",
        ),
        (["840 km", 3, None], "answers at index 1, the answer must be a JSON"),
        (
            ["840 km", {"text": "m", "answer_start": 900}, None],
            "index 1: the answer must lie in its context.*at 900",
        ),
    ],
)
def test_fit_on_what_is_no_answer(answerer, y, message):
    with pytest.raises(ValueError, match=message):
        answerer.fit((QUESTIONS, CONTEXTS), y, verbose=0)


@pytest.mark.once
def test_other_bad_input(make, answerer):
    with pytest.raises(ValueError, match="needs a `preprocessor`"):
        make(with_preprocessor=False).answer("Who?", TEXT)
    for name in ("top_k", "max_answer_length", "batch_size"):
        for value in (0, 1.5):
            with pytest.raises(ValueError, match=f"`{name}` must be positive"):
                answerer.answer("Who?", TEXT, **{name: value})
    data = (QUESTIONS, CONTEXTS), ANSWERS
    for value in (0, -1, 2.5):
        with pytest.raises(ValueError, match="`batch_size` must be positive"):
            answerer.fit(*data, batch_size=value, verbose=0)
    for weights, message in (
        ([1.0], "one weight for each example.*3 examples"),
        ([1.0] * 4, "one weight for each example"),
        ([1.0, np.inf, 1.0], "must be finite. Received: inf"),
    ):
        for call in (answerer.fit, answerer.evaluate):
            with pytest.raises(ValueError, match=message):
                call(*data, sample_weight=weights, verbose=0)
    with pytest.raises(ValueError, match="tuple of questions and texts"):
        answerer.predict(["Who?"], verbose=0)
    with pytest.warns(UserWarning, match="1 of 1 questions are longer than"):
        answerer.answer("Why? " * 20, TEXT)
    broken = make()
    weights = broken.span_dense.get_weights()
    broken.span_dense.set_weights([np.nan * x for x in weights])
    with pytest.raises(ValueError, match="outputs must be finite"):
        broken.answer("Who?", TEXT)
