"""Masked tokens of texts: filling in, scoring, training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import contracts
import keras_albert as ka

MASKED = [
    "wake me at [MASK] please",
    "will it [MASK] in [MASK] tomorrow",
    "[MASK] is a very long sentence about nothing at all and nobody",
]
TEXTS = ["Wake me at seven", "Hm.", "", "Will it rain in Paris tomorrow?"]


@pytest.fixture(scope="module")
def make(tokenizer, tiny):
    def make(sequence_length=24, with_preprocessor=True, dtype=None, **kwargs):
        preprocessor = None
        if with_preprocessor:
            preprocessor = ka.AlbertMaskedLMPreprocessor(
                tokenizer, sequence_length=sequence_length, **kwargs
            )
        masked_lm = ka.AlbertMaskedLM(
            ka.AlbertBackbone(**tiny, dtype=dtype), preprocessor=preprocessor
        )
        contracts.randomize(masked_lm)
        return masked_lm

    return make


@pytest.fixture(scope="module")
def masked_lm(make):
    return make()


def log_probabilities(masked_lm, ids, position):
    """Of all tokens at a position of a row of ids, by the model itself."""
    inputs = {
        "token_ids": np.array([ids], "int32"),
        "segment_ids": np.zeros((1, len(ids)), "int32"),
        "padding_mask": np.ones((1, len(ids)), "int32"),
        "mask_positions": np.array([[position]], "int32"),
    }
    logits = contracts.predict(masked_lm, inputs)["outputs"][0, 0]
    logits = logits.astype("float64")
    return logits - np.log(np.exp(logits).sum())


@pytest.mark.inference
def test_fill_mask(masked_lm, tokenizer):
    """Against the model, asked for one mask at a time."""
    results = masked_lm.fill_mask(MASKED, top_k=3, batch_size=2)
    assert [len(result) for result in results] == [3, 2, 3]
    assert [len(one) for one in results[1]] == [3, 3]
    ids = [tokenizer.token_to_id(x) for x in ("▁will", "▁it", "▁in")]
    mask = tokenizer.mask_token_id
    tomorrow = list(map(int, tokenizer("tomorrow")))
    row = [2, *ids[:2], mask, ids[2], mask, *tomorrow, 3]
    for position, received in zip((3, 5), results[1], strict=True):
        expected = log_probabilities(masked_lm, row, position)
        order = np.argsort(-expected)[:3]
        assert [one["token_id"] for one in received] == order.tolist()
        np.testing.assert_allclose(
            [one["score"] for one in received],
            np.exp(expected[order]),
            rtol=1e-4,
        )
    best = results[1][1][0]
    assert best["token"] == tokenizer.id_to_token(best["token_id"])
    assert best["text"] == best["token"].removeprefix("▁")
    assert best["sequence"].startswith("will it [MASK] in")
    assert best["text"] in best["sequence"]
    one = masked_lm.fill_mask(MASKED[0], top_k=3)
    assert [x["token"] for x in one] == [x["token"] for x in results[0]]
    (pair,) = masked_lm.fill_mask([("is it", "it is [MASK]")], top_k=1)
    assert pair[0]["sequence"][0] == "is it"
    assert masked_lm.fill_mask([]) == []


@pytest.mark.inference
def test_score(masked_lm, tokenizer):
    """Against the model, one token at a time."""
    results = masked_lm.score(TEXTS, batch_size=3)
    for text, result in zip(TEXTS, results, strict=True):
        ids = [2, *map(int, tokenizer(text)), 3]
        expected = 0.0
        for place in range(1, len(ids) - 1):
            row = [*ids[:place], tokenizer.mask_token_id, *ids[place + 1 :]]
            expected += log_probabilities(masked_lm, row, place)[ids[place]]
        assert result["tokens"] == len(ids) - 2
        assert result["score"] == pytest.approx(expected, abs=1e-3)
    assert results[2] == {"score": 0.0, "tokens": 0}
    assert masked_lm.score(TEXTS[0])["score"] == pytest.approx(
        results[0]["score"], abs=1e-4
    )
    assert masked_lm.score([]) == []


@pytest.fixture(scope="module")
def theirs(masked_lm, tmp_path_factory):
    """The same model in Hugging Face's library, as a pipeline."""
    pytest.importorskip("transformers")
    pytest.importorskip("torch")
    import transformers

    from keras_albert.checkpoints import huggingface, huggingface_tokenizer

    folder = tmp_path_factory.mktemp("huggingface")
    huggingface.write(masked_lm, folder)
    huggingface_tokenizer.write_tokenizer(
        masked_lm.preprocessor.tokenizer, folder
    )
    return transformers.pipeline("fill-mask", model=str(folder))


@pytest.mark.once
def test_fills_as_hugging_face(masked_lm, theirs):
    # Texts that go on after a mask with a space: theirs always puts one.
    received = masked_lm.fill_mask(MASKED, top_k=4)
    for mine, other in zip(received, theirs(MASKED, top_k=4), strict=True):
        if isinstance(mine[0], dict):
            mine, other = [mine], [other]
        for left, right in zip(mine, other, strict=True):
            for a, b in zip(left, right, strict=True):
                assert a["token_id"] == b["token"]
                assert a["score"] == pytest.approx(b["score"], rel=1e-4)


@pytest.mark.once
def test_scores_as_hugging_face(masked_lm, theirs):
    import torch

    tokenizer, model = theirs.tokenizer, theirs.model
    for text in TEXTS[:2]:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        total = 0.0
        for place in range(1, ids.shape[1] - 1):
            masked = ids.clone()
            masked[0, place] = tokenizer.mask_token_id
            with torch.no_grad():
                logits = model(masked).logits[0, place].double()
            total += logits.log_softmax(-1)[ids[0, place]].item()
        result = masked_lm.score(text)
        assert result["score"] == pytest.approx(total, abs=1e-3)


def test_fit_takes_texts(make):
    """Short texts in long sequences: masks are cut along with them."""
    masked_lm = make(sequence_length=48, mask_selection_rate=0.5)
    masked_lm.optimizer.learning_rate = 0.01
    texts = ["wake me at seven", "will it rain"] * 4
    history = masked_lm.fit(texts, epochs=8, batch_size=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(4)
    logs = masked_lm.evaluate(dataset, verbose=0, return_dict=True)
    assert np.isfinite(logs["loss"]) and "accuracy" in logs


@pytest.mark.once
def test_only_masks_that_there_can_be_are_computed(make):
    """And the loss is that of the masks, however many slots there are."""
    masked_lm = make(sequence_length=48, mask_selection_rate=0.5, seed=3)
    texts = ["wake me at seven", "hm"]
    x, y, weight = masked_lm.preprocess_samples(texts)
    tokens = x["token_ids"].shape[1]
    assert x["mask_positions"].shape == y.shape == weight.shape
    assert y.shape == (2, round(tokens / 2)) and tokens < 9
    loss = masked_lm.test_on_batch(x, y, weight, return_dict=True)["loss"]
    expected = []
    for row, slot in zip(*np.nonzero(weight), strict=True):
        ids = x["token_ids"][row][x["padding_mask"][row] > 0]
        scores = log_probabilities(
            masked_lm, ids, x["mask_positions"][row, slot]
        )
        expected.append(-scores[y[row, slot]])
    assert loss == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.once
def test_pretrainers_masks_are_cut_along(tokenizer, tiny):
    pretrainer = ka.AlbertPretrainer(
        ka.AlbertBackbone(**tiny),
        preprocessor=ka.AlbertPretrainerPreprocessor(
            tokenizer, sequence_length=48, mask_rate=0.5
        ),
    )
    logs = pretrainer.fit(["wake me"] * 2, ["at six"] * 2, verbose=0).history
    assert np.isfinite(logs["loss"][0])


def test_saving(masked_lm, tmp_path):
    masked_lm.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertMaskedLM.from_preset(tmp_path / "preset")
    assert loaded.preprocessor.sequence_length == 24
    assert loaded.fill_mask(MASKED) == masked_lm.fill_mask(MASKED)
    masked_lm.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.score(TEXTS) == masked_lm.score(TEXTS)


@pytest.mark.once
def test_a_pretrainers_preset_fills_masks(tokenizer, tiny, tmp_path, recwarn):
    pretrainer = ka.AlbertPretrainer(
        ka.AlbertBackbone(**tiny),
        preprocessor=ka.AlbertPretrainerPreprocessor(
            tokenizer, sequence_length=32
        ),
    )
    contracts.randomize(pretrainer)
    pretrainer.save_to_preset(tmp_path)
    masked_lm = ka.AlbertMaskedLM.from_preset(tmp_path)
    assert not [w for w in recwarn if "random" in str(w.message)]
    # As long as the backbone takes them.
    assert masked_lm.preprocessor.sequence_length == 48
    features, _ = masked_lm.preprocessor.pack_masked(MASKED[:1])
    expected = contracts.predict(pretrainer, features)["mlm"][0, 0].argmax()
    best = masked_lm.fill_mask(MASKED[0], top_k=1)[0]
    assert best["token_id"] == expected


def test_mixed_precision(make, masked_lm):
    mixed = make(dtype="mixed_bfloat16")
    mixed.set_weights(masked_lm.get_weights())
    for a, b in zip(mixed.score(TEXTS), masked_lm.score(TEXTS), strict=True):
        assert a["score"] == pytest.approx(b["score"], rel=0.05)
    assert np.isfinite(mixed.fill_mask(MASKED[0])[0]["score"])


@pytest.mark.once
def test_bad_input(make, masked_lm):
    with pytest.raises(ValueError, match=r"must hold \[MASK\].*'no mask'"):
        masked_lm.fill_mask("no mask")
    with pytest.raises(ValueError, match="would be cut off"):
        masked_lm.fill_mask("word " * 30 + "[MASK]")
    for top_k in (0, 8001, 2.5):
        with pytest.raises(ValueError, match="`top_k` must be"):
            masked_lm.fill_mask(MASKED, top_k=top_k)
    with pytest.raises(ValueError, match="must be strings. Received pairs"):
        masked_lm.score([("a", "b")])
    with pytest.raises(ValueError, match="at most 22 tokens.*index 1"):
        masked_lm.score(["a", "word " * 30])
    with pytest.raises(ValueError, match="`batch_size` must be positive"):
        masked_lm.score("a", batch_size=0)
    with pytest.raises(ValueError, match="needs a `preprocessor`"):
        make(with_preprocessor=False).fill_mask(MASKED)
    with pytest.raises(ValueError, match="without targets"):
        masked_lm.fit(TEXTS, np.zeros(4), verbose=0)
