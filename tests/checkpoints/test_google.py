"""A checkpoint as google-research/albert's code wrote it, by its v1 saver."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka
from huggingface_parity import random_inputs
from keras_albert.tasks.loading import load_preset

from .conftest import change_json, our_outputs

CONFIG = {
    "attention_probs_dropout_prob": 0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0,
    "embedding_size": 8,
    "hidden_size": 16,
    "initializer_range": 0.02,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    "num_attention_heads": 2,
    "num_hidden_layers": 4,
    "num_hidden_groups": 2,
    "net_structure_type": 0,
    "gap_size": 0,
    "num_memory_blocks": 0,
    "inner_group_num": 2,
    "down_scale_factor": 1,
    "type_vocab_size": 2,
    "vocab_size": 50,
}
V, P, S, E, H, F = 50, 20, 2, 8, 16, 24


def original_variables(E=E):  # noqa: N803
    """Names and shapes, written down from the original's source."""
    shapes = {
        "bert/embeddings/word_embeddings": (V, E),
        "bert/embeddings/token_type_embeddings": (S, E),
        "bert/embeddings/position_embeddings": (P, E),
        "bert/embeddings/LayerNorm/beta": (E,),
        "bert/embeddings/LayerNorm/gamma": (E,),
        "bert/encoder/embedding_hidden_mapping_in/kernel": (E, H),
        "bert/encoder/embedding_hidden_mapping_in/bias": (H,),
        "bert/pooler/dense/kernel": (H, H),
        "bert/pooler/dense/bias": (H,),
        "cls/predictions/transform/dense/kernel": (H, E),
        "cls/predictions/transform/dense/bias": (E,),
        "cls/predictions/transform/LayerNorm/beta": (E,),
        "cls/predictions/transform/LayerNorm/gamma": (E,),
        "cls/predictions/output_bias": (V,),
        "cls/seq_relationship/output_weights": (2, H),
        "cls/seq_relationship/output_bias": (2,),
    }
    for group in range(2):
        for inner in range(2):
            scope = (
                f"bert/encoder/transformer/group_{group}/inner_group_{inner}"
            )
            for name in ("query", "key", "value"):
                shapes[f"{scope}/attention_1/self/{name}/kernel"] = (H, H)
                shapes[f"{scope}/attention_1/self/{name}/bias"] = (H,)
            for name, shape in (
                ("attention_1/output/dense", (H, H)),
                ("ffn_1/intermediate/dense", (H, F)),
                ("ffn_1/intermediate/output/dense", (F, H)),
            ):
                shapes[f"{scope}/{name}/kernel"] = shape
                shapes[f"{scope}/{name}/bias"] = shape[1:]
            for name in ("LayerNorm", "LayerNorm_1"):
                shapes[f"{scope}/{name}/beta"] = (H,)
                shapes[f"{scope}/{name}/gamma"] = (H,)
    return shapes


def write_checkpoint(
    folder, leave_out=(), step=125000, embedding_size=E, **extra
):
    generator = np.random.default_rng(0)
    values = {
        name: generator.normal(scale=0.3, size=shape).astype("float32")
        for name, shape in original_variables(embedding_size).items()
        if not name.startswith(tuple(leave_out) or ("-",))
    }
    values.update(extra)
    slots = {
        f"{name}/{slot}": np.zeros_like(value)
        for name, value in values.items()
        for slot in ("adam_m", "adam_v")
    }
    folder.mkdir(exist_ok=True)
    config = {**CONFIG, "embedding_size": embedding_size}
    (folder / "albert_config.json").write_text(json.dumps(config))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in {**values, **slots}.items():
            tf.compat.v1.get_variable(name, initializer=value)
        tf.compat.v1.get_variable("global_step", initializer=np.int64(step))
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver()
        saver.save(session, str(folder / "model.ckpt"), global_step=step)
    return values


@pytest.fixture(scope="module")
def written_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "original"
    return write_checkpoint(folder), folder


@pytest.fixture
def original(written_once, tmp_path):
    """The values of a checkpoint, and a folder with it."""
    values, folder = written_once
    return values, pathlib.Path(shutil.copytree(folder, tmp_path / "original"))


# === The original's forward pass, in NumPy ===


def layer_norm(x, values, scope):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    x = (x - mean) / np.sqrt(variance + 1e-12)
    return x * values[f"{scope}/gamma"] + values[f"{scope}/beta"]


def gelu(x):
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def reference(values, inputs):
    values = {name: value.astype("float64") for name, value in values.items()}

    def dense(x, scope):
        return x @ values[f"{scope}/kernel"] + values[f"{scope}/bias"]

    ids, mask = inputs["token_ids"], inputs["padding_mask"]
    length = ids.shape[1]
    table = values["bert/embeddings/word_embeddings"]
    x = table[ids]
    x = (
        x
        + values["bert/embeddings/token_type_embeddings"][inputs["segment_ids"]]
    )
    x = x + values["bert/embeddings/position_embeddings"][:length]
    x = layer_norm(x, values, "bert/embeddings/LayerNorm")
    if x.shape[-1] != H:
        x = dense(x, "bert/encoder/embedding_hidden_mapping_in")

    def heads(x):
        return x.reshape(*x.shape[:2], 2, H // 2).transpose(0, 2, 1, 3)

    for layer in range(4):
        for inner in range(2):
            scope = (
                f"bert/encoder/transformer/group_{layer // 2}"
                f"/inner_group_{inner}"
            )
            q, k, v = (
                heads(dense(x, f"{scope}/attention_1/self/{name}"))
                for name in ("query", "key", "value")
            )
            scores = q @ k.transpose(0, 1, 3, 2) / (H // 2) ** 0.5
            scores += (1.0 - mask[:, None, None, :]) * -10000.0
            context = (softmax(scores) @ v).transpose(0, 2, 1, 3)
            attention = dense(
                context.reshape(x.shape), f"{scope}/attention_1/output/dense"
            )
            x = layer_norm(x + attention, values, f"{scope}/LayerNorm")
            y = gelu(dense(x, f"{scope}/ffn_1/intermediate/dense"))
            y = dense(y, f"{scope}/ffn_1/intermediate/output/dense")
            x = layer_norm(x + y, values, f"{scope}/LayerNorm_1")
    pooled = np.tanh(dense(x[:, 0], "bert/pooler/dense"))
    y = gelu(dense(x, "cls/predictions/transform/dense"))
    y = layer_norm(y, values, "cls/predictions/transform/LayerNorm")
    mlm = y @ table.T + values["cls/predictions/output_bias"]
    sop = pooled @ values["cls/seq_relationship/output_weights"].T
    return mlm, sop + values["cls/seq_relationship/output_bias"]


class Sizes:
    vocab_size, type_vocab_size = V, S


def check_numbers(values, folder):
    pretrainer = load_preset(folder)
    assert type(pretrainer) is ka.AlbertPretrainer
    inputs = random_inputs(Sizes, "AlbertForPreTraining")
    for a, b in zip(
        our_outputs(pretrainer, inputs), reference(values, inputs), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=5e-5, rtol=0)


def test_the_same_numbers_as_the_original(original):
    check_numbers(*original)


@pytest.mark.once
def test_equal_sizes_have_no_projection(tmp_path):
    values = write_checkpoint(
        tmp_path / "original",
        leave_out=("bert/encoder/embedding_hidden",),
        embedding_size=H,
    )
    check_numbers(values, tmp_path / "original")


@pytest.mark.once
def test_slots_are_ignored_and_counted(original):
    from keras_albert.checkpoints import google

    values, folder = original
    checkpoint = google.read(str(folder))
    assert len(checkpoint.ignored) == 2 * len(values) + 1
    assert len(checkpoint.weights) == len(values)


@pytest.mark.once
def test_the_best_or_newest_step_is_read(original):
    from keras_albert.checkpoints import google

    _, folder = original
    (folder / "model.ckpt-9000.index").touch()
    assert google.checkpoint_prefix(folder).endswith("model.ckpt-125000")
    (folder / "model.ckpt-best.index").touch()
    assert google.checkpoint_prefix(folder).endswith("model.ckpt-best")


@pytest.mark.once
def test_a_fine_tuned_classifier(tmp_path):
    weights = np.ones((3, H), "float32")
    write_checkpoint(
        tmp_path / "original",
        leave_out=("cls/",),
        output_weights=weights,
        output_bias=np.arange(3, dtype="float32"),
    )
    classifier = load_preset(tmp_path / "original")
    assert type(classifier) is ka.AlbertTextClassifier
    assert classifier.num_classes == 3


@pytest.mark.once
def test_what_does_not_fit_is_refused(original):
    _, folder = original

    def refused(*words):
        with pytest.raises(ValueError) as caught:
            load_preset(folder)
        for word in words:
            assert word in str(caught.value)

    write_checkpoint(folder, extra=np.zeros(3, "float32"))
    refused("'extra'", "model.ckpt-125000")
    write_checkpoint(folder, leave_out=("bert/encoder/embedding_hidden",))
    refused("embedding_hidden_mapping_in/kernel", "lacks")
    config = folder / "albert_config.json"
    change_json(config, embedding_size=9)
    refused("(9,)", "bert/embeddings", "model.ckpt-125000")
    change_json(config, hidden_act="swish")
    refused("hidden_act", "swish")
    change_json(config, hidden_act="gelu", embedding_size=8)
    data = folder / "model.ckpt-125000.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:100])
    refused("model.ckpt-125000", "whole TensorFlow checkpoint")
    data.unlink()
    refused("model.ckpt-125000")
    (folder / "model.ckpt-125000.index").unlink()
    refused("model.ckpt-….index")


@pytest.mark.once
def test_the_vocabulary_beside_it(original, tokenizer):
    _, folder = original
    with pytest.raises(ValueError, match="holds none"):
        ka.AlbertTokenizer.from_preset(folder)
    (folder / "30k-clean.model").write_bytes(tokenizer.proto)
    loaded = ka.AlbertTokenizer.from_preset(folder)
    assert loaded(["Wake me."]) == tokenizer(["Wake me."])
    (folder / "30k-clean.model").unlink()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我", "al"]
    (folder / "vocab_chinese.txt").write_text("\n".join(vocabulary))
    loaded = ka.AlbertTokenizer.from_preset(folder)
    assert [list(ids) for ids in loaded(["我 AL"])] == [[5, 6]]
    (folder / "vocab_chinese.txt").write_text("[PAD]\n")
    with pytest.raises(ValueError, match="vocab_chinese.*lacks"):
        ka.AlbertTokenizer.from_preset(folder)
