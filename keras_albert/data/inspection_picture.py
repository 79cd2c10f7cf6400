"""The picture of an inspection: how long texts are, and what labels."""

import collections
import importlib.util
import itertools
import os

import numpy as np

from keras_albert.data.inspection import Inspection
from keras_albert.presets.saving import whole_file

_FORMATS = (".png", ".svg")
_COLORS = ("#4878a8", "#c8553d", "#6a9a58", "#8a6aa8", "#777777")
_MOST_LABELS = 24


def check_picture(path: str | os.PathLike) -> None:
    """Raises ValueError, OSError or ImportError where none can be drawn."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _FORMATS:
        raise ValueError(
            f"A picture must end in {' or '.join(_FORMATS)}. Received: "
            f"{os.fspath(path)!r}."
        )
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"The folder of the picture must be there. Received: "
            f"{os.fspath(path)!r}. Make {folder!r} first."
        )
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError(
            "Pictures need matplotlib, which is not installed: `pip install "
            "matplotlib`."
        )


def draw(path: str | os.PathLike, inspection: Inspection) -> None:
    """Draws the lengths of texts and the labels, a color a file.

    Args:
        path: the `.png` or `.svg` file to write, whole or not at all.
        inspection: what `inspect_files` returned.

    Raises:
        ValueError: if the file ends otherwise.
        OSError: if it cannot be written.
        ImportError: if matplotlib is not installed.
    """
    check_picture(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    files = inspection.report["files"]
    has_labels = inspection.labels[0] is not None
    figure = Figure(figsize=(9.5, 4.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2 if has_labels else 1, squeeze=False)[0]
    colors = list(itertools.islice(itertools.cycle(_COLORS), len(files)))
    _draw_lengths(panels[0], inspection, colors)
    if has_labels and "scores" in files[0]:
        _draw_scores(panels[1], inspection, colors)
    elif has_labels:
        _draw_labels(panels[1], files, colors)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    names = [os.path.basename(facts["path"]) for facts in files]
    handles = panels[0].get_legend_handles_labels()[0][: len(files)]
    figure.legend(
        handles, names, loc="outside upper center", ncols=4, frameon=False
    )
    suffix = os.path.splitext(path)[1].lower().removeprefix(".")
    with whole_file(path) as partial:
        figure.savefig(partial, format=suffix)


def _shares(values: list[np.ndarray], edges: np.ndarray) -> list[np.ndarray]:
    """The part of each array's values in each interval, in percent."""
    return [
        100 * np.histogram(part, edges)[0] / max(len(part), 1)
        for part in values
    ]


def _draw_histogram(panel, values, edges, colors) -> None:
    for share, color in zip(_shares(values, edges), colors, strict=True):
        panel.stairs(share, edges, color=color, linewidth=1.6, label="rows")
    panel.set_ylabel("% of the file's rows")
    panel.set_ylim(bottom=0)


def _draw_lengths(panel, inspection: Inspection, colors) -> None:
    longest = max(int(lengths.max()) for lengths in inspection.lengths)
    step = -(-longest // 40)
    edges = np.arange(0, longest + 2 * step, step)
    _draw_histogram(panel, inspection.lengths, edges, colors)
    limit = inspection.report["max_length"]
    if limit <= longest:
        panel.axvline(limit, color="black", linewidth=0.8, linestyle=":")
    cut = sum(facts["cut"] for facts in inspection.report["files"])
    panel.set_title(f"{cut:,} rows longer than {limit}", fontsize=10)
    panel.set_xlabel("tokens")


def _draw_scores(panel, inspection: Inspection, colors) -> None:
    scores = [
        np.array(labels, "float64") for labels in inspection.labels if labels
    ]
    both = np.concatenate(scores)
    edges = np.histogram_bin_edges(both, 30)
    _draw_histogram(panel, scores, edges, colors)
    panel.set_xlabel("score")


def _draw_labels(panel, files, colors) -> None:
    totals: collections.Counter = collections.Counter()
    for facts in files:
        totals.update(facts["labels"])
    shown = [label for label, _ in totals.most_common(_MOST_LABELS)]
    height = 0.8 / len(files)
    for number, (facts, color) in enumerate(zip(files, colors, strict=True)):
        places = np.arange(len(shown)) + height * number
        rows = [facts["labels"].get(label, 0) for label in shown]
        share = 100 * np.array(rows) / facts["rows"]
        panel.barh(places, share, height, align="edge", color=color)
    # No label is a formula.
    names = [label[:30].replace("$", r"\$") for label in shown]
    panel.set_yticks(np.arange(len(shown)) + 0.4, names, fontsize=8)
    panel.invert_yaxis()
    panel.set_xlabel("% of the file's rows")
    hidden = len(totals) - len(shown)
    title = f"{len(totals)} labels"
    panel.set_title(
        f"{title}, {hidden} rarer ones left out" if hidden else title,
        fontsize=10,
    )
