"""What `fit` and the like are given: checked, split, in batches."""

import math
import numbers

import numpy as np

from keras_albert.tasks.targets import check_finite


def check_count(name, value):
    """Raises ValueError unless an argument is a positive integer."""
    if not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(
            f"`{name}` must be positive, and an integer. Received: {value!r}."
        )


def check_batch_size(batch_size):
    """Raises ValueError unless it is a number of rows, or `None`."""
    if batch_size is not None:
        check_count("batch_size", batch_size)


def check_text_lists(x):
    """Raises ValueError unless there are strings, or two lists of them.

    Args:
        x: list, array, or tuple of two for pairs; else not checked.
    """
    rule = (
        "Texts must be a list of strings, and pairs a tuple of two such "
        "lists, `(firsts, seconds)`. Received "
    )
    if isinstance(x, dict):
        raise ValueError(f"{rule}a dictionary of {', '.join(map(repr, x))}.")
    for side in x if isinstance(x, tuple) else (x,):
        if isinstance(side, (str, bytes)):
            raise ValueError(f"{rule}one string: {side!r:.80}.")
        if isinstance(side, np.ndarray) and side.dtype.kind in "US":
            side = side.tolist()
        if not isinstance(side, (list, np.ndarray)):
            continue
        if not len(side):
            raise ValueError("There must be at least one text.")
        for text in side:
            if not isinstance(text, (str, bytes)):
                raise ValueError(f"{rule}a list with {text!r:.80} in it.")


def as_texts(items):
    """Checks texts, and makes a list of them.

    Args:
        items: a string, a pair of strings as a 2-tuple, or a list of either.

    Returns:
        The list, and a bool: whether a single item was given.

    Raises:
        ValueError: if an item is neither, or texts and pairs are mixed.
    """
    single = isinstance(items, (str, tuple))
    if not single and not _is_iterable(items):
        raise ValueError(
            "Texts must be a string, a pair of strings as a 2-tuple, or a "
            f"list of either. Received: {items!r:.80}."
        )
    texts = [items] if single else list(items)
    for index, item in enumerate(texts):
        is_text = isinstance(item, str) and isinstance(texts[0], str)
        is_pair = (
            isinstance(item, tuple)
            and isinstance(texts[0], tuple)
            and len(item) == 2
            and all(isinstance(part, str) for part in item)
        )
        if not is_text and not is_pair:
            raise ValueError(
                "Texts must be strings, or all of them pairs of strings as "
                f"2-tuples. Received at index {index}: {item!r:.80}."
            )
        if not all(map(_is_unicode, item if is_pair else (item,))):
            raise ValueError(
                "Texts must be Unicode. Received half a surrogate pair, or "
                f"bytes that are not UTF-8, at index {index}: {item!r:.80}."
            )
    return texts, single


def _is_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_iterable(items):
    # The characters of bytes are numbers, the keys of a dictionary no texts.
    if isinstance(items, (bytes, dict)):
        return False
    try:
        iter(items)
    except TypeError:
        return False
    return True


def text_batches(data, batch_size, shuffle=False):
    """A `tf.data.Dataset` of batches, from lists and arrays of one length.

    Args:
        data: tuple of x, y and sample weights, or the first of these.
        batch_size: int, or `None` for 32.
        shuffle: bool. Whether each epoch has another order.
    """
    import tensorflow as tf

    check_batch_size(batch_size)
    _check_as_many(data)
    dataset = tf.data.Dataset.from_tensor_slices(data)
    if shuffle:
        dataset = dataset.shuffle(max(len(dataset), 1))
    return dataset.batch(batch_size or 32)


def _check_as_many(data):
    """Raises ValueError unless there are as many of everything."""
    names = ("texts", "targets", "sample weights")
    counts = []
    for name, part in zip(names, data, strict=False):
        if isinstance(part, dict):
            part = tuple(part.values())
        parts = part if isinstance(part, tuple) else (part,)
        counts += [(_length(x, name), name) for x in parts if x is not None]
    if len({count for count, _ in counts}) > 1:
        found = ", ".join(f"{count} {name}" for count, name in counts)
        raise ValueError(
            "There must be a target, and a weight where there are weights, "
            f"for each text. Received: {found}."
        )
    for weights in data[2:]:
        check_finite(weights, "Weights of examples")


def _length(x, name):
    try:
        return len(x)
    except TypeError as error:
        raise ValueError(
            f"There must be a list or array of {name}, one an example. "
            f"Received: {x!r:.80}."
        ) from error


def as_lists(x):
    """Columns of data frames as lists, in tuples and dictionaries, too.

    Args:
        x: what `fit` and the like were given; all else is left as it is.
    """
    if isinstance(x, tuple):
        return tuple(map(as_lists, x))
    if isinstance(x, dict):
        return {name: as_lists(value) for name, value in x.items()}
    is_column = hasattr(x, "to_numpy") and hasattr(x, "to_list")
    return x.to_list() if is_column else x


def as_held_out(data):
    """`validation_data` as a tuple of x, y and sample weights.

    Args:
        data: what `fit` was given: a tuple or a list of these, or x alone in
            a dictionary; else it is left as it is, as a dataset.
    """
    if isinstance(data, dict):
        data = (data,)
    if not isinstance(data, (list, tuple)):
        return data
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "`validation_data` must be a dataset, or a tuple of `x`, `y` and "
            f"maybe sample weights. Received {len(data)} parts: {data!r:.80}."
        )
    return (*map(as_lists, data), None, None)[:3]


def holds_strings(x):
    """Whether the first thing in lists, tuples and dictionaries is a text."""
    while isinstance(x, (dict, list, tuple)) and len(x):
        x = next(iter(x.values() if isinstance(x, dict) else x))
    kind = getattr(getattr(x, "dtype", None), "kind", "")
    return isinstance(x, (str, bytes)) or kind in ("U", "S", "O")


def check_kind(x):
    """Raises ValueError for what neither Keras nor a preprocessor can batch.

    Args:
        x: what `fit`, `evaluate` or `predict` was given.
    """
    is_array = len(getattr(x, "shape", ())) > 0
    is_dataset = hasattr(x, "map") or hasattr(x, "element_spec")
    if is_array or is_dataset or isinstance(x, (list, tuple, dict)):
        return
    raise ValueError(
        "Inputs must be lists, arrays, a dictionary of these, or a "
        f"`tf.data.Dataset` or grain dataset of batches. Received: {x!r:.80}; "
        "put one text in a list, and make a dataset of a generator by "
        "`tf.data.Dataset.from_generator`."
    )


def fit_arguments(data, batch_size):
    """The arguments of `fit` from data, or from a dataset of batches."""
    if not isinstance(data, tuple):
        return {"x": data}
    names = ("x", "y", "sample_weight")
    return {"batch_size": batch_size, **dict(zip(names, data, strict=False))}


def split_rows(data, share, takes_pairs):
    """Without the last rows, and these, as `validation_split` has them.

    Args:
        data: tuple of x, y and sample weights, of lists, tuples and arrays;
            x may be a dictionary of them, in which a string is all rows'.
        share: float, of the rows that are held out.
        takes_pairs: bool. Whether x, when it is a tuple, is columns.
    """
    x, *others = data
    columns = [x]
    if isinstance(x, dict):
        columns = list(x.values())
    elif isinstance(x, tuple) and takes_pairs:
        columns = list(x)
    counted = [x for x in columns if not isinstance(x, str)]
    if not counted:
        return data, None  # no rows: what is wrong is told where they are read
    counts = [_length(x, "texts") for x in counted]
    found = [f"{count} texts" for count in counts]
    for name, part in zip(("targets", "sample weights"), others, strict=True):
        if part is not None:
            counts.append(_length(part, name))
            found.append(f"{counts[-1]} {name}")
    if len(set(counts)) > 1:
        raise ValueError(
            "There must be as many of all that `validation_split` splits. "
            f"Received: {', '.join(found)}."
        )
    is_share = isinstance(share, numbers.Real) and 0.0 < share < 1.0
    kept = math.floor(counts[0] * (1.0 - share)) if is_share else 0
    if not 0 < kept < counts[0]:
        raise ValueError(
            "`validation_split` must be a share that leaves rows to train on "
            f"and rows to measure on. Received: {share!r} of {counts[0]} rows."
        )

    def part(rows):
        of_columns = [x if isinstance(x, str) else x[rows] for x in columns]
        if isinstance(x, dict):
            of_x = dict(zip(x, of_columns, strict=True))
        else:
            is_columns = isinstance(x, tuple) and takes_pairs
            of_x = tuple(of_columns) if is_columns else of_columns[0]
        return (of_x, *(y if y is None else y[rows] for y in others))

    return part(slice(kept)), part(slice(kept, None))
