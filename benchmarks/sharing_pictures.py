"""Draws what happens from depth to depth of a shared layer.

    python benchmarks/sharing_pictures.py [--preset albert_tiny_en]
        [--texts examples/data/intents_test.csv] [-o docs/pictures]

Two pictures for docs/sharing.md. `depths.png`: how far a representation moves
at each depth, as L2 distance and as angle between input and output (Figure 1
of the ALBERT paper), a mean over all tokens of the texts (column `text`): of
the preset, of the same encoder with random weights, and of one with weights of
its own at each depth. The dotted line goes on to apply the preset's layer
beyond the depth that it was trained for. `attention.png`: where each head of
each depth looks in one sentence. Prints the figures that are drawn.
"""

import argparse
import itertools
import os

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_albert as ka
from keras_albert.data.readers import read_rows
from keras_albert.models.backbone import group_of_layer

SENTENCE = "Wake me at six, and tell me if it will rain in Oslo."
BEYOND = 3  # Times the depth of the preset.
GREY = "#999999"
COLORS = ("#4878a8", "#c8553d", "#6a9a58")


def with_layers(backbone, num_layers, num_groups=None, random=False):
    """The same encoder with another number of applications, or of groups."""
    config = backbone.get_config()
    for key in ("name", "dtype"):
        config.pop(key)
    keras.utils.set_random_seed(0)
    other = ka.AlbertBackbone.from_config(
        {
            **config,
            "num_layers": num_layers,
            "num_groups": num_groups or backbone.num_groups,
        }
    )
    if not random:
        other.set_weights(backbone.get_weights())
    return other


def movement(backbone, features):
    """How far tokens move at each depth.

    Args:
        backbone: an `AlbertBackbone`.
        features: dictionary of `(rows, sequence)` int arrays, its inputs.

    Returns:
        `(depths,)` L2 distances between input and output, and `(depths,)`
        angles between them in degrees; means over all tokens.
    """
    model = keras.Model(backbone.input, backbone.hidden_states)
    states = model.predict(features, verbose=0)
    mask = np.asarray(features["padding_mask"]).astype(bool)
    states = [np.asarray(state, "float64")[mask] for state in states]
    distances, angles = [], []
    for before, after in itertools.pairwise(states):
        norms = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
        cosine = (before * after).sum(axis=-1) / norms
        distances.append(np.linalg.norm(after - before, axis=-1).mean())
        angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean())
    return np.array(distances), np.array(angles)


def pack(preset, texts):
    preprocessor = ka.AlbertTextClassifierPreprocessor.from_preset(
        preset, sequence_length=48
    )
    features = preprocessor(texts)
    return preprocessor, {k: np.asarray(v) for k, v in features.items()}


def style(panel):
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)


def draw_depths(path, backbone, features):
    layers = backbone.num_layers
    lines = {
        "shared, trained": (backbone, COLORS[0], "o-"),
        "shared, random weights": (
            with_layers(backbone, layers, random=True),
            COLORS[1],
            "s--",
        ),
        "not shared, random weights": (
            with_layers(backbone, layers, layers, random=True),
            COLORS[2],
            "^--",
        ),
        "the trained layer, applied further": (
            with_layers(backbone, BEYOND * layers),
            GREY,
            ".:",
        ),
    }
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    panels = figure.subplots(1, 2)
    for name, (model, color, mark) in lines.items():
        figures = movement(model, features)
        depths = np.arange(1, len(figures[0]) + 1)
        print(name)
        for panel, values, digits in zip(panels, figures, (2, 1), strict=True):
            print("  ", *(f"{value:.{digits}f}" for value in values))
            order = 1 if color == GREY else 2
            panel.plot(
                depths, values, mark, color=color, label=name, zorder=order
            )
    for panel, what in zip(
        panels, ("L2 distance", "angle, degrees"), strict=True
    ):
        panel.set_xlabel("depth", fontsize=9)
        panel.set_title(f"{what}, of input and output", fontsize=9)
        panel.set_xticks(range(1, BEYOND * layers + 1))
        panel.set_ylim(bottom=0)
        style(panel)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=2, fontsize=8
    )
    figure.savefig(path, dpi=100, metadata={"Software": None})


def draw_attention(path, backbone, preset):
    preprocessor, features = pack(preset, [SENTENCE])
    length = int(features["padding_mask"].sum())
    features = {name: x[:, :length] for name, x in features.items()}
    model = backbone.attention_model()
    depths = [np.asarray(x)[0] for x in model.predict(features, verbose=0)]
    # With inner repetitions, several a depth.
    assert len(depths) == backbone.num_layers * backbone.num_inner_repetitions
    tokenizer = preprocessor.tokenizer
    ids = features["token_ids"][0].tolist()
    names = [tokenizer.id_to_token(i).replace("▁", "") or "▁" for i in ids]
    rows, columns = len(depths), backbone.num_heads
    figure = Figure(
        figsize=(0.8 + 1.7 * columns, 0.8 + 1.7 * rows), layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False)
    for row, heads in enumerate(depths):
        for column, probabilities in enumerate(heads):
            panel = panels[row, column]
            panel.imshow(probabilities, cmap="Blues", vmin=0, vmax=1)
            panel.set_xticks([])
            panel.set_yticks([])
            if column == 0:
                panel.set_yticks(range(length), names, fontsize=6)
                panel.set_ylabel(f"depth {row + 1}", fontsize=9)
            if row == 0:
                panel.set_title(f"head {column + 1}", fontsize=9)
            if row == rows - 1:
                panel.set_xticks(range(length), names, fontsize=6, rotation=90)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", default="albert_tiny_en")
    parser.add_argument("--texts", default="examples/data/intents_test.csv")
    parser.add_argument("-o", "--output", default="docs/pictures")
    args = parser.parse_args(argv)
    os.makedirs(args.output, exist_ok=True)
    backbone = ka.AlbertBackbone.from_preset(args.preset)
    # In float32, whatever it was trained in.
    plain = with_layers(backbone, backbone.num_layers)
    _, features = pack(args.preset, read_rows(args.texts, "text").texts)
    draw_depths(os.path.join(args.output, "depths.png"), plain, features)
    draw_attention(
        os.path.join(args.output, "attention.png"), plain, args.preset
    )
    groups = {
        group_of_layer(i, plain.num_layers, plain.num_groups)
        for i in range(plain.num_layers)
    }
    print(f"{plain.num_layers} depths, {len(groups)} groups of parameters")


if __name__ == "__main__":
    main()
