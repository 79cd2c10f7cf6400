import json
import pathlib
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

ARCHITECTURES = {
    "AlbertModel": "AlbertBackbone",
    "AlbertForPreTraining": "AlbertPretrainer",
    "AlbertForMaskedLM": "AlbertMaskedLM",
    "AlbertForSequenceClassification": "AlbertTextClassifier",
    "AlbertForTokenClassification": "AlbertTokenClassifier",
    "AlbertForQuestionAnswering": "AlbertQuestionAnswerer",
    "AlbertForMultipleChoice": "AlbertMultipleChoice",
}
ACTIVATIONS = ("gelu_new", "gelu", "relu", "silu")
LENGTH = 14


def random_config(seed, **overrides):
    """A tiny configuration of `transformers`."""
    draw = random.Random(seed)
    heads = draw.choice([1, 2, 4])
    embedding = draw.choice([8, 16])
    groups = draw.randint(1, 3)
    config = {
        "vocab_size": draw.randint(40, 60),
        "embedding_size": embedding,
        "hidden_size": draw.choice([embedding, 8 * heads]),
        "num_attention_heads": 1,
        "num_hidden_layers": draw.randint(groups, 3),
        "num_hidden_groups": groups,
        "inner_group_num": draw.randint(1, 2),
        "intermediate_size": draw.choice([12, 24]),
        "hidden_act": ACTIVATIONS[seed % 4],
        "max_position_embeddings": draw.randint(LENGTH, 20),
        "type_vocab_size": draw.randint(2, 3),
        "layer_norm_eps": draw.choice([1e-12, 1e-5]),
        "hidden_dropout_prob": 0.2,
        "attention_probs_dropout_prob": 0.3,
        "classifier_dropout_prob": 0.4,
    }
    if config["hidden_size"] % heads == 0:
        config["num_attention_heads"] = heads
    return transformers.AlbertConfig(**{**config, **overrides})


def make_theirs(architecture, config, seed=0, **kwargs):
    """A model of `transformers`, all of its weights random."""
    model = getattr(transformers, architecture)(config, **kwargs).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = torch.randn(parameter.shape, generator=generator) * 0.3
            if name.endswith("LayerNorm.weight") or "layer_norm.weight" in name:
                value += 1.0
            parameter.copy_(value)
    return model


@pytest.fixture
def save_theirs(tmp_path):
    """Makes and saves a random model; gives it and its folder."""

    def save(architecture, seed=0, folder="theirs", config=None, **kwargs):
        model = make_theirs(
            architecture, random_config(seed, **(config or {})), seed, **kwargs
        )
        path = tmp_path / folder
        model.save_pretrained(path)
        return model, path

    return save


def random_inputs(config, architecture, seed=0):
    """Ids, segments and masks, any of the masks' positions off."""
    generator = np.random.default_rng(seed)
    shape = (4, LENGTH)
    mask = generator.random(shape) < 0.7
    mask[:, 0] = True
    inputs = {
        "token_ids": generator.integers(config.vocab_size, size=shape),
        "segment_ids": generator.integers(config.type_vocab_size, size=shape),
        "padding_mask": mask,
    }
    inputs = {name: x.astype("int32") for name, x in inputs.items()}
    if architecture == "AlbertForMultipleChoice":
        inputs = {k: x.reshape(2, 2, LENGTH) for k, x in inputs.items()}
    return inputs


def their_outputs(model, inputs):
    with torch.no_grad():
        outputs = model(
            input_ids=torch.tensor(inputs["token_ids"]).long(),
            token_type_ids=torch.tensor(inputs["segment_ids"]).long(),
            attention_mask=torch.tensor(inputs["padding_mask"]).long(),
        )
    return [x.numpy() for x in outputs.values()]


def our_outputs(model, inputs):
    """In the order in which `transformers` gives them."""
    import keras

    if "mask_positions" in model.input:
        positions = np.tile(np.arange(LENGTH, dtype="int32"), (4, 1))
        inputs = {**inputs, "mask_positions": positions}
    outputs = model(inputs, training=False)
    if isinstance(outputs, dict):
        order = (
            "sequence_output",
            "pooled_output",
            "mlm",
            "sop",
            "start_logits",
            "end_logits",
        )
        outputs = [outputs[name] for name in order if name in outputs]
    else:
        outputs = [outputs]
    return [keras.ops.convert_to_numpy(x) for x in outputs]


def change_json(path, **changes):
    path = pathlib.Path(path)
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))
