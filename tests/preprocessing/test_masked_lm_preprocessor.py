"""Texts to masked tokens, and masks that a user wrote."""

import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka
from keras_albert.preprocessing.masked_text import fill, tokenize_masked
from keras_albert.preprocessing.wordpiece import AlbertWordPieceTokenizer

pytestmark = pytest.mark.once

TEXTS = ["It rained all night.", "We saw the king's house, and he did not."]
AWKWARD = [
    *TEXTS,
    "  Spaces   before, between\tand behind  ",
    "2,019 and 7,5 — “quoted” ΣΑΣ ½ Café ﬁn",
    "unbelievably long-winded   (really!!!!) 中文 \ue000\ue000x",
]


@pytest.fixture(scope="module")
def make(tokenizer):
    def make(tokenizer=tokenizer, **kwargs):
        return ka.AlbertMaskedLMPreprocessor(
            tokenizer, **{"sequence_length": 24, **kwargs}
        )

    return make


def restore(batch):
    """The packed rows before they were masked."""
    inputs, targets, weights = batch
    ids = np.array(inputs["token_ids"])
    rows, slots = np.nonzero(weights)
    ids[rows, inputs["mask_positions"][rows, slots]] = targets[rows, slots]
    return ids


def test_rows_are_the_texts_with_masks(make, tokenizer):
    batch = make(mask_selection_rate=0.3)(TEXTS * 20)
    inputs, targets, weights = batch
    for row, text in zip(restore(batch), TEXTS * 20, strict=True):
        expected = [2, *map(int, tokenizer(text)), 3]
        assert row.tolist() == expected + [0] * (24 - len(expected))
    changed = (restore(batch) != inputs["token_ids"]).sum()
    assert 0.8 * weights.sum() < changed < weights.sum()
    # 30 % of the tokens of each row, rounded.
    tokens = inputs["padding_mask"].sum(axis=1)
    np.testing.assert_array_equal(
        weights.sum(axis=1), np.floor(0.3 * tokens + 0.5)
    )
    assert targets.shape == weights.shape == (40, 7)


def test_pairs(make, tokenizer):
    batch = make()((TEXTS, ["Yes.", "No."]))
    one, other = (list(map(int, ids)) for ids in tokenizer([TEXTS[0], "Yes."]))
    expected = [2, *one, 3, *other, 3]
    assert restore(batch)[0][: len(expected)].tolist() == expected
    segments = batch[0]["segment_ids"][0]
    assert segments.sum() == len(other) + 1
    # As two arguments, which is how datasets of pairs arrive.
    tf.nest.map_structure(
        np.testing.assert_array_equal, batch, make()(TEXTS, ["Yes.", "No."])
    )


def test_drawn_anew_at_each_call_and_alike_in_each_instance(make):
    one, other = make(seed=4), make(seed=4)
    first, second = (one(TEXTS * 10) for _ in range(2))
    tf.nest.map_structure(
        np.testing.assert_array_equal, first, other(TEXTS * 10)
    )
    positions = [batch[0]["mask_positions"] for batch in (first, second)]
    assert not np.array_equal(*positions)


def test_pipelines_single_texts_and_weights(make):
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS)
    (batch,) = dataset.batch(2).map(make()).as_numpy_iterator()
    tf.nest.map_structure(np.testing.assert_array_equal, batch, make()(TEXTS))
    inputs, targets, _ = make()(TEXTS[0])
    assert inputs["token_ids"].shape == (24,)
    assert targets.shape == (4,)
    weights = make()(TEXTS, sample_weight=np.array([0.0, 2.0]))[2]
    np.testing.assert_array_equal(weights, batch[2] * np.array([[0.0], [2.0]]))


def test_presets_keep_it(make, tmp_path):
    arguments = {
        "mask_selection_rate": 0.4,
        "mask_token_rate": 0.5,
        "random_token_rate": 0.25,
        "max_ngram": 2,
        "truncate": "waterfall",
        "seed": 5,
    }
    make(**arguments).save_to_preset(tmp_path)
    loaded = ka.AlbertMaskedLMPreprocessor.from_preset(tmp_path)
    config = loaded.get_config()
    assert {name: config[name] for name in arguments} == arguments
    tf.nest.map_structure(
        np.testing.assert_array_equal, loaded(TEXTS), make(**arguments)(TEXTS)
    )


@pytest.mark.parametrize("text", AWKWARD)
def test_a_written_mask_leaves_the_other_tokens_alone(tokenizer, text):
    """Each token's own part of the text is overwritten by `[MASK]`."""
    ids, spans = tokenizer.tokenize_with_offsets(text)
    written = 0
    for place, (start, end) in enumerate(spans):
        if spans.count((start, end)) > 1 or start == end:
            continue  # The text of several tokens cannot be split.
        masked = text[:start] + "[MASK]" + text[end:]
        expected = [*ids[:place], tokenizer.mask_token_id, *ids[place + 1 :]]
        received = tokenize_masked(tokenizer, masked)
        # That a space came before the mask is the mask's own to tell.
        if received != expected and start and text[start - 1].isspace():
            space = tokenizer.token_to_id("▁")
            expected = [i for i in expected if i != space]
            received = [i for i in received if i != space]
        assert received == expected, masked
        written += 1
    assert written > 4


def test_masks_side_by_side(tokenizer):
    mask, the, s = (tokenizer.token_to_id(x) for x in ("[MASK]", "▁the", "s"))
    for text, expected in {
        "[MASK]": [mask],
        "[MASK][MASK]": [mask, mask],
        " [MASK]  [MASK] ": [mask, mask],
        "the [MASK]s": [the, mask, s],
        "[MASK] the": [mask, the],
    }.items():
        assert tokenize_masked(tokenizer, text) == expected
    # Only what is spelled as in the vocabulary is a mask.
    assert mask not in tokenize_masked(tokenizer, "[mask] [ MASK ]")
    assert tokenizer.mask_token_id not in list(tokenizer("the [MASK] sat"))


def test_filled_texts(tokenizer):
    for text, index, token, expected in [
        ("The [MASK] sat.", 0, "▁cat", ("cat", "The cat sat.")),
        ("The[MASK] sat.", 0, "▁cat", ("cat", "The cat sat.")),
        ("The cat [MASK].", 0, "s", ("s", "The cats.")),
        ("[MASK] sat.", 0, "▁it", ("it", "it sat.")),
        ("[MASK] [MASK].", 1, "▁it", ("it", "[MASK] it.")),
    ]:
        assert fill(tokenizer, text, index, token) == expected


def test_wordpiece(make):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = AlbertWordPieceTokenizer(
        [*special, "我", "你", "al", "##bert", ".", "sat"]
    )
    assert tokenize_masked(tokenizer, "我[MASK]你") == [5, 4, 6]
    assert tokenize_masked(tokenizer, "[MASK] sat.") == [4, 10, 9]
    assert fill(tokenizer, "我[MASK]你", 0, "你") == ("你", "我你你")
    assert fill(tokenizer, "al [MASK].", 0, "##bert") == ("bert", "albert.")
    batch = make(tokenizer, mask_selection_rate=0.5)(["albert sat. 我 你"] * 9)
    assert restore(batch)[0, :8].tolist() == [2, 7, 8, 10, 9, 5, 6, 3]
    masked = batch[0]["token_ids"] == 4
    # "albert" is one word: it is never half of the masks that were drawn,
    # unless the budget ends in it.
    assert masked[:, 1:7].any() and not masked[:, [0, 7]].any()


def test_wrong_input(make):
    with pytest.raises(ValueError, match="without targets"):
        make()(TEXTS, np.array([0, 1]))
    with pytest.raises(ValueError, match="sequence_length"):
        make(sequence_length=3)
    with pytest.raises(ValueError, match="truncate"):
        make(truncate="left")
    with pytest.raises(ValueError, match=r"at index 1: 'no \[mask\]'"):
        make().pack_masked(["a [MASK]", "no [mask]"])
    with pytest.raises(ValueError, match=r"index 1 .*1 of its masks"):
        make().pack_masked(["a [MASK]", "word " * 30 + "[MASK]"])
