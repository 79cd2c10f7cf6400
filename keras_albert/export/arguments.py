"""What `verify` and the gate may be given."""

import numpy as np

from keras_albert.tasks.inputs import as_texts
from keras_albert.tasks.targets import check_classes, check_numbers, check_shape
from keras_albert.tasks.text_classifier import AlbertTextClassifier


def check_max_drop(max_drop, targets):
    """Raises ValueError unless a metric can be held to `max_drop` points."""
    if max_drop is None:
        return
    if not 0 <= max_drop < np.inf:
        raise ValueError(
            "`max_drop` must be a number of points, 0 or more. Received: "
            f"{max_drop}."
        )
    if targets is None:
        raise ValueError(
            "`max_drop` must come with labelled examples, to measure the "
            "metric on. Pass `examples` and `targets` (`--data` with "
            "`--text-column` and `--label-column`)."
        )


def check_text_length(sequence_length):
    """Raises ValueError unless a file of texts can be cut to a length."""
    if sequence_length is None:
        return
    if type(sequence_length) is not int or sequence_length < 4:
        raise ValueError(
            "`sequence_length` must be an integer of at least 4 tokens, that "
            "a file of texts was exported with. Received: "
            f"{sequence_length!r}."
        )


def check_examples(examples, pairs=True, texts=True):
    """Raises ValueError unless examples are a list of texts and pairs.

    Args:
        examples: what was given.
        pairs: bool. Whether the model takes pairs.
        texts: bool. Whether it takes texts that are in no pair.
    """
    if isinstance(examples, (str, tuple)) or not len(examples):
        raise ValueError(
            "`examples` must be a list of at least one text or pair of texts. "
            f"Received: {examples!r}."
        )
    if not pairs and any(isinstance(item, tuple) for item in examples):
        raise ValueError(
            "`examples` must be texts: the model takes no pairs. Received "
            "pairs among them."
        )
    if not texts and not all(isinstance(item, tuple) for item in examples):
        raise ValueError(
            "`examples` must be pairs of a question and a text, as 2-tuples: "
            "the model takes nothing else. Received others among them."
        )
    # Texts and pairs may be mixed here.
    as_texts([item for item in examples if not isinstance(item, tuple)])
    as_texts([item for item in examples if isinstance(item, tuple)])


def checked_targets(model, examples, targets):
    """Checks targets, and makes an array of them.

    Args:
        model: a task.
        examples: list of texts and pairs, checked.
        targets: see `verify`.

    Returns:
        array, `(examples,)` or, of several labels, `(examples, classes)`.

    Raises:
        ValueError: if they do not fit model or examples.
    """
    if not isinstance(model, AlbertTextClassifier):
        raise ValueError(
            "`targets` must come with an AlbertTextClassifier, whose metric "
            f"they are for. Received: an {type(model).__name__}."
        )
    if examples is None or len(examples) != len(targets):
        raise ValueError(
            "There must be a target for each example. Received: "
            f"{len(examples or ())} examples and {len(targets)} targets."
        )
    targets = np.asarray(targets)
    check_numbers(targets)
    if model.multi_label:
        check_shape(targets, (model.num_classes,), "0 or 1 for each class")
        check_classes(targets, 2)
        return targets
    what = "scores" if model.num_classes == 1 else "class indices"
    check_shape(targets, (1,), what)
    if model.num_classes > 1:
        check_classes(targets, model.num_classes)
    return targets.reshape(-1)
