"""From texts, and texts that belong together, to the inputs of an embedder."""

import keras
import numpy as np

from keras_albert.preprocessing.text_classifier import (
    AlbertTextClassifierPreprocessor,
)

# What the dictionaries hold that an embedder is trained on.
PAIR_KEYS = ("text", "positive", "negative")
SCORED_KEYS = ("text", "pair")
# The columns of the targets of pairs, see `pair_targets`.
EXAMPLE, ROLE, TEXT, ANCHOR, POSITIVE, CLASS = range(6)
COLUMNS = 6
NO_CLASS = -1


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertTextEmbedderPreprocessor(AlbertTextClassifierPreprocessor):
    """Tokenizes and packs a text as `[CLS] A [SEP]`.

    The packing is that of `AlbertTextClassifierPreprocessor`, which see for
    the arguments; a tuple of two is packed into one sequence, too, and gives
    one vector. Texts that belong together come in a dictionary, and are each
    a sequence of their own.

    Call arguments:
        x: texts, see `AlbertTextClassifierPreprocessor`; or a dictionary of
            strings, `(batch,)` each: `"text"`, `"positive"` and maybe
            `"negative"`, or `"text"` and `"pair"`.
        y: with `"positive"` the classes of the examples, `(batch,)` int or
            strings, or `None`; with `"pair"` their scores, `(batch,)` float;
            else passed through.
        sample_weight: `(batch,)`, weights of the examples.

    Returns:
        See `AlbertTextClassifierPreprocessor`. Of a dictionary the rows are
        the texts of the first example, those of the second, and so on; the
        targets are `(rows, 6)` int32, see `pair_targets`, or the scores,
        `(rows,)` float32, and weights `(rows,)`.

    Example:
    ```python
    import keras_albert as ka

    preprocessor = ka.AlbertTextEmbedderPreprocessor.from_preset(
        "albert_tiny_en", sequence_length=16
    )
    preprocessor(["Is it raining?"])["token_ids"].shape  # (1, 16)
    x = {"text": ["Is it raining?"], "positive": ["Does it rain?"]}
    preprocessor(x)[0]["token_ids"].shape  # (2, 16)
    ```
    """

    def call(self, x, y=None, sample_weight=None):
        if not isinstance(x, dict):
            return super().call(x, y=y, sample_weight=sample_weight)
        import tensorflow as tf

        names = keys_of(x)
        # (batch, texts of an example)
        texts = tf.stack([tf.convert_to_tensor(x[n]) for n in names], axis=1)
        rows = tf.reshape(texts, [-1])
        eager = tf.executing_eagerly()
        if eager:
            rows = [text.decode("utf-8", "replace") for text in rows.numpy()]
        features = super().call(rows)
        if names == SCORED_KEYS:
            if y is not None:
                y = tf.repeat(tf.cast(tf.reshape(y, [-1]), "float32"), 2)
        else:
            y = pair_targets(texts, y)
        if sample_weight is not None:
            sample_weight = tf.repeat(sample_weight, len(names))
        if eager:
            y, sample_weight = (
                None if value is None else np.asarray(value)
                for value in (y, sample_weight)
            )
        return keras.utils.pack_x_y_sample_weight(features, y, sample_weight)


def keys_of(x):
    """The keys of a dictionary of texts that belong together, in order.

    Args:
        x: dictionary.

    Raises:
        ValueError: if it is none, or they are neither `PAIR_KEYS`, of which
            the last may be left out, nor `SCORED_KEYS`.
    """
    is_dictionary = isinstance(x, dict)
    for keys in (PAIR_KEYS, PAIR_KEYS[:2], SCORED_KEYS):
        if is_dictionary and set(x) == set(keys):
            return keys
    received = type(x).__name__
    if is_dictionary:
        received = ", ".join(map(repr, x)) or "an empty one"
    raise ValueError(
        "Texts that belong together must be a dictionary of 'text', "
        "'positive' and maybe 'negative', or of 'text' and 'pair'. Received: "
        f"{received}."
    )


def pair_targets(texts, classes=None):
    """What tells which texts of a batch belong together, a row a text.

    Args:
        texts: `(batch, 2)` or `(batch, 3)` tensor of strings, a text, its
            positive, and maybe a hard negative.
        classes: `(batch,)` int or strings, the classes of the examples; or
            `None`.

    Returns:
        `(rows, 6)` int32 tensor: the example; 0 for its text, 1 for its
        positive, 2 for its hard negative; ids of the row's own text, of the
        example's text and of its positive, the same where the texts are; and
        the class, -1 for none.
    """
    import tensorflow as tf

    shape = tf.shape(texts)
    rows = shape[0] * shape[1]
    identities = tf.reshape(tf.unique(tf.reshape(texts, [-1]))[1], shape)
    if classes is None:
        classes = tf.fill(shape[:1], NO_CLASS)
    else:
        classes = tf.unique(tf.reshape(tf.convert_to_tensor(classes), [-1]))[1]
    role = tf.range(shape[1])
    # Nobody says what class a hard negative has.
    classes = tf.where(role[None] < 2, classes[:, None], NO_CLASS)
    columns = {
        EXAMPLE: tf.range(shape[0])[:, None],
        ROLE: role[None],
        TEXT: identities,
        ANCHOR: identities[:, :1],
        POSITIVE: identities[:, 1:2],
        CLASS: classes,
    }
    return tf.stack(
        [
            tf.reshape(tf.broadcast_to(columns[index], shape), [rows])
            for index in range(len(columns))
        ],
        axis=1,
    )
