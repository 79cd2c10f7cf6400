"""Batches are the same bytes from wherever they are read."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka
from keras_albert.pretraining.dataset import (
    Position,
    PretrainingBatches,
    write_masked_examples,
)
from keras_albert.pretraining.feed import Feed
from keras_albert.pretraining.records import read_dataset

pytestmark = pytest.mark.once

LENGTH = 32


@pytest.fixture(scope="module")
def make(prepared, tokenizer):
    def make(batch_size=8, **kwargs):
        return PretrainingBatches(
            prepared, tokenizer, LENGTH, batch_size, **kwargs
        )

    return make


def read(batches, count, start=None):
    taken = batches.batches(start).take(count)
    return list(taken.as_numpy_iterator())


def assert_equal(one, other):
    tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def original_ids(batch):
    """The tokens as they were before they were masked."""
    inputs, targets, weights = batch
    ids = inputs["token_ids"].copy()
    rows, slots = np.nonzero(weights["mlm"])
    ids[rows, inputs["mask_positions"][rows, slots]] = targets["mlm"][
        rows, slots
    ]
    return ids


def test_shapes_and_contents(make, tokenizer):
    (inputs, targets, weights), _ = read(make(), 1)[0]
    for name in ("token_ids", "segment_ids", "padding_mask"):
        assert inputs[name].shape == (8, LENGTH)
        assert inputs[name].dtype == np.int32
    assert inputs["mask_positions"].shape == (8, 5)  # 15 % of 32
    assert targets["mlm"].shape == weights["mlm"].shape == (8, 5)
    assert targets["sop"].shape == weights["sop"].shape == (8,)
    ids = original_ids((inputs, targets, weights))
    assert set(ids[inputs["padding_mask"] == 0]) <= {0}
    assert not (ids[inputs["padding_mask"] == 1] == 0).any()
    assert (inputs["token_ids"] == tokenizer.mask_token_id).any()


def test_same_seed_same_bytes_from_any_position(make):
    batches = make(seed=4)
    whole = read(batches, 40)
    # The data has fewer examples than that: several epochs.
    assert whole[-1][1][0] >= 2
    assert_equal(read(make(seed=4), 40), whole)
    for done in (17, 36):
        position = Position(*map(int, whole[done - 1][1]))
        assert_equal(read(make(seed=4), 3, position), whole[done : done + 3])
    other = read(make(seed=5), 1)[0][0]
    assert not np.array_equal(original_ids(other), original_ids(whole[0][0]))


def test_every_epoch_is_drawn_anew(make):
    batches = make(batch_size=200)
    (first,), (second,) = (
        list(batches.one_epoch(epoch).as_numpy_iterator()) for epoch in (0, 1)
    )
    rows = [
        {tuple(row): tuple(p) for row, p in zip(
            original_ids(b), b[0]["mask_positions"].tolist(), strict=True)}
        for b in (first, second)
    ]  # fmt: skip
    assert list(rows[0]) != list(rows[1])
    shared = rows[0].keys() & rows[1].keys()
    assert any(rows[0][row] != rows[1][row] for row in shared)
    # Yet of the same documents.
    tokens = [np.bincount(original_ids(b).ravel()) for b in (first, second)]
    assert abs(tokens[0].sum() - tokens[1].sum()) < 0.2 * tokens[0].sum()


@pytest.mark.parametrize("processes", [2, 5])
def test_each_process_reads_data_of_its_own(
    tmp_path, write_prepared, tokenizer, processes
):
    """By files, or by documents where there are fewer files."""
    documents = [[[100 + i] * 4, [100 + i] * 5] for i in range(20)]
    prepared = write_prepared(
        tmp_path, {"train": [documents[:7], documents[7:12], documents[12:]]}
    )
    seen = []
    for process in range(processes):
        batches = PretrainingBatches(
            prepared, tokenizer, 16, 4, process=process, processes=processes
        )
        ids = np.concatenate(
            [original_ids(b) for b in batches.one_epoch().as_numpy_iterator()]
        )
        seen.append(set(ids[ids >= 100].tolist()))
    assert set.union(*seen) == set(range(100, 120))
    assert not any(a & b for a, b in itertools.combinations(seen, 2))


def test_batches_on_their_way_can_be_written_to(make):
    """As TensorFlow does with what it is given: no other batch changes."""
    expected = [batch for batch, _ in read(make(), 6)]
    feed = iter(Feed(make(), Position()))
    for batch, unharmed in zip(feed, expected, strict=False):
        assert_equal(batch, unharmed)
        for array in tf.nest.flatten(batch):
            array.fill(9)


@pytest.mark.parametrize("count", [8, 11, 3])
def test_parts_of_first_examples_make_up_the_whole(make, count):
    batches = make(4, split="dev")
    whole, one, two = (
        list(batches.first_examples(count, *part).as_numpy_iterator())
        for part in ((), (0, 2), (1, 2))
    )
    both = [
        tf.nest.map_structure(lambda *halves: np.concatenate(halves), *parts)
        for parts in zip(one, two, strict=True)
    ]
    if count < 4:
        # What fills up the batch counts for nothing.
        ((_, targets, weights),) = both
        assert len(targets["sop"]) == 4 and len(whole[0][1]["sop"]) == 3
        for values in weights.values():
            assert not values[3:].any()
        both = [tf.nest.map_structure(lambda x: x[:3], both[0])]
    assert len(whole) == max(count // 4, 1)
    for ours, theirs in zip(both, whole, strict=True):
        assert_equal(ours, theirs)


def test_static_examples_have_the_original_names(make, tmp_path):
    path = tmp_path / "examples.tfrecord"
    batches = make()
    count = write_masked_examples(batches, path, epochs=2)
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    assert len(records) == count
    lists = {
        "input_ids": LENGTH,
        "input_mask": LENGTH,
        "segment_ids": LENGTH,
        "masked_lm_positions": 5,
        "masked_lm_ids": 5,
        "next_sentence_labels": 1,
    }
    schema = {n: tf.io.FixedLenFeature([k], tf.int64) for n, k in lists.items()}
    schema["masked_lm_weights"] = tf.io.FixedLenFeature([5], tf.float32)
    first = tf.io.parse_single_example(records[0], schema)
    inputs, targets, weights = next(batches.one_epoch().as_numpy_iterator())
    for name, value in (
        ("input_ids", inputs["token_ids"]),
        ("input_mask", inputs["padding_mask"]),
        ("segment_ids", inputs["segment_ids"]),
        ("masked_lm_positions", inputs["mask_positions"]),
        ("masked_lm_ids", targets["mlm"]),
        ("masked_lm_weights", weights["mlm"]),
        ("next_sentence_labels", targets["sop"][:, None]),
    ):
        np.testing.assert_array_equal(first[name], value[0], err_msg=name)


def test_bad_data(prepared, tmp_path, tokenizer, write_prepared):
    nothing = write_prepared(tmp_path, {"train": [[[[50]], [[51]]]]})
    batches = PretrainingBatches(nothing, tokenizer, LENGTH, 2)
    with pytest.raises(ValueError, match="at least one document of two"):
        batches.check_not_empty()
    cased = ka.AlbertTokenizer(tokenizer.proto)
    cased.proto = b"another"
    with pytest.raises(ValueError, match="vocabulary must be the one"):
        PretrainingBatches(prepared, cased, LENGTH, 2)
    with pytest.raises(ValueError, match="process=2"):
        PretrainingBatches(
            prepared, tokenizer, LENGTH, 2, process=2, processes=2
        )
    shard = tmp_path / "train-00000-of-00001.tfrecord.gz"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"train-00000.*was cut"):
        read_dataset(tmp_path)
