"""Pairs of texts to masked, swapped, packed batches."""

import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka

pytestmark = pytest.mark.once

FIRST = ["It rained all night.", "We saw the king's house."] * 40
SECOND = ["In the morning the river was high.", "He was not there."] * 40


@pytest.fixture(scope="module")
def make(tokenizer):
    def make(**kwargs):
        return ka.AlbertPretrainerPreprocessor(
            tokenizer, **{"sequence_length": 24, **kwargs}
        )

    return make


def restore(batch):
    """The packed rows before they were masked."""
    inputs, targets, weights = batch
    ids = np.array(inputs["token_ids"])
    rows, slots = np.nonzero(weights["mlm"])
    ids[rows, inputs["mask_positions"][rows, slots]] = targets["mlm"][
        rows, slots
    ]
    return ids


def test_rows_are_both_texts_in_either_order(make, tokenizer):
    batch = make()((FIRST, SECOND))
    swapped = 0
    for row, label, first, second in zip(
        restore(batch), batch[1]["sop"], FIRST, SECOND, strict=True
    ):
        texts = (second, first) if label else (first, second)
        one, other = (list(map(int, ids)) for ids in tokenizer(list(texts)))
        expected = [2, *one, 3, *other, 3]
        assert row.tolist() == expected + [0] * (24 - len(expected))
        swapped += label
    assert 20 < swapped < 60
    assert batch[0]["segment_ids"].shape == (80, 24)
    assert batch[2]["mlm"].sum() > 80


def test_drawn_anew_at_each_call_and_alike_in_each_instance(make):
    one, other = make(seed=4), make(seed=4)
    first, second = (one((FIRST, SECOND)) for _ in range(2))
    tf.nest.map_structure(
        np.testing.assert_array_equal, first, other((FIRST, SECOND))
    )
    positions = [batch[0]["mask_positions"] for batch in (first, second)]
    assert not np.array_equal(*positions)


def test_pipelines_and_single_pairs(make):
    dataset = tf.data.Dataset.from_tensor_slices((FIRST, SECOND))
    preprocessor = make()
    (batch,) = dataset.batch(80).map(preprocessor).as_numpy_iterator()
    tf.nest.map_structure(
        np.testing.assert_array_equal, batch, make()((FIRST, SECOND))
    )
    inputs, targets, _ = make()((FIRST[0], SECOND[0]))
    assert inputs["token_ids"].shape == (24,)
    assert targets["sop"].shape == ()


def test_presets_keep_it(make, tmp_path):
    make(mask_rate=0.3, seed=5).save_to_preset(tmp_path)
    loaded = ka.AlbertPretrainerPreprocessor.from_preset(tmp_path)
    assert (loaded.mask_rate, loaded.seed, loaded.sequence_length) == (
        *(0.3, 5, 24),
    )
    tf.nest.map_structure(
        np.testing.assert_array_equal,
        loaded((FIRST, SECOND)),
        make(mask_rate=0.3, seed=5)((FIRST, SECOND)),
    )


def test_wrong_input(make):
    with pytest.raises(ValueError, match="tuple of two texts"):
        make()(["one list"])
    with pytest.raises(ValueError, match="sequence_length"):
        make(sequence_length=4)
