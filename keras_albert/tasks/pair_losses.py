"""What an embedder learns from: texts that belong together, or scores."""

import math
import numbers

import keras
from keras import ops

from keras_albert.preprocessing.text_embedder import (
    ANCHOR,
    CLASS,
    EXAMPLE,
    POSITIVE,
    ROLE,
    TEXT,
)


@keras.saving.register_keras_serializable(package="keras_albert")
class ContrastiveLoss(keras.losses.Loss):
    """Cross-entropy of finding a text's positive in the batch.

    Each text has a softmax over the cosine similarities to its own positive,
    to the positives of other examples, its in-batch negatives (Henderson et
    al. 2017, https://arxiv.org/abs/1705.00652), and to all hard negatives,
    divided by a temperature as in SimCSE (Gao et al. 2021,
    https://arxiv.org/abs/2104.08821).

    A text of another example is no negative where it is the text itself, or a
    positive of the text in any example of the batch, and where its example has
    the same class.

    Args:
        temperature: float, positive.
        **kwargs: See `keras.losses.Loss`.

    Call arguments:
        y_true: `(rows, 6)` int, see `keras_albert.preprocessing.
            text_embedder.pair_targets`.
        y_pred: `(rows, hidden_dim)` float, vectors of any length.

    Returns:
        float, the mean over the examples. An example without any negative
        has a loss of 0.

    Raises:
        ValueError: if the temperature is not positive.
    """

    def __init__(self, temperature=0.05, name="contrastive", **kwargs):
        super().__init__(name=name, **kwargs)
        # Not a number is not above 0 either.
        is_number = isinstance(temperature, numbers.Real)
        if not is_number or not 0.0 < temperature < math.inf:
            raise ValueError(
                "`temperature` must be positive, and a number. Received: "
                f"{temperature!r}."
            )
        self.temperature = temperature

    def call(self, y_true, y_pred):
        vectors = _normalized(y_pred)
        # (rows, rows): a row's text to the text of a column.
        logits = ops.matmul(vectors, ops.transpose(vectors))
        logits = logits / self.temperature
        y_true = ops.cast(y_true, "int32")
        row = {i: ops.expand_dims(y_true[:, i], 1) for i in range(6)}
        column = {i: ops.expand_dims(y_true[:, i], 0) for i in range(6)}
        is_own = ops.equal(row[EXAMPLE], column[EXAMPLE])
        is_positive = ops.logical_and(is_own, ops.equal(column[ROLE], 1))
        # Positives of the same text in any example of the batch.
        same_anchor = ops.cast(
            ops.equal(row[ANCHOR], column[ANCHOR]), "float32"
        )
        is_text = ops.cast(ops.equal(row[POSITIVE], column[TEXT]), "float32")
        belongs = ops.greater(ops.matmul(same_anchor, is_text), 0.0)
        same_class = ops.logical_and(
            ops.equal(row[CLASS], column[CLASS]),
            ops.greater_equal(row[CLASS], 0),
        )
        means_the_same = ops.logical_or(
            ops.equal(row[ANCHOR], column[TEXT]),
            ops.logical_or(belongs, same_class),
        )
        is_negative = ops.logical_and(
            ops.greater(column[ROLE], 0), ops.logical_not(means_the_same)
        )
        is_candidate = ops.logical_or(is_positive, is_negative)
        total = ops.logsumexp(ops.where(is_candidate, logits, -1e9), axis=1)
        losses = total - ops.sum(ops.where(is_positive, logits, 0.0), axis=1)
        # The text's loss for each row of its example: weights and means over
        # rows are then those over examples.
        is_anchor = ops.logical_and(is_own, ops.equal(column[ROLE], 0))
        return ops.sum(
            ops.where(is_anchor, ops.expand_dims(losses, 0), 0.0), axis=1
        )

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="keras_albert")
class CosineLoss(keras.losses.Loss):
    """Squared difference between a cosine similarity and a score.

    As Sentence-BERT on STS (Reimers and Gurevych 2019): the range of the
    scores is mapped to 0 to 1.

    Args:
        score_range: pair of floats, the lowest and the highest score.
        **kwargs: See `keras.losses.Loss`.

    Call arguments:
        y_true: `(rows,)` float, scores; two rows an example, the same twice.
        y_pred: `(rows, hidden_dim)` float, vectors of any length.

    Returns:
        float, the mean over the examples.

    Raises:
        ValueError: if the range is none.
    """

    def __init__(self, score_range=(0.0, 1.0), name="cosine", **kwargs):
        super().__init__(name=name, **kwargs)
        self.score_range = check_score_range(score_range)

    def call(self, y_true, y_pred):
        pairs = ops.reshape(_normalized(y_pred), (-1, 2, y_pred.shape[-1]))
        cosine = ops.sum(pairs[:, 0] * pairs[:, 1], axis=-1)
        low, high = self.score_range
        scores = ops.cast(ops.reshape(y_true, (-1, 2))[:, 0], "float32")
        errors = ops.square(cosine - (scores - low) / (high - low))
        return ops.repeat(errors, 2)

    def get_config(self):
        return {**super().get_config(), "score_range": list(self.score_range)}


def check_score_range(score_range):
    """The lowest and the highest score, as floats.

    Args:
        score_range: pair of numbers.

    Raises:
        ValueError: if they are not two, not finite, or the first is not
            below the second.
    """
    try:
        low, high = map(float, score_range)
        shown = f"{low:g}, {high:g}"
    except (TypeError, ValueError):
        low = high = math.nan
        shown = f"{score_range!r:.80}"
    if not -math.inf < low < high < math.inf:
        raise ValueError(
            "`score_range` must be a pair of numbers, the lowest and the "
            f"highest score. Received: {shown}."
        )
    return low, high


def _normalized(vectors):
    vectors = ops.cast(vectors, "float32")
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-12))
