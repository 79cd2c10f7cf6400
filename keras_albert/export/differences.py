"""Outputs of a file beside those of its model."""

import numpy as np

from keras_albert.export.report import VerificationError

# Strings, which follow from the probabilities.
_LABELS = "labels"


def compare_outputs(model, artifact, expected, actual):
    """The differences of all outputs over all examples.

    Those of outputs that are no probabilities are relative to their root mean
    square.

    Args:
        model: the task, or an `AlbertBackbone`.
        artifact: string, the path, for messages.
        expected: list of dictionaries of the model's outputs, one an
            example.
        actual: list of dictionaries of the file's.

    Returns:
        dictionary of `"max_abs_diff"` and `"mean_abs_diff"` for each output.

    Raises:
        VerificationError: if names or shapes are not the model's.
    """
    wanted = set(expected[0])
    given = set(actual[0]) - {_LABELS}
    if wanted != given:
        raise VerificationError(
            f"{artifact!r} must have the outputs of the model, "
            f"{', '.join(sorted(wanted))}. It has "
            f"{', '.join(sorted(given))}; was it exported from this model?"
        )
    results = {}
    for name in sorted(given):
        pairs = [
            (e[name], a[name]) for e, a in zip(expected, actual, strict=True)
        ]
        for e, a in pairs:
            if e.shape != a.shape:
                raise VerificationError(
                    f"`{name}` of {artifact!r} must have the shape {e.shape}. "
                    f"It has {a.shape}; was it exported from this model?"
                )
        scale = 1.0
        if name != "probabilities" or model.num_classes == 1:
            squares = sum(np.square(e, dtype="float64").sum() for e, _ in pairs)
            scale = np.sqrt(squares / sum(e.size for e, _ in pairs))
        differences = [np.abs(e - a) / scale for e, a in pairs]
        total = sum(d.sum(dtype="float64") for d in differences)
        results[name] = {
            # Like `max`, but NaN stays.
            "max_abs_diff": float(np.max([d.max() for d in differences])),
            "mean_abs_diff": float(total / sum(d.size for d in differences)),
        }
    return results


def label_agreement(model, expected, actual, margin):
    """The share of equal labels, of all and of the clear ones.

    Args:
        model: the task, or an `AlbertBackbone`.
        expected: see `compare_outputs`.
        actual: see `compare_outputs`.
        margin: float. A label is clear when the two best classes lie further
            apart, by probability, or by logits relative to their root mean
            square.

    Returns:
        Two floats; `None` for both when the outputs are no classes, the
        second also when no label is clear.
    """
    if getattr(model, "num_classes", None) == 1:
        return None, None
    same, clear = [], []
    for name in expected[0]:
        kind = _kind(model, name)
        if kind is None:
            continue
        wanted = [x[name] for x in expected]
        scale = 1.0
        if kind == "logits":
            squares = np.concatenate([np.square(x).ravel() for x in wanted])
            scale = max(float(np.sqrt(squares.mean())), 1e-12)
        for e, a in zip(wanted, actual, strict=True):
            one, other = e.reshape(-1, e.shape[-1]), a[name]
            other = other.reshape(one.shape)
            if kind == "several":
                same.append(((one >= 0.5) == (other >= 0.5)).all(axis=-1))
                clear.append((np.abs(one - 0.5) > margin).all(axis=-1))
                continue
            same.append(one.argmax(axis=-1) == other.argmax(axis=-1))
            best = np.sort(one, axis=-1)
            apart = np.full(len(one), np.inf)
            if one.shape[-1] > 1:
                apart = best[:, -1] - best[:, -2]
            clear.append(apart / scale > margin)
    if not same:
        return None, None
    same, clear = np.concatenate(same), np.concatenate(clear)
    agreement = float(same[clear].mean()) if clear.any() else None
    return float(same.mean()), agreement


def _kind(model, name):
    """How labels follow from an output: by logits, by probabilities, not."""
    if name == "probabilities":
        return "several" if getattr(model, "multi_label", False) else "one"
    if name in ("start_logits", "end_logits", "logits", "mlm", "sop"):
        return "logits"
    return None
