"""KerasHub's models give the same numbers here, and the other way round."""

import json

import keras
import keras_nlp
import numpy as np
import pytest

import contracts
import keras_albert as ka
from huggingface_parity import random_inputs

from .conftest import change_json, our_outputs

ARGUMENTS = {
    "vocabulary_size": 50,
    "num_layers": 4,
    "num_heads": 2,
    "embedding_dim": 8,
    "hidden_dim": 16,
    "intermediate_dim": 24,
    "num_groups": 2,
    "num_inner_repetitions": 2,
    "max_sequence_length": 20,
    "dropout": 0.1,
}


class Sizes:
    vocab_size, type_vocab_size = 50, 2


def make_theirs(name, **kwargs):
    backbone = keras_nlp.models.AlbertBackbone(**{**ARGUMENTS, **kwargs})
    model = backbone
    if name == "AlbertMaskedLM":
        model = keras_nlp.models.AlbertMaskedLM(backbone)
    if name == "AlbertTextClassifier":
        model = keras_nlp.models.AlbertTextClassifier(backbone, num_classes=3)
    contracts.randomize(model)
    return model


NAMES = ("AlbertBackbone", "AlbertMaskedLM", "AlbertTextClassifier")


@pytest.mark.parametrize("name", NAMES)
def test_instances_both_ways(name):
    theirs = make_theirs(name)
    ours = getattr(ka, name).from_keras_hub(theirs)
    back = ours.to_keras_hub()
    assert type(back) is type(theirs)
    inputs = random_inputs(Sizes, name)
    expected = our_outputs(theirs, inputs)
    for model in (ours, back):
        for a, b in zip(our_outputs(model, inputs), expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5, rtol=0)
    for a, b in zip(back.weights, theirs.weights, strict=True):
        assert a.path == b.path
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
        )


@pytest.mark.once
@pytest.mark.parametrize("name", NAMES)
def test_preset_folders(name, tmp_path):
    theirs = make_theirs(name)
    theirs.save_to_preset(str(tmp_path))
    ours = getattr(ka, name).from_preset(tmp_path)
    inputs = random_inputs(Sizes, name)
    for a, b in zip(
        our_outputs(ours, inputs), our_outputs(theirs, inputs), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=0)


@pytest.mark.once
def test_a_folders_tokenizer_folds(tmp_path, tokenizer):
    classifier = make_theirs("AlbertTextClassifier", vocabulary_size=8000)
    classifier.preprocessor = keras_nlp.models.AlbertTextClassifierPreprocessor(
        keras_nlp.models.AlbertTokenizer(proto=tokenizer.proto),
        sequence_length=16,
    )
    classifier.save_to_preset(str(tmp_path))
    ours = ka.AlbertTextClassifier.from_preset(tmp_path)
    assert ours.preprocessor.sequence_length == 20
    assert len(ours.classify(["Wake me", "CAFÉ"])) == 2


@pytest.mark.once
def test_what_keras_hub_has_not_is_refused():
    def refused(match, model):
        with pytest.raises(ValueError, match=match):
            model.to_keras_hub()

    refused("activation", ka.AlbertBackbone(**ARGUMENTS, activation="relu"))
    uneven = {**ARGUMENTS, "num_layers": 3}
    refused("divisible", ka.AlbertBackbone(**uneven))
    backbone = ka.AlbertBackbone(**ARGUMENTS)
    refused("AlbertTokenClassifier", ka.AlbertTokenClassifier(backbone, 2))
    refused("layer_norm_epsilon=1e-05", ka.AlbertMaskedLM(backbone))
    with pytest.raises(ValueError, match="BertBackbone"):
        ka.AlbertBackbone.from_keras_hub(
            keras_nlp.models.BertBackbone(10, 1, 1, 4, 4)
        )


@pytest.mark.once
def test_damaged_folders_are_refused(tmp_path):
    make_theirs("AlbertBackbone").save_to_preset(str(tmp_path))
    weights = tmp_path / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="whole KerasHub preset"):
        ka.AlbertBackbone.from_preset(tmp_path)
    change_json(
        tmp_path / "config.json", registered_name="keras_hub>BertBackbone"
    )
    with pytest.raises(ValueError, match="BertBackbone"):
        ka.AlbertBackbone.from_preset(tmp_path)
    change_json(tmp_path / "config.json", module="os.path")
    with pytest.raises(ValueError, match="may only name classes"):
        ka.AlbertBackbone.from_preset(tmp_path)


@pytest.mark.once
def test_shards_lie_in_the_folder(tmp_path):
    theirs = make_theirs("AlbertBackbone")
    theirs.save_to_preset(str(tmp_path), max_shard_size=1e-5)
    ours = ka.AlbertBackbone.from_preset(tmp_path)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(ours.token_embedding.embeddings),
        keras.ops.convert_to_numpy(theirs.token_embedding.embeddings),
    )
    index = tmp_path / "model.weights.json"
    content = json.loads(index.read_text())
    for name in ("../a.weights.h5", "/etc/passwd", "missing.weights.h5"):
        content["weight_map"] = {k: [name] for k in content["weight_map"]}
        index.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=f"model.weights.json.*{name}"):
            ka.AlbertBackbone.from_preset(tmp_path)


@pytest.mark.once
def test_registered_names(monkeypatch, tmp_path):
    import kagglehub

    def unreachable(handle):
        raise OSError("no route to host")

    monkeypatch.setattr(kagglehub, "model_download", unreachable)
    with pytest.raises(OSError, match="no route"):
        ka.AlbertBackbone.from_preset("albert_base_en_uncased")

    make_theirs("AlbertBackbone").save_to_preset(str(tmp_path))
    monkeypatch.setattr(
        kagglehub,
        "model_download",
        lambda handle: str(tmp_path) if handle.startswith("keras/") else None,
    )
    backbone = ka.AlbertBackbone.from_preset("albert_large_en_uncased")
    assert backbone.num_groups == 2
