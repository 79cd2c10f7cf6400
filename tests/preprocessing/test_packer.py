import types

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka
from keras_albert.preprocessing.packer import (
    batch_length,
    bucket_lengths,
    pack_segments,
    pack_texts,
    trim_padding,
)

COMPILES = keras.backend.backend() in ("jax", "openvino")


def make(tokens, maximum=512):
    tokens = np.array(tokens)
    mask = (np.arange(maximum) < tokens[:, None]).astype("int32")
    return {"token_ids": mask * 7, "segment_ids": mask, "padding_mask": mask}


@pytest.mark.inference
def test_a_length_holds_the_tokens_and_little_more():
    lengths = {batch_length(tokens, 512) for tokens in range(1, 513)}
    for tokens in range(1, 513):
        length = batch_length(tokens, 512)
        assert tokens <= length <= 512
        assert length - tokens < max(8, tokens / 2)
    # Each costs a compilation where there is one.
    assert len(lengths) <= 20 if COMPILES else len(lengths) == 512


@pytest.mark.inference
def test_a_length_is_at_most_the_maximum():
    assert batch_length(9, 10) == (10 if COMPILES else 9)
    assert batch_length(400, 450) == (450 if COMPILES else 400)
    assert batch_length(450, 450) == 450


@pytest.mark.inference
@pytest.mark.parametrize("maximum", [4, 9, 64, 450, 512, 1000])
def test_groups_end_with_the_maximum(maximum):
    lengths = bucket_lengths(maximum)
    assert lengths == sorted(set(lengths))
    assert lengths[-1] == maximum
    if COMPILES:
        # Else a group would have batches of several lengths.
        padded = {batch_length(n, maximum) for n in range(1, maximum + 1)}
        assert padded == set(lengths)


@pytest.mark.inference
@pytest.mark.parametrize("tokens", [[2, 5], [70, 3, 1], [512, 2], [100]])
def test_trimming_loses_nothing(tokens):
    features = make(tokens)
    trimmed = trim_padding(features)
    length = batch_length(max(tokens), 512)
    for name, value in trimmed.items():
        assert value.shape == (len(tokens), length)
        np.testing.assert_array_equal(value, features[name][:, :length])
    assert trimmed["padding_mask"].sum() == sum(tokens)


@pytest.mark.parametrize("tokens", [[2, 5], [70, 3, 1], [512, 2], [100]])
def test_graphs_trim_alike(tokens):
    features = make(tokens)
    (received,) = tf.data.Dataset.from_tensors(features).map(trim_padding)
    for name, value in trim_padding(features).items():
        np.testing.assert_array_equal(received[name].numpy(), value)


SPECIAL = types.SimpleNamespace(cls_token_id=2, sep_token_id=3, pad_token_id=0)


@pytest.mark.once
@pytest.mark.parametrize("truncate", ["round_robin", "waterfall"])
@pytest.mark.parametrize("sides", [1, 2, 3])
@pytest.mark.parametrize("length", [4, 5, 9, 16])
def test_ids_are_packed_as_by_keras_hub(truncate, sides, length):
    generator = np.random.default_rng(sides)
    segments = tuple(
        [generator.integers(4, 90, n).tolist() for n in counts]
        for counts in generator.integers(0, 14, (sides, 200))
    )
    packer = keras_nlp.layers.MultiSegmentPacker(
        sequence_length=length,
        start_value=2,
        end_value=3,
        pad_value=0,
        truncate=truncate,
    )
    token_ids, segment_ids = map(np.asarray, packer(segments))
    packed = pack_segments(segments, SPECIAL, length, truncate)
    np.testing.assert_array_equal(packed["token_ids"], token_ids)
    np.testing.assert_array_equal(packed["segment_ids"], segment_ids)
    np.testing.assert_array_equal(packed["padding_mask"], token_ids != 0)


class LowerCase(ka.AlbertTextClassifierPreprocessor):
    def call(self, x, y=None, sample_weight=None):
        return super().call([text.lower() for text in x], y, sample_weight)


@pytest.mark.parametrize(
    ("cls", "texts"),
    [
        (ka.AlbertTextClassifierPreprocessor, ["Wake me", "", "IT RAINS " * 9]),
        (ka.AlbertTextClassifierPreprocessor, (["Is it?", ""], ["No.", "B"])),
        (ka.AlbertTextEmbedderPreprocessor, ["Wake me", "Hm."]),
        (LowerCase, ["WAKE ME", "Hm."]),
    ],
)
def test_texts_are_packed_as_by_a_call(tokenizer, cls, texts):
    preprocessor = cls(tokenizer, sequence_length=12)
    packed = pack_texts(preprocessor, texts)
    # Made at the first call, of which there was none.
    assert (preprocessor.packer is None) == (cls is not LowerCase)
    expected = preprocessor(texts, y=None)
    assert packed.keys() == expected.keys()
    for name, values in packed.items():
        assert isinstance(values, np.ndarray)
        expected_values = keras.ops.convert_to_numpy(expected[name])
        np.testing.assert_array_equal(values, expected_values)
        assert values.dtype == expected_values.dtype
