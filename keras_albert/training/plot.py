"""The picture of a training run."""

from keras_albert.presets.saving import whole_file

_TRAIN, _DEV, _GREY = "#4878a8", "#c8553d", "#777777"


def plot_training(path, history, curve, rates, monitor, title):
    """Draws loss, dev metric and learning rate of a run, over epochs.

    Args:
        path: string, the PNG file to write, whole or not at all.
        history: list of dictionaries, a row an epoch, with `"epoch"` from 1,
            `"step"`, `"loss"`, `"val_loss"` and `"val_" + monitor`.
        curve: list of `(step, loss)` pairs, the training loss in epochs.
        rates: list of `(step, learning rate)` pairs.
        monitor: string, the dev metric; more is better.
        title: string.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 5.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    panels = figure.subplot_mosaic(
        [["loss", "score"], ["rate", "rate"]], height_ratios=[3, 1]
    )
    steps = history[0]["step"] / history[0]["epoch"]
    epochs = [row["epoch"] for row in history]
    best = max(history, key=lambda row: row[f"val_{monitor}"])

    _draw_loss(panels["loss"], history, epochs, curve, steps)
    _draw_score(panels["score"], history, epochs, monitor, best)
    panels["rate"].plot(
        [step / steps for step, _ in rates],
        [rate for _, rate in rates],
        color=_GREY,
    )
    panels["rate"].set_title("learning rate", loc="left", fontsize=10)
    panels["rate"].ticklabel_format(axis="y", scilimits=(-2, 4))
    panels["rate"].set_ylim(bottom=0)
    last = max(epochs[-1], rates[-1][0] / steps)
    for name, panel in panels.items():
        panel.axvline(best["epoch"], color=_DEV, linewidth=0.8, linestyle=":")
        panel.set_xlim(0, last * 1.02)
        panel.set_xticks(_ticks(round(last)))
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        if name != "score":
            panel.set_xlabel("epoch")
    panels["score"].set_xlabel("epoch")
    with whole_file(path) as partial:
        figure.savefig(partial, format="png")


def _draw_loss(panel, history, epochs, curve, steps):
    panel.plot(
        [step / steps for step, _ in curve],
        [loss for _, loss in curve],
        color=_TRAIN,
        linewidth=1,
        alpha=0.8,
        label="training",
    )
    panel.plot(
        epochs,
        [row["val_loss"] for row in history],
        "o-",
        color=_DEV,
        markersize=4,
        label="dev",
    )
    panel.set_ylim(bottom=0)
    panel.set_title("loss", loc="left", fontsize=10)
    panel.legend(frameon=False, fontsize=9)


def _draw_score(panel, history, epochs, monitor, best):
    values = [row[f"val_{monitor}"] for row in history]
    panel.plot(epochs, values, "o-", color=_DEV, markersize=4)
    panel.plot(
        best["epoch"],
        best[f"val_{monitor}"],
        "o",
        color=_DEV,
        markersize=11,
        markerfacecolor="none",
    )
    panel.margins(y=0.15)
    panel.set_title(
        f"dev {monitor}: best {best[f'val_{monitor}']:.4f} "
        f"after epoch {best['epoch']}",
        loc="left",
        fontsize=10,
    )


def _ticks(epochs):
    return range(0, epochs + 1, max(epochs // 10, 1))
