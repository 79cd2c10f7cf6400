"""Texts that belong together, in memory: checked, and in batches."""

import numbers

import keras
import numpy as np

from keras_albert.preprocessing.packer import trim_padding
from keras_albert.preprocessing.text_embedder import (
    COLUMNS,
    ROLE,
    SCORED_KEYS,
    keys_of,
)
from keras_albert.tasks.inputs import as_texts
from keras_albert.tasks.targets import as_array, check_shape

OBJECTIVES = ("contrastive", "cosine")


def is_raw_pairs(x):
    """Whether texts are in memory, as strings."""
    if isinstance(x, dict):
        return "token_ids" not in x
    return isinstance(x, (str, list, tuple, np.ndarray))


def is_ready(x):
    """Whether it is a dictionary of ready tensors."""
    return isinstance(x, dict) and "token_ids" in x


def check_whole_examples(y, objective, rows):
    """Raises ValueError for ready targets that are none, or parts of examples.

    Args:
        y: targets of ready tensors, see `AlbertTextEmbedderPreprocessor`.
        objective: string, one of `OBJECTIVES`.
        rows: int, those of a batch, or of another part of the data.
    """
    y = None if y is None else as_array(y)
    is_scored = objective == "cosine"
    is_fit = y is not None and (
        y.ndim == 1 or y.shape[1:] == (1,)
        if is_scored
        else y.ndim == 2 and y.shape[1] == COLUMNS and len(y)
    )
    if not is_fit:
        raise ValueError(
            "Ready tensors must come with the preprocessor's targets: scores, "
            f"of shape (rows,), or for 'contrastive' (rows, {COLUMNS}). "
            f"Received: {'none' if y is None else f'the shape {y.shape}'}."
        )
    number = 2 if is_scored else int(y[:, ROLE].max()) + 1
    for count in (len(y), rows):
        if count % number:
            raise ValueError(
                "The texts of an example must stay together. Received "
                f"examples of {number} rows each, and a part of {count} rows: "
                "of ready tensors `batch_size` and `validation_split` count "
                f"rows; make them multiples of {number}."
            )


def check_keys(names, objective):
    """Raises ValueError unless an objective learns from such examples.

    Args:
        names: tuple, see `keras_albert.preprocessing.text_embedder.keys_of`.
        objective: string, one of `OBJECTIVES`.
    """
    if (names == SCORED_KEYS) != (objective == "cosine"):
        raise ValueError(
            "The objective must be 'contrastive' for 'text' and 'positive', "
            "and 'cosine' for 'text' and 'pair' with scores. Received: "
            f"objective={objective!r} and {', '.join(map(repr, names))}; make "
            "the model with the other `objective`, or rename the texts."
        )


def check_pairs(x, y, objective, score_range):
    """Checks examples in memory.

    Args:
        x: dictionary of lists of strings.
        y: scores, classes, or `None`.
        objective: string, one of `OBJECTIVES`.
        score_range: pair of floats.

    Returns:
        The keys, see `keys_of`; and x and y as a dictionary of lists and an
        array or `None`.

    Raises:
        ValueError: if they are not as many, or cannot be learned from.
    """
    names = keys_of(x)
    check_keys(names, objective)
    x = {name: _texts(x[name], name) for name in names}
    counts = {name: len(texts) for name, texts in x.items()}
    if objective == "cosine":
        # Before one that is no number makes an array of strings of all.
        is_list = isinstance(y, (list, tuple))
        check_scores(np.asarray(y, object) if is_list else y, score_range)
    if y is not None:
        y = as_array(y)
        check_shape(y, (1,), "scores or classes")
        counts["targets"] = len(y)
    if len(set(counts.values())) > 1 or not counts["text"]:
        raise ValueError(
            "There must be at least one example, and each text, and target, "
            "for each. Received: "
            + ", ".join(f"{n} of {name}" for name, n in counts.items())
            + "."
        )
    if objective == "contrastive":
        check_classes(y)
        check_negatives(list(zip(*x.values(), strict=True)))
    return names, x, y


def _texts(texts, name):
    texts = texts.numpy() if hasattr(texts, "numpy") else texts
    texts = texts.tolist() if hasattr(texts, "tolist") else texts
    # Sets have no order in which texts could belong together.
    if isinstance(texts, (str, bytes, dict, set, frozenset)) or not hasattr(
        texts, "__iter__"
    ):
        raise ValueError(
            f"`{name}` must be a list of strings, one an example. Received: "
            f"{texts!r:.80}."
        )
    # Bytes that are no text are unknown characters, as in graphs.
    texts = [
        x.decode("utf-8", "replace") if isinstance(x, bytes) else x
        for x in texts
    ]
    for index, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"`{name}` must be strings that are not empty. Received at "
                f"index {index}: {text!r:.80}."
            )
    return as_texts(texts)[0]


def check_scores(scores, score_range, where=None):
    """Raises ValueError for scores that there are not.

    Args:
        scores: array, or `None`.
        score_range: pair of floats.
        where: function from an index to the name of the row; by default
            `index …`.
    """
    if scores is None:
        raise ValueError(
            "The objective 'cosine' must have a score for each pair. Received "
            "none."
        )
    low, high = score_range
    for index, score in enumerate(as_array(scores).ravel().tolist()):
        # Not a number is in no range.
        if isinstance(score, numbers.Real) and low <= score <= high:
            continue
        place = f"index {index}" if where is None else where(index)
        shown = f"{score:g}" if isinstance(score, float) else f"{score!r:.80}"
        raise ValueError(
            f"{place}: a score must lie in the range {low:g} to {high:g}. It "
            f"is {shown}; correct it, or give the range that the scores have."
        )


def check_classes(classes):
    """Raises ValueError for what names no classes, as scores do not.

    Args:
        classes: array, or `None`.
    """
    values = [] if classes is None else classes.ravel().tolist()
    for index, value in enumerate(values):
        is_whole = isinstance(value, float) and value.is_integer()
        if not is_whole and not isinstance(value, (int, str, bytes)):
            raise ValueError(
                "Classes must be integers or strings, one an example. "
                f"Received at index {index}: {value!r:.80}. Scores need the "
                "objective 'cosine', and texts named 'text' and 'pair'."
            )


def check_negatives(examples, where=None):
    """Raises ValueError for hard negatives that are positives.

    Args:
        examples: list of tuples of texts.
        where: see `check_scores`.
    """
    for index, texts in enumerate(examples):
        if len(texts) == 3 and texts[2] in texts[:2]:
            place = f"index {index}" if where is None else where(index)
            raise ValueError(
                f"{place}: a hard negative must be another text than the two "
                f"that belong together. Received: {texts[2]!r:.80}."
            )


def pair_dataset(data, texts, batch_size, shuffle=False):
    """Batches of whole examples, each only as long as it needs.

    Args:
        data: what the preprocessor gives, of arrays with a row a text.
        texts: int, the texts of an example.
        batch_size: int, examples.
        shuffle: bool. Whether each epoch has another order.

    Returns:
        A `tf.data.Dataset` of what the data is.
    """
    import tensorflow as tf

    def grouped(x):
        return tf.constant(x.reshape(-1, texts, *x.shape[1:]))

    features, *rest = tf.nest.map_structure(keras.ops.convert_to_numpy, data)
    data = tf.nest.map_structure(grouped, (trim_padding(features), *rest))
    examples = len(data[0]["token_ids"])
    order = tf.data.Dataset.range(examples)
    if shuffle:
        order = order.shuffle(examples)

    def make_batch(rows):
        def flat(x):
            return tf.reshape(tf.gather(x, rows), [-1, *x.shape[2:]])

        features, *rest = tf.nest.map_structure(flat, data)
        return (trim_padding(features), *rest)

    dataset = order.batch(batch_size).map(make_batch, num_parallel_calls=2)
    return dataset.prefetch(2)
