"""From labelled words to entities in the user's text."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import contracts
import keras_albert as ka

LABELS = ["O", "B-PER", "I-PER", "B-LOC"]
SENTENCES = [
    ["Anna", "Berg", "lives", "in", "Oslo", "."],
    ["In", "Oslo", ",", "it", "rains", "."],
    ["Anna", "calls", "."],
    ["It", "rains", "."],
]
TAGS = [
    ["B-PER", "I-PER", "O", "O", "B-LOC", "O"],
    ["O", "B-LOC", "O", "O", "O", "O"],
    ["B-PER", "O", "O"],
    ["O", "O", "O"],
]
SIZES = {"num_layers": 1, "max_sequence_length": 64}


def make(tokenizer, tiny, sequence_length=24, **kwargs):
    keras.utils.set_random_seed(1)
    return ka.AlbertTokenClassifier(
        ka.AlbertBackbone(**{**tiny, **SIZES, **kwargs.pop("backbone", {})}),
        preprocessor=ka.AlbertTokenClassifierPreprocessor(
            tokenizer, sequence_length
        ),
        **{"labels": LABELS, "dropout": 0.0, **kwargs},
    )


@pytest.fixture(scope="module")
def tagger(tokenizer, tiny):
    """A tagger that knows `SENTENCES` by heart, from raw words."""
    tagger = make(tokenizer, tiny)
    tagger.optimizer.learning_rate = 0.02
    tagger.fit(SENTENCES, TAGS, batch_size=4, epochs=60, verbose=0)
    return tagger


def test_fit_learns_words_and_entities_finds_them(tagger):
    assert tagger.tag(SENTENCES) == TAGS
    text = "  Anna Berg lives\tin Oslo."
    entities = tagger.entities(text)
    found = [(x["label"], x["text"]) for x in entities]
    assert found == [("PER", "Anna Berg"), ("LOC", "Oslo")]
    for entity in entities:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert 0.5 < entity["score"] <= 1.0
    several = tagger.entities([text, "", "It rains."])
    assert [len(x) for x in several] == [2, 0, 0]
    assert several[0][0]["score"] == pytest.approx(entities[0]["score"], 1e-4)
    assert tagger.entities([]) == []


def test_probabilities_are_those_of_predict_at_the_first_pieces(tagger):
    x, _, weights = tagger.preprocessor(SENTENCES, TAGS)
    logits = tagger.predict(x, verbose=0)
    logits = np.exp(logits - logits.max(axis=-1, keepdims=True))
    expected = logits / logits.sum(axis=-1, keepdims=True)
    for row, received in enumerate(tagger.word_probabilities(SENTENCES)):
        np.testing.assert_allclose(
            received, expected[row][np.asarray(weights[row]) > 0], atol=1e-5
        )


@pytest.mark.once
def test_words_of_long_sentences_get_what_their_window_gives(tagger):
    words = [word for words in SENTENCES for word in words] * 4
    received = tagger.word_probabilities([words, ["Oslo"]])
    assert [len(rows) for rows in received] == [len(words), 1]
    windows = tagger.preprocessor.windows([words])
    assert len(windows) > 3
    seen = 0
    for window in windows:
        logits = tagger.predict(tagger.preprocessor.pack([window]), verbose=0)
        best = logits[0, window.positions].argmax(axis=-1)
        own = received[0][list(window.words)]
        np.testing.assert_array_equal(own.argmax(axis=-1), best)
        seen += len(best)
    assert seen == len(words)
    text = " ".join(words)
    for entity in tagger.entities(text):
        assert text[entity["start"] : entity["end"]] == entity["text"]


@pytest.mark.once
def test_fit_counts_each_word_of_long_sentences_once(tokenizer, tiny):
    """The loss over windows is that of all words, not of the first ones."""
    tagger = make(tokenizer, tiny, sequence_length=8)
    words = [word for words in SENTENCES for word in words]
    tags = [tag for tags in TAGS for tag in tags]
    received = tagger.evaluate(
        [words], [tags], batch_size=64, verbose=0, return_dict=True
    )
    rows = tagger.word_probabilities([words])[0]
    classes = [LABELS.index(tag) for tag in tags]
    expected = -np.log(rows[range(len(words)), classes]).mean()
    assert received["loss"] == pytest.approx(expected, rel=1e-4)


def test_strings_lists_and_tf_data_give_the_same_loss(tagger):
    lines = [" ".join(words) for words in SENTENCES]
    tags = [" ".join(row) for row in TAGS]
    dataset = tf.data.Dataset.from_tensor_slices((lines, tags)).batch(4)
    losses = [
        tagger.evaluate(*data, verbose=0)[0]
        for data in ((SENTENCES, TAGS), (lines, tags), (dataset,))
    ]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-4)
    assert tagger.predict(lines, verbose=0).shape[::2] == (4, 4)


def test_presets_and_keras_files_keep_labels_and_results(tagger, tmp_path):
    expected = tagger.word_probabilities(SENTENCES)
    tagger.save(tmp_path / "tagger.keras")
    tagger.save_to_preset(tmp_path / "preset")
    for copy in (
        keras.models.load_model(tmp_path / "tagger.keras"),
        ka.AlbertTokenClassifier.from_preset(tmp_path / "preset"),
    ):
        assert copy.labels == copy.preprocessor.labels == LABELS
        assert copy.preprocessor.sequence_length == 24
        for one, other in zip(
            copy.word_probabilities(SENTENCES), expected, strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-6)
    with pytest.warns(UserWarning, match="random weights"):
        other = ka.AlbertTokenClassifier.from_preset(
            tmp_path / "preset", labels=["O", "B-X"]
        )
    assert other.preprocessor.labels == ["O", "B-X"]


@pytest.mark.once
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(tokenizer, tiny, policy):
    tagger = make(tokenizer, tiny, backbone={"dtype": policy})
    history = tagger.fit(SENTENCES, TAGS, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert tagger.word_probabilities(SENTENCES)[0].dtype == "float32"


@pytest.mark.once
def test_adapters_learn_and_the_rest_stays(tokenizer, tiny):
    tagger = make(tokenizer, tiny)
    tagger.backbone.enable_lora(2)
    frozen = [v for v in tagger.backbone.variables if not v.trainable]
    before = [keras.ops.convert_to_numpy(v) for v in frozen]
    tagger.optimizer.learning_rate = 0.02
    losses = tagger.fit(
        SENTENCES, TAGS, batch_size=4, epochs=4, verbose=0
    ).history["loss"]
    assert losses[-1] < losses[0]
    for variable, value in zip(frozen, before, strict=True):
        if "seed" not in variable.name:
            contracts.assert_same(
                keras.ops.convert_to_numpy(variable), value, 0.0
            )


@pytest.mark.once
def test_schemes_and_plain_labels(tokenizer, tiny, monkeypatch):
    text = "Anna Berg met Carl"
    cases = [
        (["O", "B-PER", "E-PER", "S-PER"], "B-PER E-PER O S-PER"),
        (["O", "U-PER", "B-PER", "L-PER"], "B-PER L-PER O U-PER"),
        (["O", "PER"], "PER PER O PER"),
        # I- after O begins one, as in seqeval.
        (["O", "I-PER"], "I-PER I-PER O I-PER"),
    ]
    for labels, tags in cases:
        tagger = make(tokenizer, tiny, labels=labels)
        rows = np.eye(len(labels))[[labels.index(x) for x in tags.split()]]
        monkeypatch.setattr(
            tagger, "word_probabilities", lambda *_, rows=rows: [rows]
        )
        found = [(x["text"], x["label"]) for x in tagger.entities(text)]
        assert found == [("Anna Berg", "PER"), ("Carl", "PER")]


@pytest.mark.once
def test_what_cannot_be_meant(tokenizer, tiny):
    tagger = make(tokenizer, tiny)
    with pytest.raises(ValueError, match="index 1: 3 words and 2"):
        tagger.fit(SENTENCES[2:], [TAGS[2], ["O", "O"]])
    with pytest.raises(ValueError, match="'B-ORG'"):
        tagger.fit(["Anna"], ["B-ORG"])
    for sentences in ("Anna calls", 3, [3], [["Anna", 3]], [["a", "\ud800"]]):
        with pytest.raises(ValueError, match="Sentences must be.*Received"):
            tagger.tag(sentences)
    for sentences, labels, message in (
        (SENTENCES, None, "labels for each sentence, `y`. Received none"),
        ([], [], "at least one sentence"),
        ([[], []], [[], []], "at least one word.*2 sentences"),
        ((["a b"], ["c d"]), ["O O"], "Received a tuple"),
        ([["a", np.nan]], [["O", "O"]], "index 0"),
    ):
        for call in (tagger.fit, tagger.evaluate):
            with pytest.raises(ValueError, match=message):
                call(sentences, labels, verbose=0)
    for weights, message in (
        ([1.0], "one weight for each example.*4 examples"),
        ([1.0] * 5, "one weight for each example"),
        (2.0, "one weight for each example"),
        ([1.0, np.nan, 1.0, 1.0], "must be finite. Received: nan"),
    ):
        with pytest.raises(ValueError, match=message):
            tagger.fit(SENTENCES, TAGS, sample_weight=weights, verbose=0)
    with pytest.raises(ValueError, match="must be strings"):
        tagger.entities(("a", "b"))
    with pytest.raises(ValueError, match="index 0"):
        tagger.entities([3])
    tagger = make(tokenizer, tiny, labels=None, num_classes=3)
    assert set(tagger.tag([["Anna", "calls"]])[0]) <= {0, 1, 2}
    with pytest.raises(ValueError, match="must have `labels`"):
        tagger.entities("Anna")
    tagger.output_dense.bias.assign([np.nan] * 3)
    with pytest.raises(ValueError, match="must be finite"):
        tagger.tag(["Anna"])


@pytest.mark.parametrize("y", [[[7, 0]], ["7 0"], [[True, 7]]])
def test_classes_that_there_are_not(tokenizer, tiny, y):
    """JAX would learn nothing from them, with a loss of 0."""
    tagger = make(tokenizer, tiny, labels=None, num_classes=3)
    with pytest.raises(ValueError, match="between 0 and .* Received: 7"):
        tagger.evaluate([["a", "b"]], y, verbose=0)


@pytest.mark.once
@pytest.mark.parametrize("label", [1.0, np.nan, {"a": 1}, ["O"]])
def test_labels_that_are_none(tokenizer, tiny, label):
    tagger = make(tokenizer, tiny, labels=None, num_classes=3)
    with pytest.raises(ValueError, match="label must be a number. Received"):
        tagger.fit([["a", "b"]], [[0, label]], verbose=0)


@pytest.mark.once
def test_labels_with_spaces(tokenizer, tiny):
    labels = ["other", "proper noun"]
    tagger = make(tokenizer, tiny, labels=labels)
    y = [["other", "proper noun"]]
    loss = tagger.evaluate([["a", "b"]], y, verbose=0)[0]
    rows = tagger.word_probabilities([["a", "b"]])[0]
    expected = -np.log(rows[[0, 1], [0, 1]]).mean()
    assert loss == pytest.approx(expected, rel=1e-4)
    columns = tf.ragged.constant([["a", "b"]]), tf.ragged.constant(y)
    data = tf.data.Dataset.from_tensor_slices(columns).batch(1)
    assert tagger.evaluate(data, verbose=0)[0] == pytest.approx(loss, rel=1e-4)


def test_predict_puts_batches_of_any_length_together(tokenizer, tiny):
    tagger = make(tokenizer, tiny)
    logits = tagger.predict(SENTENCES, 1, verbose=0)
    assert isinstance(logits, np.ndarray)
    assert logits.shape[1] < 24  # Of lists, no longer than the longest needs.
    expected = tagger.predict(SENTENCES, verbose=0)
    assert logits.shape == expected.shape
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    texts = tf.data.Dataset.from_tensor_slices([*map(" ".join, SENTENCES)])
    of_dataset = tagger.predict(texts.batch(1), verbose=0)
    assert isinstance(of_dataset, np.ndarray)
    assert of_dataset.shape[:2] == (len(SENTENCES), 24)


@pytest.mark.once
def test_weights_by_position_are_split_with_sentences(tokenizer, tiny):
    tagger = make(tokenizer, tiny)
    # As many windows as sentences.
    sentences, labels = [[], ["a"] * 40, ["b"]], [[], ["O"] * 40, ["B-LOC"]]
    loss = tagger.evaluate(sentences, labels, 9, [5.0, 0.0, 1.0], verbose=0)[0]
    assert loss == pytest.approx(
        tagger.evaluate([["b"]], [["B-LOC"]], verbose=0)[0], rel=1e-4
    )
