"""Summaries of sentences: scores by hand, order, places, long documents."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import contracts
import keras_albert as ka

DOCUMENTS = [
    "The council met. It was warm!  A bridge will be built near the mill.",
    "Hm.",
    " ".join(f"This is sentence number {i} of many." for i in range(12)),
]
LABELS = [[0, 0, 1], [1], [1] + [0] * 11]


@pytest.fixture(scope="module")
def make(tokenizer, tiny):
    def make(dtype=None, with_preprocessor=True, **kwargs):
        preprocessor = None
        if with_preprocessor:
            preprocessor = ka.AlbertSentenceExtractorPreprocessor(
                tokenizer, sequence_length=32
            )
        extractor = ka.AlbertSentenceExtractor(
            ka.AlbertBackbone(**{**tiny, "num_layers": 1}, dtype=dtype),
            preprocessor=preprocessor,
            **kwargs,
        )
        contracts.randomize(extractor)
        return extractor

    return make


@pytest.fixture(scope="module")
def extractor(make):
    return make()


def scores_by_hand(extractor, sentences):
    """From the backbone's states at each `[CLS]`; of a short document."""
    features = extractor.preprocessor([sentences])
    states = contracts.predict(extractor.backbone, features)
    kernel, bias = extractor.output_dense.get_weights()
    logits = states["sequence_output"][0] @ kernel[:, 0] + bias[0]
    is_cls = (
        features["token_ids"][0]
        == extractor.preprocessor.tokenizer.cls_token_id
    )
    return 1.0 / (1.0 + np.exp(-logits[is_cls]))


@pytest.mark.inference
def test_summarize(extractor):
    results = extractor.summarize(DOCUMENTS, sentences=2)
    for document, summary in zip(DOCUMENTS, results, strict=True):
        indices = [x["index"] for x in summary]
        assert indices == sorted(set(indices)) and len(indices) <= 2
        for x in summary:
            assert document[x["start"] : x["end"]] == x["text"]
    sentences = [
        "The council met.",
        "It was warm!",
        "A bridge will be built near the mill.",
    ]
    scores = scores_by_hand(extractor, sentences)
    assert {x["index"] for x in results[0]} == {*np.argsort(-scores)[:2]}
    for x in results[0]:
        assert x["text"] == sentences[x["index"]]
        assert x["score"] == pytest.approx(scores[x["index"]], abs=1e-5)
    # They differ in a number only, so that one is taken.
    assert len(results[2]) == 1
    many = extractor.summarize(DOCUMENTS[2], 99, trigram_blocking=False)
    assert [x["index"] for x in many] == [*range(12)]
    split = extractor.summarize([sentences], sentences=2)[0]
    assert [x["index"] for x in split] == [x["index"] for x in results[0]]
    assert "start" not in split[0]


@pytest.mark.once
def test_short_documents(extractor):
    assert extractor.summarize("") == [] == extractor.summarize(" \n\n ")
    assert extractor.summarize([]) == []
    (only,) = extractor.summarize("Hm.", sentences=5)
    assert (only["text"], only["start"], only["end"]) == ("Hm.", 0, 3)


def test_fit_takes_documents(make):
    keras.utils.set_random_seed(0)
    extractor = make(dropout=0.0)
    extractor.optimizer.learning_rate = 0.005
    scores = extractor.sentence_scores(
        extractor.preprocessor.documents(DOCUMENTS)
    )
    values, labels = np.concatenate(scores), np.concatenate(LABELS)
    logs = extractor.evaluate(DOCUMENTS, LABELS, verbose=0, return_dict=True)
    # Every sentence once, also those of other blocks.
    by_hand = -np.log(np.where(labels == 1, values, 1 - values))
    assert logs["loss"] == pytest.approx(by_hand.mean(), rel=1e-3)
    right = (values > 0.5) == (labels == 1)
    assert logs["accuracy"] == pytest.approx(right.mean())
    history = extractor.fit(
        DOCUMENTS,
        LABELS,
        epochs=15,
        batch_size=2,
        verbose=0,
        validation_data=(DOCUMENTS[:2], ["A bridge is built", "Hm"]),
    ).history
    assert history["loss"][-1] < history["loss"][0]
    data = (
        tf.ragged.constant([["It rains.", "Hm."], ["No."]]),
        tf.ragged.constant([[1, 0], [0]]),
    )
    dataset = tf.data.Dataset.from_tensor_slices(data).ragged_batch(2)
    logs = extractor.evaluate(dataset, verbose=0, return_dict=True)
    listed = extractor.evaluate(
        [["It rains.", "Hm."], ["No."]],
        [[1, 0], [0]],
        verbose=0,
        return_dict=True,
    )
    assert logs["loss"] == pytest.approx(listed["loss"], rel=1e-4)


def test_saving(extractor, tmp_path):
    expected = extractor.summarize(DOCUMENTS)
    extractor.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertSentenceExtractor.from_preset(tmp_path / "preset")
    assert loaded.preprocessor.sequence_length == 32
    assert loaded.summarize(DOCUMENTS) == expected
    extractor.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.summarize(DOCUMENTS) == expected


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
def test_half_precision(make, extractor, policy):
    mixed = make(dtype=policy)
    mixed.set_weights(extractor.get_weights())
    documents = extractor.preprocessor.documents(DOCUMENTS)
    for a, b in zip(
        mixed.sentence_scores(documents),
        extractor.sentence_scores(documents),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=0.1)


@pytest.mark.once
def test_bad_input(make, extractor, tiny):
    for call, message in [
        (lambda: extractor.summarize("Hm.", 0), "`sentences` must be positive"),
        (lambda: extractor.summarize("Hm.", 1.5), "an integer.*1.5"),
        (lambda: extractor.summarize(3), "`text` must be a string"),
        (lambda: extractor.summarize(np.array("Hm.")), "`text` must be"),
        (lambda: extractor.summarize([3]), "index 0: 3"),
        (lambda: extractor.fit(["Hm.", " "], [[1], []]), "index 1: a document"),
        (lambda: extractor.fit([], []), "at least one document"),
        (lambda: extractor.fit(["Hm."]), "for each document"),
        (lambda: extractor.fit("Hm.", [[1]]), "one string: 'Hm.'"),
        (lambda: extractor.fit(["Hm.", "So."], "So"), "one string: 'So'"),
        (
            lambda: extractor.fit(["Hm."], [[1]], sample_weight=[1, 2]),
            "one weight for each example",
        ),
        (lambda: extractor.fit(["Hm."], [[1, 0]]), "index 0: each sentence"),
        (
            lambda: make(with_preprocessor=False).summarize("Hm."),
            "needs a `preprocessor`",
        ),
        (
            lambda: ka.AlbertSentenceExtractor(
                ka.AlbertBackbone(**tiny, num_segments=1)
            ),
            "`num_segments` of at least 2",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
