"""Hugging Face folders give the same numbers here, and go back bit for bit."""

import json
import warnings

import keras
import numpy as np
import pytest
import safetensors.torch
import torch
import transformers

import keras_albert as ka
from huggingface_parity import (
    ARCHITECTURES,
    TOLERANCE,
    WITHOUT_POOLER,
    measure_one,
    random_inputs,
)
from keras_albert.checkpoints import huggingface
from keras_albert.tasks.loading import load_preset

from .conftest import change_json, our_outputs, their_outputs

KINDS = (*ARCHITECTURES, WITHOUT_POOLER)


def load(path, class_name=None, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if class_name is None:
            return load_preset(path, **kwargs)
        return getattr(ka, class_name).from_preset(path, **kwargs)


def tensors_of(folder):
    return safetensors.torch.load_file(folder / "model.safetensors")


# === The same numbers ===


@pytest.mark.parametrize("seed", range(2 * len(KINDS)))
def test_random_configurations_give_the_same_numbers(seed):
    """A part of what `benchmarks/huggingface_parity.py` measures."""
    differences, came_back = measure_one(KINDS[seed % len(KINDS)], seed)
    assert all(value <= TOLERANCE for value in differences.values())
    assert came_back


@pytest.mark.once
@pytest.mark.parametrize("seed", range(7))
def test_there_and_back_bit_for_bit(seed, save_theirs, tmp_path):
    architecture = list(ARCHITECTURES)[seed % len(ARCHITECTURES)]
    theirs, folder = save_theirs(architecture, seed)
    back = tmp_path / "back"
    back.mkdir()
    huggingface.write(load(folder), str(back))
    before, after = tensors_of(folder), tensors_of(back)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    model, report = getattr(transformers, architecture).from_pretrained(
        back, output_loading_info=True
    )
    assert not any(report.values()), report
    old, new = theirs.config.to_dict(), model.config.to_dict()
    for key in ("transformers_version", "_name_or_path", "problem_type"):
        old.pop(key, None), new.pop(key, None)
    if "Classification" not in architecture and "Choice" not in architecture:
        # A dropout that these architectures never apply.
        new.pop("classifier_dropout_prob")
    assert {k: v for k, v in new.items() if old.get(k) != v} == {}


@pytest.mark.once
def test_equal_sizes_without_projection_are_written_with_an_identity(tmp_path):
    backbone = ka.AlbertBackbone(40, 2, 2, 16, 16, 24, max_sequence_length=20)
    huggingface.write(backbone, str(tmp_path))
    theirs = transformers.AlbertModel.from_pretrained(tmp_path).eval()
    inputs = random_inputs(theirs.config, "AlbertModel")
    for a, b in zip(
        our_outputs(backbone, inputs),
        their_outputs(theirs, inputs),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=TOLERANCE, rtol=0)


# === Forms that folders come in ===


@pytest.mark.once
def test_configuration_and_labels(save_theirs):
    _, folder = save_theirs(
        "AlbertForSequenceClassification",
        config={
            "id2label": {i: f"class {i}" for i in range(11)},
            "problem_type": "multi_label_classification",
        },
    )
    classifier = load(folder)
    assert classifier.labels == [f"class {i}" for i in range(11)]
    assert classifier.multi_label
    assert classifier.dropout == 0.4
    assert classifier.backbone.dropout == 0.2
    assert classifier.backbone.attention_dropout == 0.3
    assert load(folder, "AlbertBackbone").embedding_projection is True
    # Without a rate of its own, the head has the encoder's.
    change_json(folder / "config.json", classifier_dropout_prob=None)
    assert load(folder).dropout == 0.2


@pytest.mark.once
def test_labels_that_say_nothing_are_none(save_theirs):
    _, folder = save_theirs("AlbertForTokenClassification")
    assert load(folder).labels is None
    assert load(folder).num_classes == 2


@pytest.mark.once
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, save_theirs):
    theirs, folder = save_theirs("AlbertForMaskedLM")
    theirs.to(dtype).save_pretrained(folder)
    expected = theirs.albert.embeddings.word_embeddings.weight.detach().float()
    embedding = load(folder).backbone.token_embedding.embeddings
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(embedding), expected.numpy()
    )


def same_weights(a, b, without="no path"):
    for x, y in zip(a.weights, b.weights, strict=True):
        if without not in x.path:
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(x), keras.ops.convert_to_numpy(y)
            )


@pytest.mark.once
def test_shards_pickles_and_prefixes_are_one_model(save_theirs, tmp_path):
    theirs, folder = save_theirs("AlbertForPreTraining", 3)
    expected = load(folder)
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="5KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    same_weights(load(tmp_path / "shards"), expected)

    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text((folder / "config.json").read_text())
    # Names of long ago, tied copies and buffers among them.
    state = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma"): value
        for key, value in theirs.state_dict().items()
    }
    state["albert.embeddings.position_ids"] = torch.arange(20)[None]
    torch.save(state, pickled / "pytorch_model.bin")
    same_weights(load(pickled), expected)

    bare = tmp_path / "bare"
    theirs.albert.save_pretrained(bare)
    assert not any(key.startswith("albert.") for key in tensors_of(bare))
    same_weights(load(bare, "AlbertBackbone"), expected.backbone)
    same_weights(load(folder, "AlbertBackbone"), expected.backbone)


@pytest.mark.once
def test_a_missing_pooler_is_fresh_and_not_written_back(save_theirs, tmp_path):
    _, folder = save_theirs("AlbertForMaskedLM")
    with pytest.warns(UserWarning, match="pooled_dense/kernel"):
        backbone = ka.AlbertBackbone.from_preset(folder)
    with pytest.warns(UserWarning, match="logits/kernel.*|pooled_dense/kernel"):
        ka.AlbertTextClassifier.from_preset(folder, num_classes=2)
    backbone.save_to_preset(tmp_path / "preset")
    for number, model in enumerate(
        (backbone, ka.AlbertBackbone.from_preset(tmp_path / "preset"))
    ):
        target = tmp_path / str(number)
        target.mkdir()
        huggingface.write(model, str(target))
        assert not any("pooler" in key for key in tensors_of(target))
    # Once it is trained, it is.
    backbone.pooled_dense.kernel.assign(backbone.pooled_dense.kernel + 1.0)
    target = tmp_path / "trained"
    target.mkdir()
    huggingface.write(backbone, str(target))
    assert "pooler.weight" in tensors_of(target)


@pytest.mark.once
def test_a_head_of_another_task_or_size_is_fresh(save_theirs):
    _, folder = save_theirs("AlbertForSequenceClassification")
    with pytest.warns(UserWarning, match="random weights.*logits/kernel"):
        ka.AlbertTokenClassifier.from_preset(folder, num_classes=2)
    with pytest.warns(UserWarning, match="2 outputs, this one 5"):
        ka.AlbertTextClassifier.from_preset(folder, num_classes=5)


@pytest.mark.once
def test_masked_lm_takes_its_head_from_a_pretrainer(save_theirs, tmp_path):
    _, folder = save_theirs("AlbertForPreTraining")
    pretrainer = load(folder)
    pretrainer.save_to_preset(tmp_path / "preset")
    for source in (folder, tmp_path / "preset"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            masked_lm = ka.AlbertMaskedLM.from_preset(source)
        same_weights(masked_lm.masked_lm_head, pretrainer.masked_lm_head)
    masked_lm.save_to_preset(tmp_path / "masked")
    with pytest.warns(UserWarning, match="sop_logits/kernel"):
        again = ka.AlbertPretrainer.from_preset(tmp_path / "masked")
    same_weights(again.masked_lm_head, pretrainer.masked_lm_head)


# === Bad input ===


def refused(folder, *words, error=ValueError):
    with pytest.raises(error) as caught:
        load(folder)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    return message


@pytest.fixture
def folder(save_theirs):
    return save_theirs("AlbertForMaskedLM", 1)[1]


def rewrite(folder, change):
    tensors = tensors_of(folder)
    change(tensors)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")


@pytest.mark.once
def test_truncated_weights_are_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    refused(folder, "model.safetensors", "predictions", "Download it again")


@pytest.mark.once
def test_a_header_that_claims_too_much_is_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes((10**10).to_bytes(8, "little") + path.read_bytes()[8:])
    refused(folder, "model.safetensors", "10000000000 bytes")


KEY = "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.bias"


@pytest.mark.once
@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: t.update({KEY: torch.zeros(5)}), (KEY, "(5,)")),
        (lambda t: t.update({KEY: t[KEY] * float("nan")}), (KEY, "NaN")),
        (lambda t: t.pop(KEY), (KEY.removeprefix("albert."), "lacks")),
        (lambda t: t.update(extra=torch.zeros(2)), ("'extra'",)),
        (lambda t: t.update({KEY: t[KEY].int()}), (KEY, "int32")),
        (lambda t: t.update({KEY: t[KEY].to(torch.complex64)}), (KEY,)),
        (lambda t: t.update({KEY: t[KEY].to(torch.float8_e4m3fn)}), (KEY,)),
        (
            lambda t: t.update({KEY.removeprefix("albert."): t[KEY] + 1}),
            (KEY, "once"),
        ),
        (
            lambda t: t.update(
                {
                    "predictions.decoder.weight": t[
                        "albert.embeddings.word_embeddings.weight"
                    ]
                    + 1
                }
            ),
            ("predictions.decoder.weight", "Untied"),
        ),
        (lambda t: t.pop("predictions.bias"), ("predictions.bias", "lacks")),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, words, folder):
    rewrite(folder, change)
    refused(
        folder, "Nothing was loaded" if words[-1] != "Untied" else "", *words
    )


@pytest.mark.once
@pytest.mark.parametrize(
    "changes, words",
    [
        ({"model_type": "bert"}, ("model_type", "bert")),
        ({"hidden_act": "quick_gelu"}, ("hidden_act", "quick_gelu")),
        ({"hidden_size": "16"}, ("hidden_size",)),
        ({"num_hidden_layers": 0}, ("num_hidden_layers",)),
        ({"num_hidden_layers": 10**9}, ("at most 1024", "config.json")),
        ({"num_hidden_groups": 10**9}, ("num_groups", "config.json")),
        ({"inner_group_num": 10**9}, ("at most 1024", "config.json")),
        ({"hidden_dropout_prob": 1.0}, ("below 1", "config.json")),
        ({"hidden_size": 10**12}, ("albert.", "shape")),
        ({"inner_group_num": 7}, ("albert_layers.2", "lacks")),
        ({"hidden_dropout_prob": -1}, ("hidden_dropout_prob",)),
        ({"position_embedding_type": "relative_key"}, ("relative_key",)),
        (
            {"num_hidden_layers": 18, "num_hidden_groups": 14},
            ("18 layers in 14 groups",),
        ),
    ],
)
def test_configurations_that_do_not_fit_are_refused(changes, words, folder):
    change_json(folder / "config.json", **changes)
    refused(folder, *words)


@pytest.mark.once
def test_labels_that_do_not_count_up_are_refused(save_theirs):
    _, folder = save_theirs("AlbertForSequenceClassification")
    change_json(folder / "config.json", id2label={"0": "a", "5": "b"})
    refused(folder, "id2label", "config.json")
    change_json(folder / "config.json", id2label={"0": "a", "1": "a"})
    refused(folder, "id2label", "'a' more than once", "config.json")
    change_json(folder / "config.json", id2label={"0": "a"})
    refused(folder, "classifier.", "shape")


@pytest.mark.once
def test_shards_that_do_not_fit_are_refused(save_theirs, tmp_path):
    theirs, _ = save_theirs("AlbertForMaskedLM")
    folder = tmp_path / "shards"
    theirs.save_pretrained(folder, max_shard_size="5KB")
    index = folder / "model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    key, shard = next(iter(weight_map.items()))
    for name in ("../theirs/model.safetensors", "/etc/passwd", "..", ""):
        change_json(index, weight_map={**weight_map, key: name})
        refused(folder, index.name, repr(name), "must lie in its folder")
    change_json(index, weight_map={**weight_map, "extra": shard})
    refused(folder, index.name, "extra")
    change_json(index, weight_map=weight_map)
    (folder / shard).unlink()
    refused(folder, index.name, shard, "lacks")


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.once
def test_a_pickle_is_not_executed(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    victim = tmp_path / "victim"
    torch.save({"a": Evil(str(victim))}, folder / "pytorch_model.bin")
    message = refused(folder, "pytorch_model.bin", "Nothing was executed")
    assert "weights_only" not in message  # torch advises to execute it.
    assert not victim.exists()
    torch.save({3: torch.zeros(1)}, folder / "pytorch_model.bin")
    refused(folder, "dictionary of weights")
    sparse = {KEY: torch.zeros(2, 2).to_sparse()}
    torch.save(sparse, folder / "pytorch_model.bin")
    refused(folder, KEY, "sparse")
    torch.save([torch.zeros(1)], folder / "pytorch_model.bin")
    refused(folder, "dictionary of weights")


@pytest.mark.once
def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "model.safetensors")
    (folder / "tf_model.h5").write_bytes(b"")
    refused(folder, "tf_model.h5")


@pytest.mark.once
def test_a_damaged_configuration_is_refused(folder):
    for text in ("{", "[1]", '{"model_type": "albert"'):
        (folder / "config.json").write_text(text)
        refused(folder, "config.json")


@pytest.mark.once
def test_what_has_no_counterpart_is_not_written(tmp_path):
    backbone = ka.AlbertBackbone(
        40, 18, 1, 8, 8, 8, num_groups=14, max_sequence_length=20
    )
    with pytest.raises(ValueError, match="18 layers in 14 groups"):
        huggingface.write(backbone, str(tmp_path))
    backbone = ka.AlbertBackbone(40, 1, 1, 8, 16, 8, max_sequence_length=20)
    classifier = ka.AlbertTextClassifier(backbone, 2, activation="softmax")
    with pytest.raises(ValueError, match="logits"):
        huggingface.write(classifier, str(tmp_path))
    backbone.enable_lora(2)
    with pytest.raises(ValueError, match="lora"):
        huggingface.write(backbone, str(tmp_path))


@pytest.mark.once
def test_names_of_the_hub_without_a_network(monkeypatch):
    with pytest.raises(ValueError, match="hf://owner/name"):
        ka.AlbertBackbone.from_preset("hf://albert")
    import huggingface_hub

    def download(repo_id, allow_patterns, **kwargs):
        assert repo_id == "albert/albert-base-v2"
        raise OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(OSError, match="no route to host") as caught:
        ka.AlbertBackbone.from_preset("hf://albert/albert-base-v2")
    assert "\n" not in str(caught.value)


@pytest.mark.once
def test_names_of_the_hub_are_downloaded_folders(folder, monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda repo_id, **_: str(folder)
    )
    expected = load(folder)
    same_weights(load("hf://a/theirs"), expected, without="pooled_dense")
    # Presets of ours live there, too.
    expected.save_to_preset(tmp_path / "ours")
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda repo_id, **_: str(tmp_path / "ours"),
    )
    same_weights(load("hf://a/ours"), expected)
