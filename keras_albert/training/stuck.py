"""Tells of a training whose loss does not move."""

# A loss this near to that of guessing has learned nothing yet.
_NEAR = 0.98
# Steps after the warm-up before that says something.
_STEPS = 50


def stuck_loss(curve, warmup_steps, guessing_loss):
    """The loss of a run that has learned nothing, though it had the time.

    A learning rate that is too high is the usual reason: the model falls
    back to how often each target occurs, and stays there.

    Args:
        curve: list of `(step, loss)` pairs, the mean training loss since the
            pair before.
        warmup_steps: int, the steps that the learning rate rises for.
        guessing_loss: float, the loss of guessing, see
            `keras_albert.training.batches.LengthBatches`; `None`: the run's
            first loss takes its place.

    Returns:
        pair of floats, the mean loss since the warm-up and that of guessing;
        `None` if it moves, or too few steps were taken to say.
    """
    warm = [
        (step - former, loss)
        for (former, _), (step, loss) in zip(
            [(0, None), *curve], curve, strict=False
        )
        if former >= warmup_steps
    ]
    # The newer half: the loss of a run that has just begun to learn counts.
    recent = warm[len(warm) // 2 :]
    steps = sum(steps for steps, _ in warm)
    if steps < _STEPS:
        return None
    if guessing_loss is None:
        guessing_loss = curve[0][1]
    loss = sum(steps * loss for steps, loss in recent)
    loss /= sum(steps for steps, _ in recent)
    return (loss, guessing_loss) if loss > _NEAR * guessing_loss else None


def stuck_warning(loss, guessing_loss, learning_rate):
    """What to tell of a loss that does not move, and what to do."""
    return (
        f"warning: the loss does not move: {loss:.4f} since the warm-up, "
        f"where guessing has {guessing_loss:.4f}. Train with a smaller "
        f"learning rate (now {learning_rate:g}, try {learning_rate / 3:.1g}), "
        "a longer warm-up, or for more epochs; if it still does not move, "
        "check that the labels belong to their texts."
    )
