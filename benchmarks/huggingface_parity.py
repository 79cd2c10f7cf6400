"""Hugging Face's ALBERT and this package's, the same weights: the same numbers?

    python benchmarks/huggingface_parity.py [--configurations 40]
        [--backends tensorflow jax torch]

Draws random configurations (groups, inner layers, sizes, activations), and for
each and each architecture of `transformers` a model with random weights. Its
folder is loaded here, both models run on the same random ids, segments and
masks, and the folder is written back. Printed are, an architecture a row, the
largest |Δ| of each output in float32 on each backend, and how many folders
came back bit for bit. The exit code is 1 if anything is above 2e-5, or did not
come back. A minute a backend on two cores.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

import numpy as np

TOLERANCE = 2e-5  # float32, summed up in another order
# Theirs, ours, what theirs is made with.
ARCHITECTURES = {
    "AlbertModel": "AlbertBackbone",
    "AlbertForPreTraining": "AlbertPretrainer",
    "AlbertForMaskedLM": "AlbertMaskedLM",
    "AlbertForSequenceClassification": "AlbertTextClassifier",
    "AlbertForTokenClassification": "AlbertTokenClassifier",
    "AlbertForQuestionAnswering": "AlbertQuestionAnswerer",
    "AlbertForMultipleChoice": "AlbertMultipleChoice",
}
WITHOUT_POOLER = "AlbertModel, no pooler"
ACTIVATIONS = ("gelu_new", "gelu", "relu", "silu")
# Their names of outputs: ours. Outputs of one tensor are `logits`.
OUTPUTS = {
    "last_hidden_state": "sequence_output",
    "pooler_output": "pooled_output",
    "prediction_logits": "mlm",
    "sop_logits": "sop",
    "start_logits": "start_logits",
    "end_logits": "end_logits",
    "logits": "logits",
}
LENGTH = 14  # tokens
ROWS = 4


# === Random models and inputs ===


def random_config(seed, **overrides):
    """A tiny configuration of `transformers`."""
    import transformers

    draw = random.Random(seed)
    heads = draw.choice([1, 2, 4])
    embedding = draw.choice([8, 16])
    hidden = draw.choice([embedding, 8 * heads])
    groups = draw.randint(1, 3)
    config = {
        "vocab_size": draw.randint(40, 60),
        "embedding_size": embedding,
        "hidden_size": hidden,
        "num_attention_heads": heads if hidden % heads == 0 else 1,
        "num_hidden_layers": draw.randint(groups, 3),
        "num_hidden_groups": groups,
        "inner_group_num": draw.randint(1, 2),
        "intermediate_size": draw.choice([12, 24]),
        "hidden_act": ACTIVATIONS[seed % len(ACTIVATIONS)],
        "max_position_embeddings": draw.randint(LENGTH, 20),
        "type_vocab_size": draw.randint(2, 3),
        "layer_norm_eps": draw.choice([1e-12, 1e-5]),
        "hidden_dropout_prob": 0.2,
        "attention_probs_dropout_prob": 0.3,
        "classifier_dropout_prob": 0.4,
    }
    return transformers.AlbertConfig(**{**config, **overrides})


def make_theirs(architecture, config, seed=0, **kwargs):
    """A model of `transformers`, all of its weights random."""
    import torch
    import transformers

    model = getattr(transformers, architecture)(config, **kwargs).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = torch.randn(parameter.shape, generator=generator) * 0.3
            if name.endswith("LayerNorm.weight") or "layer_norm.weight" in name:
                value += 1.0
            parameter.copy_(value)
    return model


def random_inputs(config, architecture, seed=0):
    """Ids, segments and masks, any of the masks' positions off."""
    generator = np.random.default_rng(seed)
    shape = (ROWS, LENGTH)
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


# === Outputs ===


def their_outputs(model, inputs):
    """The outputs of a model of `transformers`, by our names."""
    import torch

    with torch.no_grad():
        outputs = model(
            input_ids=torch.tensor(inputs["token_ids"]).long(),
            token_type_ids=torch.tensor(inputs["segment_ids"]).long(),
            attention_mask=torch.tensor(inputs["padding_mask"]).long(),
        )
    return {OUTPUTS[name]: x.numpy() for name, x in outputs.items()}


def our_outputs(model, inputs):
    """The outputs of a model of this package, by their names."""
    import keras

    if "mask_positions" in model.input:
        positions = np.tile(np.arange(LENGTH, dtype="int32"), (ROWS, 1))
        inputs = {**inputs, "mask_positions": positions}
    outputs = model(inputs, training=False)
    if not isinstance(outputs, dict):
        outputs = {"logits": outputs}
    return {k: keras.ops.convert_to_numpy(x) for k, x in outputs.items()}


def largest_differences(received, expected):
    """The largest |Δ| of each output of theirs; infinite if it is missing."""
    differences = {}
    for name, value in expected.items():
        differences[name] = float("inf")
        if name in received and received[name].shape == value.shape:
            difference = np.abs(received[name] - value).max()
            if np.isfinite(difference):
                differences[name] = float(difference)
    return differences


# === There and back ===


def came_back(model, before, after, architecture, **kwargs):
    """Whether a model is written back with the same keys and the same bits.

    `transformers` must open what is written without a missing or unexpected
    key, too.
    """
    import safetensors.numpy
    import transformers

    from keras_albert.checkpoints import huggingface

    huggingface.write(model, str(after))
    old, new = (
        safetensors.numpy.load_file(pathlib.Path(folder, "model.safetensors"))
        for folder in (before, after)
    )
    if old.keys() != new.keys() or any(
        old[key].tobytes() != new[key].tobytes() for key in old
    ):
        return False
    _, info = getattr(transformers, architecture).from_pretrained(
        after, output_loading_info=True, **kwargs
    )
    return not any(info.values())


def measure_one(row, seed):
    """Compares one random model; differences by output, and the way back."""
    from keras_albert.tasks.loading import load_preset

    architecture = row.split(",")[0]
    kwargs = {"add_pooling_layer": False} if row == WITHOUT_POOLER else {}
    labels = {"id2label": {0: "a", 1: "b", 2: "c"}}
    config = random_config(
        seed, **(labels if "Classification" in architecture else {})
    )
    theirs = make_theirs(architecture, config, seed, **kwargs)
    inputs = random_inputs(config, architecture, seed)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # A pooler that the folder lacks.
        warnings.simplefilter("ignore", UserWarning)
        before, after = (pathlib.Path(folder, name) for name in "ab")
        after.mkdir()
        theirs.save_pretrained(before)
        ours = load_preset(before)
        if type(ours).__name__ != ARCHITECTURES[architecture]:
            raise TypeError(f"{architecture} loaded as {type(ours).__name__}")
        differences = largest_differences(
            our_outputs(ours, inputs), their_outputs(theirs, inputs)
        )
        return differences, came_back(
            ours, before, after, architecture, **kwargs
        )


def measure(configurations):
    """Compares on the backend of this process, and prints JSON."""
    import keras
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    results = {}
    for row in (*ARCHITECTURES, WITHOUT_POOLER):
        differences, back = {}, 0
        for seed in range(configurations):
            found, is_back = measure_one(row, seed)
            back += is_back
            for name, value in found.items():
                differences[name] = max(value, differences.get(name, 0.0))
            keras.backend.clear_session()
        results[row] = {"differences": differences, "back": back}
        print(f"{row}: {results[row]}", file=sys.stderr, flush=True)
    print(json.dumps(results))


# === Report ===


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--configurations", type=int, default=40, help="[40]")
    add("--backends", nargs="+", default=["tensorflow", "jax", "torch"])
    add("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        return measure(args.configurations)
    results = {}
    for backend in args.backends:
        finished = subprocess.run(
            [
                *(sys.executable, __file__, "--measure"),
                *("--configurations", str(args.configurations)),
            ],
            env={**os.environ, "KERAS_BACKEND": backend},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        results[backend] = json.loads(finished.stdout.splitlines()[-1])
    return report(results, args.configurations)


def report(results, configurations):
    backends = list(results)
    print("| architecture | output | " + " | ".join(backends) + " | back |")
    print("|---|---|" + "---|" * len(backends) + "---|")
    passed = True
    for row in next(iter(results.values())):
        rows = [results[backend][row] for backend in backends]
        back = min(r["back"] for r in rows)
        passed &= back == configurations
        for output in rows[0]["differences"]:
            values = [r["differences"][output] for r in rows]
            passed &= max(values) <= TOLERANCE
            cells = " | ".join(f"{value:.1e}" for value in values)
            print(
                f"| {row} | {output} | {cells} | {back} of {configurations} |"
            )
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
