"""TensorBoard logs of a training run."""


def write_summaries(folder, row, curve, steps, rate):
    """Writes what an epoch gave.

    Args:
        folder: string, gets the folders `train` and `validation`.
        row: dictionary, the epoch's row of `history.csv`.
        curve: list of `(step, loss)` pairs, of all epochs.
        steps: int, batches of an epoch.
        rate: function from a step, counted from 0, to its learning rate.

    Raises:
        OSError: if they cannot be written.
    """
    import tensorflow as tf

    try:
        train = tf.summary.create_file_writer(f"{folder}/train")
        with train.as_default():
            for step, loss in curve:
                if step > row["step"] - steps:
                    tf.summary.scalar("batch_loss", loss, step=step)
                    value = float(rate(step - 1))
                    tf.summary.scalar("learning_rate", value, step=step)
            tf.summary.scalar("loss", row["loss"], step=row["step"])
        train.close()
        validation = tf.summary.create_file_writer(f"{folder}/validation")
        with validation.as_default():
            for name, value in row.items():
                if name.startswith("val_"):
                    name = name.removeprefix("val_")
                    tf.summary.scalar(name, value, step=row["step"])
        validation.close()
    except tf.errors.OpError as error:
        raise OSError(
            f"Could not write {folder!r}: {error.message}. It must be a "
            "writable folder and its disk have room; resume then."
        ) from error
