"""Questions, texts and answers in memory: checked, and in batches."""

import numpy as np

from keras_albert.data.squad import locate_answers, parse_answers
from keras_albert.preprocessing.packer import trim_padding
from keras_albert.tasks.inputs import as_texts


def is_raw(x):
    """Whether questions and texts are in memory, as strings.

    Args:
        x: what `fit` was given.
    """
    if isinstance(x, dict):
        return "token_ids" not in x
    return isinstance(x, (tuple, list, str)) and not any(
        isinstance(part, dict) for part in x
    )


def as_pairs(question, context):
    """Checks questions and texts, and makes lists of them.

    Args:
        question: a string, or a list or array of them.
        context: likewise. One string goes with all of the other side.

    Returns:
        Two lists of as many strings, and a bool: whether both were one.

    Raises:
        ValueError: if they are something else, or not as many.
    """
    sides = []
    for name, value in (("question", question), ("context", context)):
        if isinstance(value, (tuple, np.ndarray)):
            value = list(value)
        try:
            sides.append(as_texts(value))
        except ValueError as error:
            raise ValueError(f"`{name}`: {error}") from error
        wrong = next((x for x in sides[-1][0] if not isinstance(x, str)), None)
        if wrong is not None:
            raise ValueError(
                f"`{name}` must be a string or a list of strings. Received "
                f"{wrong!r:.80} in it."
            )
    (questions, one_question), (contexts, one_context) = sides
    if one_question and not one_context:
        questions = questions * len(contexts)
    if one_context:
        contexts = contexts * len(questions)
    if len(questions) != len(contexts):
        raise ValueError(
            "There must be a context for each question. Received: "
            f"{len(questions)} questions and {len(contexts)} contexts."
        )
    return questions, contexts, one_question and one_context


def first_answers(y, contexts):
    """The first answer of each question, and where it stands.

    Args:
        y: list of answers, see `AlbertQuestionAnswerer.fit`.
        contexts: list of strings.

    Returns:
        Two lists: texts, empty where there is no answer, and where each
        begins in its context, in characters.

    Raises:
        ValueError: if there is not one each, or it is not in its text.
    """
    if y is None or isinstance(y, (str, dict)) or len(y) != len(contexts):
        count = "none" if y is None else f"{len(y)}"
        raise ValueError(
            "There must be an answer for each question, `None` where the text "
            f"has none. Received: {count} for {len(contexts)} questions."
        )
    texts, starts = [], []
    for index, (given, context) in enumerate(zip(y, contexts, strict=True)):
        place = f"answers at index {index}"
        answers = parse_answers(_without_arrays(given), place)
        locate_answers(answers, context, place)
        found = [x for x in answers if x["answer_start"] is not None]
        if answers and not found:
            raise ValueError(
                f"{place}: an answer must be in its text. "
                f"{answers[0]['text']!r:.60} is not; correct it, or leave the "
                "question out."
            )
        texts.append(found[0]["text"] if found else "")
        starts.append(found[0]["answer_start"] if found else 0)
    return texts, starts


def _without_arrays(value):
    """Lists and numbers of Python's, where data frames have NumPy's."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, dict):
        return {name: _without_arrays(x) for name, x in value.items()}
    if isinstance(value, list):
        return [_without_arrays(x) for x in value]
    return value


def window_dataset(data, batch_size, shuffle=False):
    """Batches of ready windows, each only as long as it needs.

    Args:
        data: what `keras.utils.pack_x_y_sample_weight` gives, of arrays.
        batch_size: int.
        shuffle: bool. Whether each epoch has another order.

    Returns:
        A `tf.data.Dataset`.
    """
    import tensorflow as tf

    data = tf.nest.map_structure(tf.constant, data)
    rows = len(data[0]["token_ids"])
    order = tf.data.Dataset.range(rows)
    if shuffle:
        order = order.shuffle(rows)

    def make_batch(rows):
        features, *rest = tf.nest.map_structure(
            lambda x: tf.gather(x, rows), data
        )
        return (trim_padding(features), *rest)

    dataset = order.batch(batch_size).map(make_batch, num_parallel_calls=2)
    return dataset.prefetch(2)
