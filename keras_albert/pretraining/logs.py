"""TensorBoard logs of a pretraining run."""


def write_logs(folder, row, curve):
    """Adds an interval to the logs, `train` and `validation`.

    Args:
        folder: string, path of the folder of all logs.
        row: dictionary, a row of the history.
        curve: list of `(step, loss)` pairs, the training loss within it.

    Raises:
        OSError: if they cannot be written.
    """
    import tensorflow as tf

    try:
        _write(folder, row, curve)
    except tf.errors.OpError as error:
        raise OSError(
            f"Could not write {folder!r}: {error.message}. It must be a "
            "writable folder and its disk have room; resume then."
        ) from error


def _write(folder, row, curve):
    import tensorflow as tf

    runs = {"train": {}, "validation": {}}
    for name, value in row.items():
        if name.startswith("val_"):
            runs["validation"][name.removeprefix("val_")] = value
        elif name != "step":
            runs["train"][name] = value
    for run, values in runs.items():
        if not values:
            continue
        writer = tf.summary.create_file_writer(f"{folder}/{run}")
        with writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=row["step"])
            if run == "train":
                for step, loss in curve:
                    tf.summary.scalar("recent_loss", loss, step=step)
        writer.close()
