"""The stack as loops computes what the functional model does."""

import keras
import numpy as np
import pytest
from keras import ops

import contracts
import keras_albert as ka
from keras_albert.models.rolled import group_applications, rolled_outputs


@pytest.mark.inference
@pytest.mark.skipif(
    keras.backend.backend() == "openvino",
    reason="OpenVINO runs compiled models only",
)
@pytest.mark.parametrize(
    "sharing",
    [
        {"num_groups": 1, "num_inner_repetitions": 1},
        {"num_groups": 1, "num_inner_repetitions": 2},
        {"num_groups": 3, "num_inner_repetitions": 1},
        {"num_groups": 2, "num_inner_repetitions": 2},
        {"num_groups": 3, "num_inner_repetitions": 2, "num_layers": 5},
        {"num_groups": 1, "num_inner_repetitions": 1, "embedding_dim": 16},
    ],
    ids=str,
)
def test_equals_the_functional_model(shared, sharing):
    config = {**shared, **sharing}
    backbone = ka.AlbertBackbone(**config)
    contracts.randomize(backbone)
    batch = contracts.random_batch(config)
    received = rolled_outputs(
        backbone, {name: ops.convert_to_tensor(x) for name, x in batch.items()}
    )
    contracts.assert_same(
        {name: ops.convert_to_numpy(x) for name, x in received.items()},
        contracts.predict(backbone, batch),
        tolerance=2e-6,
    )


@pytest.mark.once
def test_how_often_groups_are_applied(shared):
    for layers, groups, expected in (
        (3, 1, [3]),
        (5, 3, [2, 2, 1]),
        (12, 4, [3] * 4),
    ):
        backbone = ka.AlbertBackbone(
            **{**shared, "num_layers": layers, "num_groups": groups}
        )
        assert group_applications(backbone) == expected


def test_the_embedding_lookup_can_be_replaced(shared):
    backbone = ka.AlbertBackbone(**shared)
    contracts.randomize(backbone)
    batch = contracts.random_batch(shared)
    table = backbone.get_weights()[0]
    received = rolled_outputs(
        backbone,
        {name: ops.convert_to_tensor(x) for name, x in batch.items()},
        embed_tokens=lambda ids: ops.convert_to_tensor(
            np.flip(table[ops.convert_to_numpy(ids)], axis=0).copy()
        ),
    )
    flipped = {**batch, "token_ids": np.flip(batch["token_ids"], axis=0).copy()}
    contracts.assert_same(
        {name: ops.convert_to_numpy(x) for name, x in received.items()},
        contracts.predict(backbone, flipped),
        tolerance=2e-6,
    )
