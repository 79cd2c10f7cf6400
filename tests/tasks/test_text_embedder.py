"""Vectors of texts: pooling, lengths, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import contracts
import keras_albert as ka
from keras_albert.preprocessing.text_embedder import pair_targets
from keras_albert.tasks.pair_losses import ContrastiveLoss, CosineLoss

TEXTS = ["Wake me at seven", "Hm.", "Will it rain in Paris tomorrow?", ""]
PAIRS = {
    "text": ["Wake me at seven", "Is it raining?", "Call Anna"],
    "positive": ["An alarm for 7", "Does it rain?", "Ring Anna up"],
}


@pytest.fixture
def make(tokenizer, tiny):
    def make(with_preprocessor=True, dtype=None, **kwargs):
        preprocessor = None
        if with_preprocessor:
            preprocessor = ka.AlbertTextEmbedderPreprocessor(
                tokenizer, sequence_length=24
            )
        embedder = ka.AlbertTextEmbedder(
            ka.AlbertBackbone(**{**tiny, "num_layers": 1}, dtype=dtype),
            preprocessor=preprocessor,
            **kwargs,
        )
        contracts.randomize(embedder)
        return embedder

    return make


def by_hand(embedder, pooling, normalize):
    """The vectors from the backbone's states, a text at a time in NumPy."""
    rows = []
    for text in TEXTS:
        features = embedder.preprocessor([text], y=None)
        states = contracts.predict(embedder.backbone, features)
        states = states["sequence_output"][0]
        tokens = len(embedder.preprocessor.tokenizer(text)) + 2
        vector = states[0] if pooling == "cls" else states[:tokens].mean(axis=0)
        rows.append(vector / np.linalg.norm(vector) if normalize else vector)
    return np.array(rows)


@pytest.mark.parametrize(
    ("pooling", "normalize"), [("mean", True), ("cls", False)]
)
def test_pooling(make, pooling, normalize):
    embedder = make(pooling=pooling, normalize=normalize)
    expected = by_hand(embedder, pooling, normalize)
    vectors = embedder.embed(TEXTS, batch_size=3)
    assert vectors.dtype == np.float32 and isinstance(vectors, np.ndarray)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    one = embedder.embed(TEXTS[2])
    assert one.shape == (16,)
    np.testing.assert_allclose(one, expected[2], atol=1e-5)
    assert embedder.embed([]).shape == (0, 16)


def test_saving(make, tmp_path):
    embedder = make(pooling="cls", normalize=False)
    expected = embedder.embed(TEXTS)
    embedder.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertTextEmbedder.from_preset(tmp_path / "preset")
    assert (loaded.pooling, loaded.normalize) == ("cls", False)
    assert loaded.preprocessor.sequence_length == 24
    np.testing.assert_array_equal(loaded.embed(TEXTS), expected)
    inputs = embedder.preprocessor(TEXTS, y=None)
    contracts.check_saving(embedder, inputs, tmp_path / "model.keras")


@pytest.mark.once
def test_presets_of_other_tasks(make, make_classifier, tmp_path, recwarn):
    """The backbone and the tokenizer come along; nothing is random."""
    classifier = make_classifier(labels=["a", "b"])
    classifier.save_to_preset(tmp_path / "preset")
    embedder = ka.AlbertTextEmbedder.from_preset(
        tmp_path / "preset", preprocessor=None
    )
    assert not [w for w in recwarn if "random" in str(w.message)]
    inputs = classifier.preprocessor(TEXTS, y=None)
    states = contracts.predict(classifier.backbone, inputs)["sequence_output"]
    vectors = contracts.predict(embedder, inputs)["outputs"]
    mask = np.asarray(inputs["padding_mask"])[:, :, None]
    means = (states * mask).sum(axis=1) / mask.sum(axis=1)
    means /= np.linalg.norm(means, axis=-1, keepdims=True)
    np.testing.assert_allclose(vectors, means, atol=1e-5)


@pytest.mark.once
def test_bad_input(make):
    with pytest.raises(ValueError, match=r"`pooling`.*'mean', 'cls'.*'max'"):
        make(pooling="max")
    with pytest.raises(ValueError, match="needs a `preprocessor`"):
        make(with_preprocessor=False).embed("Hm.")
    with pytest.raises(ValueError, match="Received at index 1: 7"):
        make().embed(["Hm.", 7])
    with pytest.raises(ValueError, match="'contrastive', 'cosine'.*'both'"):
        make(objective="both")
    with pytest.raises(ValueError, match="`temperature` must be positive"):
        make(temperature=0.0)
    with pytest.raises(ValueError, match="lowest and the highest.*5, 5"):
        make(objective="cosine", score_range=(5, 5))
    with pytest.raises(ValueError, match="lowest and the highest.*0, inf"):
        make(objective="cosine", score_range=(0, float("inf")))


# === Learning ===


def contrastive_by_hand(vectors, examples, classes, temperature):
    """Texts by texts: the loss of each example, a candidate at a time."""
    unit = {
        text: vector / np.linalg.norm(vector)
        for text, vector in vectors.items()
    }
    losses = []
    for own, (text, positive, *_) in zip(classes, examples, strict=True):
        partners = {p for t, p, *_ in examples if t == text} | {text}
        candidates = [positive]
        for other, (_, second, *hard) in zip(classes, examples, strict=True):
            same = own is not None and own == other
            if second not in partners and not same:
                candidates.append(second)
            candidates += [x for x in hard if x not in partners]
        logits = np.array([unit[text] @ unit[x] for x in candidates])
        logits /= temperature
        losses.append(np.log(np.exp(logits).sum()) - logits[0])
    return losses


@pytest.mark.parametrize(
    ("examples", "classes"),
    [
        ([("a", "b"), ("c", "d"), ("e", "f")], None),
        # The same positive twice, a text that is a positive elsewhere, two
        # positives of one text: none of these is a negative.
        ([("a", "b"), ("c", "b"), ("b", "e"), ("a", "f"), ("g", "h")], None),
        ([("a", "b"), ("c", "d"), ("e", "f")], ["x", "y", "x"]),
        ([("a", "b", "n"), ("c", "d", "b"), ("e", "f", "a")], None),
        ([("a", "b", "n"), ("a", "d", "m")], [3, 3]),
    ],
)
def test_contrastive_loss(examples, classes):
    generator = np.random.default_rng(0)
    texts = sorted({text for part in examples for text in part})
    vectors = {text: generator.normal(size=5) for text in texts}
    y = pair_targets(tf.constant(examples), classes).numpy()
    rows = np.array([vectors[x] for part in examples for x in part], "float32")
    loss = ContrastiveLoss(temperature=0.3)
    expected = contrastive_by_hand(
        vectors, examples, classes or [None] * len(examples), 0.3
    )
    value = float(keras.ops.convert_to_numpy(loss(y, rows)))
    assert value == pytest.approx(np.mean(expected), rel=1e-5)
    # The length of vectors does not count.
    value = float(keras.ops.convert_to_numpy(loss(y, 7.0 * rows)))
    assert value == pytest.approx(np.mean(expected), rel=1e-5)


def test_cosine_loss():
    a, b = np.array([[1.0, 0.0], [2.0, 2.0]]), np.array([[0.0, 3.0], [1.0, 0]])
    rows = np.stack([a, b], axis=1).reshape(4, 2)
    loss = CosineLoss(score_range=(1, 5))(np.repeat([1.0, 4.0], 2), rows)
    expected = (0.0**2 + (0.5**0.5 - 0.75) ** 2) / 2
    value = float(keras.ops.convert_to_numpy(loss))
    assert value == pytest.approx(expected, abs=1e-6)


def test_fit_brings_together_what_belongs_together(make):
    embedder = make()
    embedder.optimizer.learning_rate = 0.01
    expected = embedder.evaluate(PAIRS, verbose=0)
    vectors = embedder.embed(PAIRS["text"] + PAIRS["positive"])
    logits = vectors[:3] @ vectors[3:].T / 0.05
    by_hand = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    assert expected == pytest.approx(by_hand.mean(), rel=1e-3)
    losses = embedder.fit(
        PAIRS, epochs=8, batch_size=3, verbose=0, validation_data=(PAIRS,)
    ).history
    assert losses["val_loss"][-1] < 0.5 * losses["loss"][0]
    # The same from a pipeline of strings.
    dataset = tf.data.Dataset.from_tensor_slices(PAIRS).batch(3)
    assert embedder.evaluate(dataset, verbose=0) == pytest.approx(
        embedder.evaluate(PAIRS, verbose=0), rel=1e-4
    )


def test_fit_learns_scores(make, tmp_path):
    embedder = make(objective="cosine", score_range=(0, 5))
    embedder.optimizer.learning_rate = 0.01
    x = {"text": PAIRS["text"], "pair": PAIRS["positive"]}
    scores = [0.0, 5.0, 1.0]
    embedder.fit(x, scores, epochs=25, batch_size=3, verbose=0)
    a, b = (embedder.embed(texts) for texts in x.values())
    cosine = (a * b).sum(axis=1)
    assert np.argmax(cosine) == 1 and cosine[1] - cosine[0] > 0.2
    loss = embedder.evaluate(x, scores, verbose=0)
    expected = ((cosine - np.array(scores) / 5) ** 2).mean()
    assert loss == pytest.approx(expected, abs=1e-3)
    embedder.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.score_range == (0.0, 5.0)
    assert loaded.evaluate(x, scores, verbose=0) == pytest.approx(loss)


@pytest.mark.once
def test_what_the_texts_and_weights_come_in(make):
    embedder = make()
    expected = embedder.evaluate(PAIRS, sample_weight=[1, 2, 3], verbose=0)
    for kind in (np.array, tf.constant):
        x = {name: kind(texts) for name, texts in PAIRS.items()}
        weights = np.array([[1.0], [2.0], [3.0]])
        assert embedder.evaluate(
            x, sample_weight=weights, verbose=0
        ) == pytest.approx(expected)
    for weights in ([1.0], [1.0] * 4):
        with pytest.raises(ValueError, match="one weight for each example"):
            embedder.fit(PAIRS, sample_weight=weights, verbose=0)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
def test_half_precision(make, policy):
    mixed = make(dtype=policy)
    mixed.set_weights(make().get_weights())
    expected = make().embed(TEXTS)
    received = mixed.embed(TEXTS)
    assert received.dtype == np.float32
    assert ((received * expected).sum(axis=1) > 0.98).all()
    loss = mixed.evaluate(PAIRS, verbose=0)
    assert loss == pytest.approx(make().evaluate(PAIRS, verbose=0), abs=1.0)


@pytest.mark.once
def test_adapters_learn(make):
    embedder = make()
    embedder.backbone.enable_lora(2)
    embedder.optimizer.learning_rate = 0.02
    before = [np.array(v) for v in embedder.weights if "lora" not in v.name]
    losses = embedder.fit(PAIRS, epochs=6, batch_size=3, verbose=0).history
    assert losses["loss"][-1] < losses["loss"][0]
    after = [np.array(v) for v in embedder.weights if "lora" not in v.name]
    kernels = [(a, b) for a, b in zip(before, after, strict=True) if a.ndim > 1]
    assert sum(np.array_equal(a, b) for a, b in kernels) > len(kernels) / 2


@pytest.mark.once
@pytest.mark.parametrize(
    ("objective", "x", "y", "message"),
    [
        ("contrastive", {"text": ["a"]}, None, "'text', 'positive'.*'text'"),
        ("cosine", PAIRS, [1, 0, 1], "objective='cosine' and 'text', 'pos"),
        (
            "contrastive",
            {**PAIRS, "positive": ["a", "b"]},
            None,
            "3 of text, 2 of positive",
        ),
        (
            "contrastive",
            {**PAIRS, "positive": ["a", " ", "b"]},
            None,
            "`positive`.*index 1: ' '",
        ),
        (
            "contrastive",
            {**PAIRS, "negative": ["a", "Does it rain?", "b"]},
            None,
            "index 1: a hard negative",
        ),
        (
            "cosine",
            {"text": ["a", "b"], "pair": ["c", "d"]},
            [0.5, 1.5],
            "index 1: a score must lie in the range 0 to 1. It is 1.5",
        ),
        (
            "cosine",
            {"text": ["a"], "pair": ["c"]},
            [float("nan")],
            "a score must.*nan",
        ),
        ("cosine", {"text": ["a"], "pair": ["c"]}, None, "a score for each"),
        (
            "cosine",
            {"text": ["a", "b"], "pair": ["c", "d"]},
            [[0.5, 0.1], [0.2, 0.3]],
            "scores or classes, of shape",
        ),
        (
            "contrastive",
            {"text": "abc", "positive": "def"},
            None,
            "`text` must be a list of strings.*Received: 'abc'",
        ),
        (
            "contrastive",
            {"text": ["a", "b"], "positive": ["c", "d\ud800"]},
            None,
            "must be Unicode",
        ),
        ("contrastive", ["a", "b"], ["c", "d"], "a dictionary.*list"),
    ],
)
def test_bad_examples(make, objective, x, y, message):
    with pytest.raises(ValueError, match=message):
        make(objective=objective).fit(x, y, verbose=0)
