"""Windows of questions and texts, against the original's loop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka

LENGTH, STRIDE, QUESTION = 24, 7, 8
TEXT = (
    "The Oder (Odra) is 840 km long, rises at 634 m, and flows past Wrocław "
    "and Frankfurt to the Baltic Sea. 😀 Its cafe\u0301s ﬁnd many guests."
)
QUESTIONS = [
    "How long is it?",
    "Which towns does the river Oder flow past on its long way to the sea?",
    "Who?",
]
CONTEXTS = [TEXT, TEXT, "Nobody knows."]
ANSWERS = ["840 km", "Wrocław and Frankfurt", ""]
NAMES = ["token_ids", "segment_ids", "padding_mask"]


@pytest.fixture(scope="module")
def preprocessor(tokenizer):
    return ka.AlbertQuestionAnswererPreprocessor(
        tokenizer, LENGTH, stride=STRIDE, question_length=QUESTION
    )


def original(tokenizer, question, context):
    """`convert_examples_to_features`: one window after the other."""
    query = [int(i) for i in tokenizer(question)][:QUESTION]
    document = [int(i) for i in tokenizer(context)]
    room = LENGTH - len(query) - 3
    rows, begin = [], 0
    while True:
        part = document[begin : begin + room]
        ids = [2, *query, 3, *part, 3]
        padding = [0] * (LENGTH - len(ids))
        segments = [0] * (len(query) + 2) + [1] * (len(part) + 1)
        row = (ids + padding, segments + padding, [1] * len(ids) + padding)
        rows.append((begin, len(query) + 2, len(part), row))
        if begin + len(part) == len(document):
            return rows
        begin += min(len(part), STRIDE)


def columns(rows):
    return {
        name: np.array([row[3][index] for row in rows])
        for index, name in enumerate(NAMES)
    }


def assert_same(received, expected):
    assert list(received) == list(expected)
    for name, value in expected.items():
        array = np.asarray(received[name])
        assert array.dtype == np.int32
        np.testing.assert_array_equal(array, value, name)


# === Without answers: the first window of each ===


@pytest.mark.inference
def test_first_windows(tokenizer, preprocessor):
    expected = columns(
        [
            original(tokenizer, question, context)[0]
            for question, context in zip(QUESTIONS, CONTEXTS, strict=True)
        ]
    )
    assert_same(preprocessor((QUESTIONS, CONTEXTS), y=None), expected)
    arrays = np.array(QUESTIONS), np.array(CONTEXTS)
    columns_ = dict(zip(("question", "context"), arrays, strict=True))
    assert_same(preprocessor(columns_), expected)
    tensors = tf.constant(QUESTIONS), tf.constant(CONTEXTS)
    assert_same(preprocessor(tensors, y=None), expected)
    one = preprocessor((QUESTIONS[0], CONTEXTS[0]), y=None)
    assert_same(one, {name: x[0] for name, x in expected.items()})


@pytest.mark.once
def test_graphs_give_the_same(preprocessor):
    questions, contexts = [*QUESTIONS, "", "W" * 90], [*CONTEXTS, "", ""]
    pack = tf.function(lambda q, c: preprocessor((q, c), y=None))
    assert_same(
        pack(tf.constant(questions), tf.constant(contexts)),
        preprocessor((questions, contexts), y=None),
    )
    one = tf.data.Dataset.from_tensors((QUESTIONS[0], TEXT)).map(
        lambda q, c: preprocessor((q, c), y=None)
    )
    expected = preprocessor((QUESTIONS[0], TEXT), y=None)
    assert_same(next(iter(one)), expected)


# === With answers: all windows ===


def targets():
    starts = [TEXT.index(answer) if answer else 0 for answer in ANSWERS]
    return {"text": ANSWERS, "answer_start": starts}


@pytest.mark.inference
def test_all_windows_and_targets(tokenizer, preprocessor):
    weights = [1.0, 2.0, 3.0]
    x, y, sample_weight = preprocessor(
        (QUESTIONS, CONTEXTS), y=targets(), sample_weight=weights
    )
    rows, expected, counted = [], [], []
    for index, answer in enumerate(ANSWERS):
        windows = original(tokenizer, QUESTIONS[index], CONTEXTS[index])
        spans = tokenizer.tokenize_with_offsets(CONTEXTS[index])[1]
        begin = targets()["answer_start"][index]
        inside = [
            place
            for place, (start, end) in enumerate(spans)
            if start < begin + len(answer) and end > begin and start < end
        ]
        for row in windows:
            first, prefix, tokens, _ = row
            held = [first <= place < first + tokens for place in inside]
            is_held = bool(inside) and all(held)
            expected.append(
                [place - first + prefix for place in (inside[0], inside[-1])]
                if is_held
                else [0, 0]
            )
            counted.append(is_held)
        rows += windows
        assert any(counted[-len(windows) :]) == bool(answer)
    assert_same(x, columns(rows))
    np.testing.assert_array_equal(y["start_logits"], np.array(expected)[:, 0])
    np.testing.assert_array_equal(y["end_logits"], np.array(expected)[:, 1])
    assert 0 < sum(counted) < len(rows)
    sizes = [
        len(original(tokenizer, *pair))
        for pair in zip(QUESTIONS, CONTEXTS, strict=True)
    ]
    np.testing.assert_array_equal(sample_weight, np.repeat(weights, sizes))


def test_pipelines_give_the_same_windows(preprocessor):
    data = ((QUESTIONS, CONTEXTS), targets(), [1.0, 2.0, 3.0])
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(3)
    x, y, weights = next(iter(dataset.map(preprocessor)))
    expected = preprocessor(data[0], y=data[1], sample_weight=data[2])
    assert_same(x, expected[0])
    assert_same(y, expected[1])
    np.testing.assert_array_equal(weights, expected[2])
    assert x["token_ids"].shape[1] == LENGTH


@pytest.mark.once
@pytest.mark.parametrize(
    "answer",
    [
        "Oder",
        "(Odra)",
        "634 m",
        "Wrocław",
        "😀",
        "cafe\u0301s",
        "ﬁnd",
        "guests.",
    ],
)
def test_targets_point_at_the_answer(tokenizer, preprocessor, answer):
    """The characters of the tokens are those of the answer, at least."""
    y = {"text": [answer], "answer_start": [TEXT.index(answer)]}
    x, y = preprocessor((["Which?"], [TEXT]), y=y)
    ids, spans = tokenizer.tokenize_with_offsets(TEXT)
    rows = np.flatnonzero(y["start_logits"])
    assert len(rows)
    for row in rows:
        first, last = y["start_logits"][row], y["end_logits"][row]
        tokens = x["token_ids"][row, first : last + 1].tolist()
        places = [
            i
            for i in range(len(ids))
            if ids[i : i + len(tokens)] == tokens
            and TEXT[spans[i][0] : spans[i + len(tokens) - 1][1]]
            in (answer, answer + "s", f"{answer}.")
        ]
        assert places, tokens


@pytest.mark.once
def test_each_text_is_tokenized_once(preprocessor, monkeypatch):
    seen = []
    tokenize = preprocessor.tokenizer.tokenize_with_offsets

    def counting(texts):
        seen.extend(texts)
        return tokenize(texts)

    monkeypatch.setattr(
        preprocessor.tokenizer, "tokenize_with_offsets", counting, raising=False
    )
    pairs = preprocessor.tokenize_pairs(QUESTIONS * 5, CONTEXTS * 5)
    assert seen.count(TEXT) == 1 and len(pairs) == 15
    assert pairs.cut == [1, 4, 7, 10, 13]


# === Configuration and errors ===


@pytest.mark.once
def test_config_and_presets(preprocessor, tmp_path):
    config = keras.layers.serialize(preprocessor)
    preprocessor.save_to_preset(tmp_path)
    twins = (
        keras.layers.deserialize(config),
        ka.AlbertQuestionAnswererPreprocessor.from_preset(tmp_path),
    )
    assert (twins[1].sequence_length, twins[1].stride) == (LENGTH, STRIDE)
    for twin in twins:
        assert twin.get_config()["question_length"] == QUESTION
    default = ka.AlbertQuestionAnswererPreprocessor.from_preset(
        "albert_tiny_en"
    )
    lengths = default.sequence_length, default.stride, default.question_length
    assert lengths == (384, 128, 64)
    assert_same(
        twins[1]((QUESTIONS, CONTEXTS), y=None),
        preprocessor((QUESTIONS, CONTEXTS), y=None),
    )


@pytest.mark.once
def test_bad_input(tokenizer, preprocessor):
    def make(**kwargs):
        return ka.AlbertQuestionAnswererPreprocessor(tokenizer, **kwargs)

    with pytest.raises(ValueError, match="`question_length . 4`.*=40"):
        make(sequence_length=40)
    with pytest.raises(ValueError, match="must be positive.*stride=0"):
        make(stride=0)
    with pytest.raises(ValueError, match="must be a tuple of questions"):
        preprocessor("Who?")
    with pytest.raises(ValueError, match="'text' and 'answer_start'"):
        preprocessor((QUESTIONS, CONTEXTS), y=[1, 2, 3])
    with pytest.raises(ValueError, match="3 questions and 1 texts"):
        preprocessor((QUESTIONS, [TEXT]), y=targets())

    def learn(question="Who?", context=TEXT, text="Oder", start=4):
        return preprocessor.learn_windows(
            [QUESTIONS[0], question], [TEXT, context], ["", text], [0, start]
        )

    with pytest.raises(ValueError, match="index 1: 'Oder' at 5.*'der '"):
        learn(start=5)
    with pytest.raises(ValueError, match="index 1: 'Oder' at -1"):
        learn(start=-1)
    with pytest.raises(ValueError, match="Texts must hold words.*index 1"):
        learn(context=" \n", text="")
    with pytest.raises(ValueError, match="Questions must hold words.*index 1"):
        learn(question="  ")
