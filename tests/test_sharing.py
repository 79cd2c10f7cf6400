"""The script that draws what happens from depth to depth."""

import numpy as np
import pytest

import contracts
import keras_albert as ka
import sharing_pictures

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def backbone(tiny):
    backbone = ka.AlbertBackbone(**tiny)
    contracts.randomize(backbone, seed=1, scale=0.4)
    return backbone


@pytest.fixture(scope="module")
def features():
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])
    ids = np.array([[2, 30, 40, 3], [2, 3, 0, 0]])
    return {
        "token_ids": ids,
        "segment_ids": np.zeros_like(ids),
        "padding_mask": mask,
    }


def test_movement_is_that_between_models_of_one_layer_more(backbone, features):
    deepest = sharing_pictures.with_layers(backbone, 4)
    distances, angles = sharing_pictures.movement(deepest, features)
    assert len(distances) == len(angles) == 4
    mask = features["padding_mask"].astype(bool)
    states = []
    for layers in (2, 3):
        model = sharing_pictures.with_layers(backbone, layers)
        output = contracts.predict(model, features)["sequence_output"]
        states.append(np.asarray(output)[mask])
    before, after = states
    # From depth 2 to 3; padding does not count.
    expected = np.sqrt(((after - before) ** 2).sum(axis=-1)).mean()
    assert distances[2] == pytest.approx(expected, rel=1e-4)
    units = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in states]
    expected = np.degrees(np.arccos((units[0] * units[1]).sum(axis=-1))).mean()
    assert angles[2] == pytest.approx(expected, rel=1e-3)


def test_pictures_are_small(backbone, features, tmp_path, capsys):
    depths, attention = tmp_path / "depths.png", tmp_path / "attention.png"
    sharing_pictures.draw_depths(depths, backbone, features)
    assert "shared, trained" in capsys.readouterr().out
    sharing_pictures.draw_attention(attention, backbone, "albert_tiny_en")
    for path in (depths, attention):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 100_000
