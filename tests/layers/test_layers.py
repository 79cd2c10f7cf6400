"""The contracts of the layers. What they compute: models/test_backbone.py."""

import keras
import numpy as np
import pytest
from keras import ops

import contracts
from keras_albert.layers.embeddings import AlbertEmbeddings
from keras_albert.layers.encoder import (
    AlbertEncoderLayer,
    AttentionProbabilities,
)

BATCH = contracts.random_batch({"vocabulary_size": 40}, rows=3, length=6)
STATES = np.random.default_rng(0).normal(size=(3, 6, 16)).astype("float32")
MASK = BATCH["padding_mask"]


def make_embeddings(dtype=None, **kwargs):
    return AlbertEmbeddings(
        vocabulary_size=40,
        embedding_dim=8,
        hidden_dim=16,
        max_sequence_length=10,
        dtype=dtype,
        **kwargs,
    )


def make_encoder(dtype=None, **kwargs):
    return AlbertEncoderLayer(
        num_heads=4, intermediate_dim=24, dtype=dtype, **kwargs
    )


def make_probabilities(dtype=None):
    encoder = make_encoder(dtype)
    encoder.build(STATES.shape)
    return AttentionProbabilities(encoder, dtype=dtype)


def call_embeddings(layer):
    return layer(BATCH["token_ids"], BATCH["segment_ids"])


def call_on_states(layer):
    return layer(STATES, padding_mask=ops.convert_to_tensor(MASK))


LAYERS = [
    pytest.param(make_embeddings, call_embeddings, id="embeddings"),
    pytest.param(make_encoder, call_on_states, id="encoder"),
    pytest.param(make_probabilities, call_on_states, id="probabilities"),
]


@pytest.mark.parametrize(("make", "call"), LAYERS)
def test_config_round_trip(make, call):
    layer = make()
    call(layer)
    contracts.randomize(layer)
    contracts.check_config_round_trip(layer, call)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("make", "call"), LAYERS)
def test_mixed_precision(make, call, policy):
    contracts.check_mixed_precision(make, call, policy)


@pytest.mark.parametrize(("make", "call"), LAYERS)
def test_global_generators(make, call):
    layer = make()
    call(layer)
    contracts.check_global_generators(lambda: call(layer))


def test_saving(tmp_path):
    """In a model of the user's own, each with a save of its own."""
    inputs = {
        name: keras.Input((None,), dtype="int32", name=name) for name in BATCH
    }
    mask = inputs["padding_mask"]
    x = make_embeddings(name="words")(
        inputs["token_ids"], inputs["segment_ids"]
    )
    encoder = make_encoder(activation="relu", name="block")
    y = encoder(encoder(x, padding_mask=mask), padding_mask=mask)
    outputs = {
        "states": y,
        "probabilities": AttentionProbabilities(encoder)(y, mask),
    }
    model = keras.Model(inputs, outputs)
    contracts.randomize(model)
    contracts.check_saving(model, BATCH, tmp_path / "model.keras")


def test_encoder_ignores_padding():
    layer = make_encoder()
    call_on_states(layer)
    contracts.randomize(layer)

    def call(states, mask):
        return ops.convert_to_numpy(
            layer(states, padding_mask=ops.convert_to_tensor(mask))
        )

    expected = call(STATES, MASK)
    noise = np.where(MASK[..., None] == 1, STATES, STATES[::-1])
    longer = np.pad(STATES, ((0, 0), (0, 3), (0, 0)), constant_values=2.0)
    tokens = MASK == 1
    for states in (noise, longer):
        mask = np.pad(MASK, ((0, 0), (0, states.shape[1] - MASK.shape[1])))
        received = call(states, mask)[:, : MASK.shape[1]]
        np.testing.assert_allclose(
            received[tokens], expected[tokens], atol=1e-5
        )


def test_no_mask_is_a_mask_of_ones():
    layer = make_encoder()
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer(STATES)),
        ops.convert_to_numpy(
            layer(STATES, padding_mask=ops.ones(MASK.shape, "int32"))
        ),
    )


def test_masks_of_bool_and_int_are_alike():
    layer = make_encoder()
    np.testing.assert_array_equal(
        ops.convert_to_numpy(call_on_states(layer)),
        ops.convert_to_numpy(
            layer(STATES, padding_mask=ops.convert_to_tensor(MASK == 1))
        ),
    )


def test_embeddings_need_a_projection_between_sizes():
    with pytest.raises(ValueError, match="embedding_dim=8, hidden_dim=16"):
        make_embeddings(projection=False)


def test_embeddings_have_so_many_positions():
    layer = make_embeddings()
    ids = np.zeros((1, 11), "int32")
    with pytest.raises(ValueError, match="max_sequence_length=10.*11 tokens"):
        layer(ids, ids)


def test_heads_must_divide_the_width():
    layer = make_encoder()
    with pytest.raises(ValueError, match="hidden_dim=18, num_heads=4"):
        layer(np.zeros((1, 2, 18), "float32"))


@pytest.mark.parametrize("activation", ["relu", keras.activations.silu])
def test_any_activation(activation):
    layer = make_encoder(activation=activation)
    call_on_states(layer)
    contracts.randomize(layer)
    plain = make_encoder()
    call_on_states(plain)
    plain.set_weights(layer.get_weights())
    difference = contracts.to_numpy(call_on_states(layer))[0]
    difference -= contracts.to_numpy(call_on_states(plain))[0]
    assert np.abs(difference).max() > 1e-3
    contracts.check_config_round_trip(layer, call_on_states)
