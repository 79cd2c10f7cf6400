r"""Accuracy by the automatic budget of tokens, beside batches of 32 texts.

    KERAS_BACKEND=tensorflow python benchmarks/token_budget.py
        [--seeds 20] [--epochs 15] [--learning-rate 1e-3] [--json FILE]

The bundled intents, and models from random weights. Each seed draws weights,
dropout and order, and trains the same weights both ways by the recipe of
`keras-albert train`; what counts is the accuracy on the test texts after the
last epoch. Printed are means ± standard deviations over seeds, and the mean
difference of the pairs ± its standard error: a difference of less than two of
these is none that can be told from chance.
"""

import argparse
import json
import pathlib
import statistics

import keras
import numpy as np

from keras_albert.models.sizes import DEFAULT_SIZES
from keras_albert.optimizers.schedules import WarmupLinearDecay
from keras_albert.presets.registry import local_preset_folder
from keras_albert.training.batches import LengthBatches, tokenize_texts
from keras_albert.training.run import (
    GLOBAL_CLIPNORM,
    NOT_DECAYED,
    WEIGHT_DECAY,
)
from keras_albert.training.text_classification import (
    TextFiles,
    make_classifier,
)

DATA = pathlib.Path(__file__).parent.parent / "examples" / "data"
PRESET = "albert_tiny_en"
BATCH_SIZE = 32
BUDGETS = {"32 texts": None, "automatic": "auto"}


def train(task, batches, epochs, learning_rate, seed):
    """Trains by the recipe, without its files."""
    steps = epochs * len(batches)
    optimizer = keras.optimizers.AdamW(
        WarmupLinearDecay(learning_rate, round(0.1 * steps), steps),
        weight_decay=WEIGHT_DECAY,
        global_clipnorm=GLOBAL_CLIPNORM,
    )
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    is_jax = keras.backend.backend() == "jax"
    task.compile(optimizer=optimizer, jit_compile=is_jax)
    keras.utils.set_random_seed(seed)
    task.seed_dropout(seed)
    for epoch in range(epochs):
        task.fit(batches.dataset(epoch), shuffle=False, verbose=0)


def report(accuracies, steps):
    """Prints a row a budget, and returns the figures."""
    first, *_ = accuracies.values()
    figures = {}
    print("| batches | steps an epoch | accuracy | difference |")
    print("|---|---|---|---|")
    for name, values in accuracies.items():
        pairs = np.subtract(values, first)
        error = pairs.std(ddof=1) / len(pairs) ** 0.5
        figures[name] = {
            "steps": steps[name],
            "accuracies": values,
            "difference": float(pairs.mean()),
            "standard_error": float(error),
        }
        print(
            f"| {name} | {steps[name]} | {statistics.mean(values):.4f} ± "
            f"{statistics.stdev(values):.4f} | {pairs.mean():+.4f} ± "
            f"{error:.4f} |"
        )
    return figures


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--seeds", type=int, default=20, help="how many, at least 2 [20]")
    add("--epochs", type=int, default=15, help="[15]")
    add("--learning-rate", type=float, default=1e-3, help="[1e-3]")
    for name, size in DEFAULT_SIZES.items():
        option = "--" + name.replace("_", "-")
        add(option, type=int, default=size, help=f"[{size}]")
    add("--json", type=pathlib.Path, metavar="FILE", help="write all figures")
    args = parser.parse_args(argv)

    files = TextFiles("text", "label")
    learn, test = (
        files.read(DATA / f"intents_{part}.csv") for part in ("train", "test")
    )
    labels = files.labels(learn)
    folder = pathlib.Path(local_preset_folder(PRESET))
    task = make_classifier(
        labels=labels,
        vocabulary=str(folder / "assets" / "tokenizer" / "vocabulary.spm"),
        sizes={name: getattr(args, name) for name in DEFAULT_SIZES},
    )
    texts = tokenize_texts(task.preprocessor, learn.texts)
    targets = files.targets(learn, labels)
    expected = files.targets(test, labels)
    accuracies = {name: [] for name in BUDGETS}
    steps = {}
    for seed in range(args.seeds):
        draw_weights(task, seed)
        weights = task.get_weights()
        for name, budget in BUDGETS.items():
            batches = LengthBatches(texts, targets, BATCH_SIZE, seed, budget)
            task.set_weights(weights)
            train(task, batches, args.epochs, args.learning_rate, seed)
            classes = task.predict_by_length(test.texts).argmax(-1)
            accuracies[name].append(float((classes == expected).mean()))
            steps[name] = len(batches)
        print(
            f"seed {seed}: "
            + ", ".join(f"{n} {v[-1]:.4f}" for n, v in accuracies.items()),
            flush=True,
        )
    figures = report(accuracies, steps)
    if args.json:
        figures = {"backend": keras.backend.backend(), **figures}
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


def draw_weights(task, seed):
    """Gives a model the weights that its layers' initializers draw."""
    generator = np.random.default_rng(seed)
    for variable in task.trainable_variables:
        if variable.name in ("kernel", "embeddings"):
            # As the original's initializer: nothing beyond two deviations.
            value = generator.normal(size=variable.shape)
            while (far := np.abs(value) > 2).any():
                value[far] = generator.normal(size=far.sum())
            variable.assign(0.02 * value)


if __name__ == "__main__":
    main()
