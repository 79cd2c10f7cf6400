import keras
import numpy as np
import pytest
from keras import ops

import contracts
import keras_albert as ka
import oracle
from contracts import predict, random_batch

# What shows that sharing is right: more than one group and inner layer,
# also where groups do not divide layers.
CONFIGURATIONS = {
    "one group": {},
    "groups": {"num_groups": 3},
    "inner": {"num_inner_repetitions": 3},
    "groups and inner": {"num_groups": 2, "num_inner_repetitions": 2},
    "uneven": {"num_layers": 5, "num_groups": 3},
    "no projection": {"embedding_dim": 16},
    "projection all the same": {
        "embedding_dim": 16,
        "embedding_projection": True,
    },
    "erf": {"activation": "gelu"},
    "relu": {"activation": "relu"},
    "epsilon": {"layer_norm_epsilon": 1e-2},
    "segments and positions": {"num_segments": 5, "max_sequence_length": 13},
}
BATCH = random_batch({"vocabulary_size": 60})


def make(config, **kwargs):
    backbone = ka.AlbertBackbone(**{**config, **kwargs})
    contracts.randomize(backbone)
    return backbone


@pytest.fixture(scope="module")
def config(shared):
    return {**shared, "num_groups": 1, "num_inner_repetitions": 1}


@pytest.fixture(scope="module")
def backbone(shared):
    return make(shared)


@pytest.fixture
def layers_of(shared):
    """Makes a backbone with some weights set to zero."""

    def build(zeroed, **kwargs):
        backbone = make(shared, **kwargs)
        for variable in backbone.weights:
            if any(name in variable.path for name in zeroed):
                variable.assign(np.zeros(variable.shape))
        return backbone

    return build


# === What it computes ===


@pytest.mark.inference
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_equals_the_oracle(config, name):
    arguments = {**config, **CONFIGURATIONS[name]}
    backbone = make(arguments)
    batch = random_batch(arguments)
    # Not only padding at the end.
    batch["padding_mask"][:, 1] = 0
    expected = oracle.forward(oracle.weights_of(backbone), arguments, **batch)
    received = predict(backbone, batch)
    assert set(received) == {"sequence_output", "pooled_output"}
    for output, value in received.items():
        np.testing.assert_allclose(value, expected[output], atol=1e-5, rtol=0)


def test_groups_are_assigned_as_documented(config):
    backbone = make(config, num_layers=5, num_groups=3)
    groups = [
        [layer.name for layer in group] for group in backbone.transformer_layers
    ]
    calls = [
        operation.name
        for operation in backbone.operations
        if operation.name.startswith("group_")
    ]
    # A shared layer is one operation with several calls.
    times = {
        name: len(backbone.get_layer(name)._inbound_nodes) for name in calls
    }
    assert groups == [[f"group_{g}_inner_layer_0"] for g in range(3)]
    assert list(times.values()) == [2, 2, 1]


def test_hidden_states(shared, backbone):
    expected = oracle.forward(oracle.weights_of(backbone), shared, **BATCH)
    model = keras.Model(backbone.input, backbone.hidden_states)
    states = contracts.to_numpy(model(BATCH))
    assert len(states) == shared["num_layers"] + 1
    for state, value in zip(states, expected["hidden_states"], strict=True):
        np.testing.assert_allclose(state, value, atol=1e-5, rtol=0)
    last = backbone.hidden_states[-1]
    assert last is backbone.output["sequence_output"]


def test_attention_model(shared, backbone, tmp_path):
    expected = oracle.forward(oracle.weights_of(backbone), shared, **BATCH)
    model = backbone.attention_model()
    received = contracts.to_numpy(model(BATCH))
    padding = BATCH["padding_mask"] == 0
    for value, wanted in zip(received, expected["probabilities"], strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-5, rtol=0)
        np.testing.assert_allclose(value.sum(axis=-1), 1.0, atol=1e-5)
        to_padding = value.transpose(0, 3, 1, 2)[padding]
        assert to_padding.size and to_padding.max() < 1e-6
    model.save(tmp_path / "attention.keras")
    loaded = keras.models.load_model(tmp_path / "attention.keras")
    contracts.assert_same(
        contracts.to_numpy(loaded(BATCH)), received, tolerance=0.0
    )


# Built without a value in any weight: the largest would take a gigabyte.
@pytest.mark.once
@pytest.mark.parametrize(
    ("size", "parameters"),
    [
        ((768, 12, 12, 3072), 11_683_584),
        ((1024, 24, 16, 4096), 17_683_968),
        ((2048, 24, 16, 8192), 58_724_864),
        ((4096, 12, 64, 16384), 222_595_584),
    ],
    ids=["base", "large", "xlarge", "xxlarge"],
)
def test_parameter_counts_of_the_paper(size, parameters):
    hidden_dim, num_layers, num_heads, intermediate_dim = size
    with keras.StatelessScope(initialize_variables=False):
        backbone = ka.AlbertBackbone(
            vocabulary_size=30000,
            num_layers=num_layers,
            num_heads=num_heads,
            embedding_dim=128,
            hidden_dim=hidden_dim,
            intermediate_dim=intermediate_dim,
        )
    keras.utils.clear_session()
    assert backbone.count_params() == parameters
    assert len(backbone.hidden_states) == num_layers + 1


# === Contracts ===


def test_config_round_trip(backbone):
    contracts.check_config_round_trip(backbone, lambda model: model(BATCH))


@pytest.mark.inference
def test_saving(backbone, tmp_path):
    contracts.check_saving(backbone, BATCH, tmp_path / "backbone.keras")


@pytest.mark.inference
def test_presets(shared, tmp_path):
    backbone = make(shared, dropout=0.25, activation="relu", name="mine")
    backbone.learning_rate = 3e-5
    backbone.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertBackbone.from_preset(tmp_path / "preset")
    contracts.assert_same(
        predict(loaded, BATCH), predict(backbone, BATCH), tolerance=0.0
    )
    assert loaded.get_config() == backbone.get_config()
    assert loaded.learning_rate == 3e-5
    fresh = ka.AlbertBackbone.from_preset(
        tmp_path / "preset", load_weights=False, dropout=0.5
    )
    assert fresh.dropout == 0.5
    difference = predict(fresh, BATCH)["pooled_output"]
    difference -= predict(backbone, BATCH)["pooled_output"]
    assert np.abs(difference).max() > 1e-3


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(shared, policy):
    contracts.check_mixed_precision(
        lambda dtype: ka.AlbertBackbone(**shared, dtype=dtype),
        lambda model: model(BATCH),
        policy,
    )


def test_presets_load_in_another_precision(backbone, tmp_path):
    backbone.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertBackbone.from_preset(
        tmp_path / "preset", dtype="bfloat16"
    )
    assert loaded.compute_dtype == "bfloat16"
    contracts.assert_same(
        contracts.to_numpy(loaded(BATCH)),
        contracts.to_numpy(backbone(BATCH)),
        tolerance=0.2,
    )


@pytest.mark.inference
def test_padding_is_ignored(backbone):
    contracts.check_padding_is_ignored(
        lambda batch: predict(backbone, batch), BATCH
    )


@pytest.mark.inference
def test_any_length(shared, backbone):
    for length in (1, 7, shared["max_sequence_length"]):
        batch = random_batch(shared, length=max(length, 2))
        batch = {name: x[:, :length] for name, x in batch.items()}
        output = predict(backbone, batch)["sequence_output"]
        assert output.shape == (4, length, shared["hidden_dim"])


def test_global_generators(backbone):
    contracts.check_global_generators(lambda: predict(backbone, BATCH))


def test_new_weights_are_those_of_the_original(config):
    """Truncated normal of standard deviation 0.02, before truncation."""
    backbone = ka.AlbertBackbone(**{**config, "vocabulary_size": 4000})
    seen = set()
    for variable, value in zip(
        backbone.weights, backbone.get_weights(), strict=True
    ):
        if variable.name in ("bias", "beta"):
            assert not value.any()
        elif variable.name == "gamma":
            assert (value == 1.0).all()
        else:
            assert np.abs(value).max() <= 0.04 + 1e-6
            assert value.std() > 0.01
            seen.add(value.ravel()[0])
    assert len(seen) == 11  # No two matrices start alike.


# === Dropout ===

EMBEDDING = ("embeddings/layer_norm",)
ATTENTION = ("attention_output/",)
FEED_FORWARD = ("output_dense/",)


@pytest.mark.parametrize(
    ("zeroed", "rates", "is_random"),
    [
        # With the other two sites multiplied by zero, the one site shows.
        (ATTENTION + FEED_FORWARD, {"dropout": 0.5}, True),
        (EMBEDDING + FEED_FORWARD, {"dropout": 0.5}, True),
        (EMBEDDING + ATTENTION, {"dropout": 0.5}, True),
        (EMBEDDING + ATTENTION + FEED_FORWARD, {"dropout": 0.5}, False),
        ((), {"attention_dropout": 0.5}, True),
        (ATTENTION, {"attention_dropout": 0.5}, False),
        ((), {}, False),
    ],
    ids=[
        "embeddings",
        "attention output",
        "feed-forward output",
        "nowhere else",
        "attention probabilities",
        "inside attention alone",
        "off by default",
    ],
)
def test_dropout_sites(layers_of, zeroed, rates, is_random):
    backbone = layers_of(zeroed, **rates)
    still = [predict(backbone, BATCH)["sequence_output"] for _ in range(2)]
    np.testing.assert_array_equal(*still)
    noisy = [
        ops.convert_to_numpy(backbone(BATCH, training=True)["sequence_output"])
        for _ in range(2)
    ]
    if is_random:
        assert np.abs(noisy[0] - noisy[1]).max() > 1e-3
    else:
        np.testing.assert_array_equal(*noisy)
        np.testing.assert_allclose(noisy[0], still[0], atol=1e-5)


# === Training ===


def test_gradients_of_a_shared_layer_are_those_of_all_its_uses(shared):
    """Against the slope of the oracle's loss along a random direction."""
    backbone = make(shared)
    target = np.random.default_rng(2).normal(size=(4, 16)).astype("float32")
    weights = oracle.weights_of(backbone)
    generator = np.random.default_rng(3)
    direction = {n: generator.normal(size=w.shape) for n, w in weights.items()}

    def loss(step):
        moved = {n: w + step * direction[n] for n, w in weights.items()}
        pooled = oracle.forward(moved, shared, **BATCH)["pooled_output"]
        return ((pooled - target) ** 2).mean()

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    model = keras.Model(backbone.input, backbone.output["pooled_output"])
    rate = 1e-2
    model.compile(keras.optimizers.SGD(rate), "mse", jit_compile=False)
    model.train_on_batch(BATCH, target)
    after = oracle.weights_of(backbone)
    received = sum(
        ((weights[name] - after[name]) / rate * direction[name]).sum()
        for name in weights
    )
    assert received == pytest.approx(slope, rel=1e-3)


def test_shared_weights_exist_once(shared, backbone):
    paths = [variable.path for variable in backbone.trainable_variables]
    assert len(set(paths)) == len(paths)
    # 16 weights in each of the blocks; the tables, a norm, two dense layers.
    blocks = shared["num_groups"] * shared["num_inner_repetitions"]
    assert len(paths) == 16 * blocks + 3 + 2 + 2 + 2


# === LoRA and quantization ===


def test_lora(config, tmp_path):
    backbone = make(config)
    before = predict(backbone, BATCH)
    weights = oracle.weights_of(backbone)
    backbone.enable_lora(2)
    names = [variable.path for variable in backbone.trainable_variables]
    # One adapter, of two matrices each for query and value, for all layers.
    assert len(names) == 4 and all("lora" in name for name in names)
    contracts.assert_same(predict(backbone, BATCH), before, tolerance=1e-6)

    model = keras.Model(backbone.input, backbone.output["pooled_output"])
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=False)
    for _ in range(2):  # One side of an adapter starts at zero.
        model.train_on_batch(BATCH, -before["pooled_output"])
    trained = predict(backbone, BATCH)
    assert np.abs(trained["pooled_output"] - before["pooled_output"]).max() > (
        1e-4
    )
    for variable in backbone.non_trainable_variables:
        if variable.path in weights:
            np.testing.assert_array_equal(
                ops.convert_to_numpy(variable), weights[variable.path]
            )

    # Saving merges the adapter into the kernels.
    backbone.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertBackbone.from_preset(tmp_path / "preset")
    contracts.assert_same(predict(loaded, BATCH), trained, tolerance=1e-5)
    backbone.save_lora_weights(tmp_path / "adapter.lora.h5")
    plain = make(config)
    plain.load_lora_weights(str(tmp_path / "adapter.lora.h5"))
    contracts.assert_same(predict(plain, BATCH), trained, tolerance=1e-5)


@pytest.mark.filterwarnings("ignore:Layer .* `quantize`")
def test_quantized_models_survive_saving(config, tmp_path):
    backbone = make(config, num_groups=2, num_layers=2)
    exact = predict(backbone, BATCH)
    backbone.quantize("int8")
    quantized = predict(backbone, BATCH)
    assert (
        0.0
        < np.abs(quantized["pooled_output"] - exact["pooled_output"]).max()
        < 0.5
    )
    integers = [
        w
        for w in backbone.weights
        if keras.backend.standardize_dtype(w.dtype) == "int8"
    ]
    assert len(integers) >= 2 * 6

    backbone.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertBackbone.from_preset(tmp_path / "preset")
    contracts.assert_same(predict(loaded, BATCH), quantized, tolerance=0.0)
    contracts.check_saving(backbone, BATCH, tmp_path / "model.keras")


# === Bad input ===


@pytest.mark.inference
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_heads": 5}, "hidden_dim=16, num_heads=5"),
        ({"num_heads": 0}, "`num_heads` must be a positive integer"),
        ({"num_groups": 4}, "num_groups=4, num_layers=3"),
        ({"num_layers": 0}, "`num_layers` must be a positive integer"),
        ({"hidden_dim": 16.0}, "`hidden_dim` must be a positive integer"),
        ({"embedding_projection": False}, "embedding_dim=8, hidden_dim=16"),
        ({"activation": "no_such"}, "no_such"),
    ],
)
def test_sizes_that_contradict(shared, wrong, message):
    with pytest.raises(ValueError, match=message):
        ka.AlbertBackbone(**{**shared, **wrong})


def test_sequences_longer_than_the_positions(shared, backbone):
    batch = random_batch(shared, length=25)
    with pytest.raises(ValueError, match="max_sequence_length=24.*25 tokens"):
        backbone(batch)
