"""What `fit`, `evaluate` and `predict` of all tasks are given in odd shapes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka

TEXTS = ["a cat", "it rains", "call Anna", "wake me up"]
PAIRS = {"text": TEXTS, "positive": TEXTS[::-1]}
SCORED = {"text": TEXTS, "pair": TEXTS[::-1]}
DOCUMENTS = ["A cat. It rains.", "Call me.", "Wake up. Go on.", "Sleep well."]
LABELS = [[1, 0], [1], [0, 1], [1]]


@pytest.fixture(scope="module")
def tasks(tokenizer, tiny):
    """Tiny tasks by name; with them is nothing trained."""

    def make(name, length=24, with_preprocessor=True, **kwargs):
        preprocessor = getattr(ka, f"{name}Preprocessor")
        lengths = {"sequence_length": length}
        if name == "AlbertQuestionAnswerer":
            lengths["question_length"] = 8
        return getattr(ka, name)(
            ka.AlbertBackbone(**{**tiny, "num_layers": 1}),
            preprocessor=preprocessor(tokenizer, **lengths)
            if with_preprocessor
            else None,
            **kwargs,
        )

    return {
        "classifier": make("AlbertTextClassifier", num_classes=2),
        "without": make(
            "AlbertTextClassifier", num_classes=2, with_preprocessor=False
        ),
        "embedder": make("AlbertTextEmbedder"),
        "scorer": make("AlbertTextEmbedder", objective="cosine"),
        "extractor": make("AlbertSentenceExtractor", length=32),
        "answerer": make("AlbertQuestionAnswerer", length=32),
        "chooser": make("AlbertMultipleChoice"),
        "masked_lm": make("AlbertMaskedLM"),
        "tagger": make("AlbertTokenClassifier", labels=["O", "B-X"]),
    }


@pytest.fixture
def given(tasks, monkeypatch):
    """What Keras's `fit` gets, with nothing trained."""

    def given(name, *data, **arguments):
        seen = {}
        monkeypatch.setattr(keras.Model, "fit", lambda _, **kw: seen.update(kw))
        tasks[name].fit(*data, batch_size=2, shuffle=False, **arguments)
        return seen

    return given


def rows_in(data):
    return sum(len(batch[0]["token_ids"]) for batch in data)


# === Rows that are held out ===


@pytest.mark.parametrize(
    ("name", "x", "y", "texts"),
    [
        ("classifier", TEXTS, (0, 1, 0, 1), 1),
        ("classifier", (TEXTS, TEXTS), (0, 1, 0, 1), 1),
        ("embedder", {k: (*v,) for k, v in PAIRS.items()}, None, 2),
        ("embedder", PAIRS, (*"aabb",), 2),
        ("scorer", SCORED, (0.0, 1.0, 0.5, 1.0), 2),
        ("extractor", (*DOCUMENTS,), (*LABELS,), 1),
        ("extractor", DOCUMENTS, tuple(map(tuple, LABELS)), 1),
        ("answerer", ((*TEXTS,), (*TEXTS,)), (*TEXTS,), 1),
    ],
)
def test_tuples_are_split_by_rows(given, name, x, y, texts):
    """A tuple held out as columns once was all rows, in both parts."""
    seen = given(name, x, y, validation_split=0.25)
    assert rows_in(seen["x"]) == 3 * texts
    assert rows_in(seen["validation_data"]) == texts


def test_weights_are_split_with_rows(given):
    seen = given(
        "classifier",
        TEXTS,
        [0, 1, 0, 1],
        sample_weight=(1.0, 2.0, 3.0, 4.0),
        validation_split=0.25,
    )
    (_, _, held_out), *_ = seen["validation_data"]
    np.testing.assert_array_equal(held_out, [4.0])


@pytest.mark.parametrize("share", [1.0, -0.1, 1.5, "0.2", float("nan"), True])
def test_share_of_rows_that_there_is_not(tasks, share):
    with pytest.raises(ValueError, match="rows to train on.*of 4 rows"):
        tasks["embedder"].fit(PAIRS, validation_split=share)


def test_as_many_of_all_that_is_split(tasks):
    with pytest.raises(ValueError, match="4 texts, 4 texts, 3 targets"):
        tasks["embedder"].fit(PAIRS, [0, 1, 2], validation_split=0.5)
    with pytest.raises(ValueError, match="list or array of sample weights"):
        tasks["classifier"].fit(TEXTS, [0] * 4, 2, 5)  # 5 epochs, elsewhere


@pytest.mark.parametrize("kind", [tuple, list])
def test_validation_data_as_a_list(given, kind):
    sentences, labels = [["a", "b"], ["c"]], [["O", "B-X"], ["O"]]
    seen = given(
        "tagger", sentences, labels, validation_data=kind((sentences, labels))
    )
    assert rows_in(seen["validation_data"]) == 2
    for data in ((), (sentences, labels, None, None)):
        with pytest.raises(ValueError, match="`validation_data` must be"):
            given("tagger", sentences, labels, validation_data=kind(data))


def test_validation_data_without_what_is_needed(tasks):
    question = {"question": ["a"], "choices": [["b", "c"]]}
    with pytest.raises(ValueError, match="the index of the right choice"):
        tasks["chooser"].fit(question, [0], validation_data=(question,))
    unbatched = tf.data.Dataset.from_tensor_slices((TEXTS, [0, 1, 0, 1]))
    with pytest.raises(ValueError, match="must be of batches"):
        tasks["classifier"].fit(TEXTS, [0] * 4, validation_data=unbatched)


# === What cannot be meant ===


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return np.array(TEXTS), np.zeros(4)


@pytest.mark.parametrize("name", ["classifier", "embedder", "masked_lm"])
@pytest.mark.parametrize(
    "x", [None, 3, "a text", {*TEXTS}, (x for x in TEXTS), Batches()], ids=type
)
def test_neither_lists_nor_datasets(tasks, name, x):
    for call in ("fit", "evaluate", "predict"):
        with pytest.raises(ValueError, match=r"Inputs must be.*Received"):
            getattr(tasks[name], call)(x, verbose=0)


@pytest.mark.parametrize("x", [{"text": TEXTS}, (*TEXTS,)], ids=type)
def test_neither_texts_nor_pairs(tasks, x):
    with pytest.raises(ValueError, match="Texts must be a list of strings"):
        tasks["classifier"].fit(x, [0] * 4)


def test_texts_without_a_preprocessor(tasks):
    for call in ("fit", "evaluate"):
        with pytest.raises(ValueError, match="needs a `preprocessor`"):
            getattr(tasks["without"], call)(TEXTS, [0] * 4)


def batches(*data):
    return tf.data.Dataset.from_tensor_slices(data).batch(2)


def test_no_targets(tasks):
    for x in (TEXTS, batches(TEXTS)):
        with pytest.raises(ValueError, match="must be targets"):
            tasks["classifier"].fit(x)


@pytest.mark.parametrize("value", [[0, 1], 3.0, ["x"] * 4])
def test_weights_that_are_none(tasks, value):
    with pytest.raises(ValueError, match="(?i)weight"):
        tasks["classifier"].fit(TEXTS, [0] * 4, sample_weight=value)
    # Which have no targets, and once lost weights with them.
    with pytest.raises(ValueError, match="(?i)weight"):
        tasks["masked_lm"].fit(TEXTS, sample_weight=value)


def test_weights_of_texts_alone(tasks):
    logs = tasks["masked_lm"].evaluate(TEXTS, sample_weight=[0] * 4, verbose=0)
    assert logs[0] == 0.0


@pytest.mark.parametrize("x", [[], [1, 2], ["a", None]], ids=repr)
def test_texts_to_mask(tasks, x):
    with pytest.raises(ValueError, match=r"list of strings|at least one"):
        tasks["masked_lm"].fit(x)
    with pytest.raises(ValueError, match="without targets"):
        tasks["masked_lm"].fit(TEXTS, [0] * 4)


# === Texts that belong together ===


@pytest.mark.parametrize(
    "texts", [None, 3, {*TEXTS}, {"a": 1}, "a cat"], ids=type
)
def test_texts_in_no_order(tasks, texts):
    with pytest.raises(ValueError, match="`positive` must be a list of str"):
        tasks["embedder"].fit({"text": TEXTS, "positive": texts})


@pytest.mark.parametrize(
    "classes", [[0.5, 1, 2, 3], ["a", None, "b", "c"], [0, 1, np.nan, 2]]
)
def test_what_names_no_class(tasks, classes):
    with pytest.raises(ValueError, match=r"Classes must be .*at index \d"):
        tasks["embedder"].fit(PAIRS, classes)
    with pytest.raises(ValueError, match="`class_weight` must be left out"):
        tasks["embedder"].fit(PAIRS, [0, 1, 2, 3], class_weight={0: 2.0})


@pytest.mark.parametrize("score", ["high", None, np.nan, 1.5])
def test_scores_have_their_row(tasks, score):
    with pytest.raises(ValueError, match="index 2: a score must"):
        tasks["scorer"].fit(SCORED, [0, 1, score, 1])


def test_pipelines_of_other_texts(tasks):
    scores = np.zeros(4, "float32")
    for name, data, message in (
        ("embedder", (SCORED, scores), "The objective must be"),
        ("scorer", (PAIRS, scores), "The objective must be"),
        ("embedder", ({"a": TEXTS},), "Texts that belong together must be"),
    ):
        with pytest.raises(ValueError, match=message):
            tasks[name].fit(batches(*data))
    with pytest.raises(ValueError, match="must have scores"):
        tasks["scorer"].fit(tf.data.Dataset.from_tensors(SCORED))
    with pytest.raises(ValueError, match="at least one text"):
        tasks["embedder"].predict([])


def test_ready_texts_stay_together(tasks):
    """A loss of half an example is the loss of nothing."""
    for name, x, y in (
        ("embedder", {**PAIRS, "negative": ["x"] * 4}, None),
        ("scorer", SCORED, [0.0, 0.5, 1.0, 1.0]),
    ):
        task = tasks[name]
        features, targets = task.preprocessor(x, y=y)
        number = len(x)
        assert np.isfinite(
            task.evaluate(features, targets, batch_size=number, verbose=0)
        )
        for arguments in (
            {"batch_size": number + 1},
            {"batch_size": number, "validation_split": 0.35},
        ):
            with pytest.raises(ValueError, match="must stay together"):
                task.fit(features, targets, **arguments)
        for wrong in (None, np.zeros((len(targets), 2))):
            with pytest.raises(ValueError, match="the preprocessor's targets"):
                task.fit(features, wrong, batch_size=number)
    with pytest.raises(ValueError, match="index 0: a score must"):
        task.fit(features, targets + 5, batch_size=2)


@pytest.mark.parametrize("value", ["x", None, float("inf")])
def test_temperature_and_range(tasks, value):
    backbone = tasks["embedder"].backbone
    with pytest.raises(ValueError, match="`temperature` must be positive"):
        ka.AlbertTextEmbedder(backbone, temperature=value)
    for pair in (value, (0,), (0, 1, 2), (0, value)):
        with pytest.raises(ValueError, match="`score_range` must be a pair"):
            ka.AlbertTextEmbedder(backbone, score_range=pair)


# === Documents ===


def test_bytes_and_halves_of_characters(tasks):
    extractor, embedder = tasks["extractor"], tasks["embedder"]
    # As in graphs, where they are unknown characters.
    assert len(extractor.summarize([b"Fine. \xff\xfe here."])[0]) == 2
    x = {"text": [b"\xff", "b"], "positive": ["c", "d"]}
    assert np.isfinite(embedder.evaluate(x, verbose=0))
    for bad in ("half \ud800.", ["Fine.", "half \ud800."]):
        with pytest.raises(ValueError, match="Unicode.*at index 1"):
            extractor.fit([["One.", "Two."], bad], [[0, 1], [1, 0]])


@pytest.mark.parametrize("summary", ["", "  ", ("cat", "")])
def test_summary_of_nothing(tasks, summary):
    with pytest.raises(ValueError, match="index 1: the summary must not be"):
        tasks["extractor"].fit(DOCUMENTS[:2], ["cat", summary])


def test_several_summaries_are_a_tuple(tasks):
    with pytest.raises(ValueError, match="several are a tuple"):
        tasks["extractor"].fit(DOCUMENTS[:1], [["cat", "rain"]])
    with pytest.raises(ValueError, match="at least one document"):
        tasks["extractor"].predict([])


def test_documents_of_a_pipeline(tasks):
    extractor = tasks["extractor"]
    for x in (batches(DOCUMENTS, [0] * 4), batches(DOCUMENTS)):
        with pytest.raises(ValueError, match="ragged tensors of"):
            extractor.fit(x)
    sentences = tf.ragged.constant([["a b.", "c"], ["d"]])
    with pytest.raises(ValueError, match="must be targets"):
        extractor.fit(batches(sentences))
    labels = tf.ragged.constant([[5, 0], [1]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="0 or 1"):
        list(batches(sentences, labels).map(extractor.preprocessor))


def test_ready_sentences(tasks):
    extractor = tasks["extractor"]
    x, y, weights = extractor.preprocessor(DOCUMENTS, LABELS)
    for data in ((x, None), (x, y[:, :5]), (x, y[:, 0]), (x, y, 2, [1.0] * 4)):
        with pytest.raises(ValueError, match="of their shape"):
            extractor.fit(*data)
    with pytest.raises(ValueError, match="must be 0 or 1"):
        extractor.fit(x, y + 7, sample_weight=weights)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("extractor", DOCUMENTS, LABELS),
        (
            "tagger",
            [["a"], ["b", "c", "d", "e"], ["f"] * 9],
            [["O"], ["B-X"] * 4, ["O", "B-X", "B-X"] * 3],
        ),
    ],
)
def test_accuracy_is_one_whatever_the_batches(tasks, name, x, y):
    """Keras's own gives a token a weight by the length of its batch."""
    values = [
        tasks[name].evaluate(x, y, batch_size=size, verbose=0)[1]
        for size in (1, 2, 9)
    ]
    assert values == pytest.approx([values[0]] * 3)
    tokens = sum(map(len, y))
    assert values[0] * tokens == pytest.approx(round(values[0] * tokens))


# === Columns of data frames ===


class Column:
    """What pandas and polars have in common."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def to_list(self):
        return list(self.values)

    def to_numpy(self):
        return np.array(self.values, dtype=object)


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("classifier", TEXTS, [0, 1, 0, 1]),
        ("masked_lm", TEXTS, None),
        ("tagger", TEXTS, ["O B-X", "O O", "O B-X", "O O O"]),
        ("tagger", [["cat"] * 50, ["a"]], [["O"] * 50, ["B-X"]]),
        ("answerer", (TEXTS, TEXTS), TEXTS),
        ("answerer", {"question": TEXTS, "context": TEXTS}, TEXTS),
        ("chooser", {"question": TEXTS, "choices": [["a", "b"]] * 4}, [0] * 4),
    ],
)
def test_columns_are_lists(given, name, x, y):
    def as_columns(x):
        if isinstance(x, tuple):
            return tuple(map(Column, x))
        if isinstance(x, dict):
            return {key: Column(value) for key, value in x.items()}
        return None if x is None else Column(x)

    rows = rows_in(given(name, x, y)["x"])
    data = as_columns(x), as_columns(y)
    seen = given(name, *data, validation_data=data)
    assert rows_in(seen["x"]) == rows_in(seen["validation_data"]) == rows


@pytest.mark.once
def test_answers_of_data_frames(tasks):
    answer = {
        "text": np.array(["cat"], dtype=object),
        "answer_start": np.array([2], dtype="int32"),
    }
    answerer = tasks["answerer"]
    expected = answerer.evaluate((["who?"], ["a cat"]), ["cat"], verbose=0)
    for y in ([answer], [{"text": "cat", "answer_start": np.int64(2)}]):
        found = answerer.evaluate((["who?"], ["a cat"]), y, verbose=0)
        assert found == expected


@pytest.mark.once
@pytest.mark.parametrize(
    "x",
    [
        (TEXTS, "a cat"),
        ((*TEXTS,), ("a cat",) * 4),
        {"question": TEXTS, "context": "a cat", "answers": [None] * 4},
    ],
)
def test_predict_takes_what_fit_takes(tasks, x):
    answerer = tasks["answerer"]
    expected = answerer.predict((TEXTS, ["a cat"] * 4), verbose=0)
    found = answerer.predict(x, verbose=0)
    np.testing.assert_allclose(
        found["end_logits"], expected["end_logits"], atol=1e-5
    )


@pytest.mark.once
def test_choices_in_an_array(tasks):
    choices = np.array([["a", "b", ""], ["a", "b", "c"]])
    chooser = tasks["chooser"]
    expected = chooser.evaluate(
        {"choices": [["a", "b"], ["a", "b", "c"]]}, [1, 2], verbose=0
    )
    assert chooser.evaluate({"choices": choices}, [1, 2], verbose=0) == expected
    with pytest.raises(ValueError, match="index 0: 2 of 2 choices"):
        chooser.fit({"choices": choices}, [2, 2])
    with pytest.raises(ValueError, match="at least two choices"):
        chooser.fit({"choices": choices[:, :1]}, [0, 0])
    with pytest.raises(ValueError, match="at least one question"):
        chooser.fit({"choices": []}, [])
