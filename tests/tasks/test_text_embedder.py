"""Vectors of texts: pooling, lengths, saving."""

import numpy as np
import pytest

import contracts
import keras_albert as ka

TEXTS = ["Wake me at seven", "Hm.", "Will it rain in Paris tomorrow?", ""]


@pytest.fixture
def make(tokenizer, tiny):
    def make(with_preprocessor=True, **kwargs):
        preprocessor = None
        if with_preprocessor:
            preprocessor = ka.AlbertTextEmbedderPreprocessor(
                tokenizer, sequence_length=24
            )
        embedder = ka.AlbertTextEmbedder(
            ka.AlbertBackbone(**{**tiny, "num_layers": 1}),
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
