"""From questions with choices to the inputs of a multiple-choice model."""

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.packer import ragged_ids
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.presets.loading import (
    PREPROCESSOR_FILE,
    PreprocessingPresetMixin,
)

KEYS = ("context", "question", "choices")
_WHITE_SPACE = " \t\n\r\f\v"


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertMultipleChoicePreprocessor(
    PreprocessingPresetMixin, keras_nlp.models.Preprocessor
):
    """Packs each choice with its context and question.

    `[CLS] context [SEP] question choice [SEP]`, as for RACE in the original
    (`convert_single_example` in google-research/albert `race_utils.py`): the
    context is segment 0 and is cut at its end; of question and choice, which
    are tokenized each on its own, the last `question_length` tokens are kept.
    Where there is no context the question takes its place: `[CLS] question
    [SEP] choice [SEP]`.

    Args:
        tokenizer: an `AlbertTokenizer`.
        sequence_length: int. Length of the packed sequences, in tokens.
        question_length: int. The most tokens that question and choice have
            together. The original's are 128 of 512.
        **kwargs: See `keras_nlp.models.Preprocessor`.

    Call arguments:
        x: a dictionary of
            - `"context"`: strings, `(batch,)`; may be left out;
            - `"question"`: strings, `(batch,)`; may be left out;
            - `"choices"`: strings, `(batch, choices)`, or a list of lists or
              a ragged tensor, where their number varies. An empty string is
              no choice.
          Without the first dimension it is a single question.
        y: the indices of the right choices, passed through.
        sample_weight: weights, passed through.

    Returns:
        A dictionary of `"token_ids"`, `"segment_ids"` and `"padding_mask"`,
        each `(batch, choices, sequence_length)` int32; with `y` and
        `sample_weight` in a tuple when they were given. Where a question has
        fewer choices than others, the rest is padding.

    Raises:
        ValueError: if an argument is out of range, or `x` is something else.

    Example:
    ```python
    import keras_albert as ka

    preprocessor = ka.AlbertMultipleChoicePreprocessor.from_preset(
        "albert_tiny_en", sequence_length=32
    )
    x = {
        "question": ["Where is a fish at home?"],
        "choices": [["In the sea", "In a tree"]],
    }
    preprocessor(x)["token_ids"].shape  # (1, 2, 32)
    ```
    """

    backbone_cls = AlbertBackbone
    tokenizer_cls = AlbertTokenizer
    preset_file = PREPROCESSOR_FILE
    takes_texts = False  # but questions

    def __init__(
        self, tokenizer, sequence_length=512, question_length=128, **kwargs
    ):
        if sequence_length < 5:
            raise ValueError(
                "`sequence_length` must be at least 5, to hold a context, a "
                "choice and the special tokens. Received: "
                f"{sequence_length}."
            )
        if question_length < 1:
            raise ValueError(
                "`question_length` must be at least 1 token. Received: "
                f"{question_length}."
            )
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.question_length = question_length

    def build(self, input_shape):
        super().build(input_shape)

    def call(self, x, y=None, sample_weight=None):
        if not isinstance(x, dict) or "choices" not in x or {*x} - {*KEYS}:
            raise ValueError(
                f"`x` must be a dictionary of {', '.join(map(repr, KEYS))}, "
                "of which the first two may be left out. Received: "
                f"{x!r:.100}."
            )
        choices = _as_matrix(x["choices"])
        is_single = choices.shape.rank == 1
        if is_single:
            choices = choices[None]
        context, question = (
            self._texts(x.get(name), choices, is_single)
            for name in ("context", "question")
        )
        features = self._pack(context, question, choices)
        if is_single:
            features = {name: value[0] for name, value in features.items()}
        if tf.executing_eagerly():
            features = {name: value.numpy() for name, value in features.items()}
        return keras.utils.pack_x_y_sample_weight(features, y, sample_weight)

    def _texts(self, texts, choices, is_single):
        if texts is None:
            return tf.fill([tf.shape(choices)[0]], "")
        texts = tf.convert_to_tensor(texts)
        return texts[None] if is_single else texts

    def _pack(self, context, question, choices):
        has_context = tf.not_equal(
            tf.strings.regex_replace(context, f"[{_WHITE_SPACE}]+", ""), ""
        )
        first = tf.where(has_context, context, question)
        question = tf.where(has_context, question, "")
        number = tf.shape(choices)[1]
        flat = tf.reshape(choices, [-1])
        which = tf.repeat(tf.range(tf.shape(choices)[0]), number)
        first, question = (
            tf.gather(ragged_ids(self.tokenizer, texts), which)
            for texts in (first, question)
        )
        second = tf.concat([question, ragged_ids(self.tokenizer, flat)], 1)
        room = self.sequence_length - 3
        second = second[:, -min(self.question_length, room) :]
        kept = tf.cast(room - second.row_lengths(), tf.int64)
        first = _cut(first, kept)
        rows = tf.shape(flat)[:1]
        cls, sep = (
            tf.fill(tf.concat([rows, [1]], 0), token)
            for token in (
                self.tokenizer.cls_token_id,
                self.tokenizer.sep_token_id,
            )
        )
        packed = tf.concat([cls, first, sep, second, sep], axis=1)
        is_choice = tf.not_equal(flat, "")[:, None]
        position = tf.range(self.sequence_length)[None]
        total, before = (
            tf.cast(n, tf.int32)[:, None]
            for n in (packed.row_lengths(), first.row_lengths() + 2)
        )
        is_token = (position < total) & is_choice
        token_ids = packed.to_tensor(
            self.tokenizer.pad_token_id, shape=[None, self.sequence_length]
        )
        features = {
            "token_ids": tf.where(
                is_token, token_ids, self.tokenizer.pad_token_id
            ),
            "segment_ids": (position >= before) & is_token,
            "padding_mask": is_token,
        }
        shape = tf.concat([tf.shape(choices), [self.sequence_length]], axis=0)
        static = [*choices.shape, self.sequence_length]
        return {
            name: tf.ensure_shape(
                tf.reshape(tf.cast(value, tf.int32), shape), static
            )
            for name, value in features.items()
        }

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "sequence_length": self.sequence_length,
                "question_length": self.question_length,
            }
        )
        return config


def _as_matrix(choices):
    """Choices as a tensor, with empty strings where there are fewer."""
    if isinstance(choices, tf.RaggedTensor):
        return choices.to_tensor("")
    if isinstance(choices, (list, tuple)):
        choices = choice_matrix(choices)
    return tf.convert_to_tensor(choices)


def choice_matrix(choices):
    """Lists of choices, side by side.

    Args:
        choices: list of lists of strings, or a list of strings.

    Returns:
        array of strings, `(questions, choices)`, with empty strings where
        there are fewer; of a list of strings `(choices,)`.
    """
    if not len(choices) or isinstance(choices[0], (str, bytes)):
        return np.array(choices, dtype=object)
    matrix = np.full((len(choices), max(map(len, choices))), "", dtype=object)
    for row, texts in zip(matrix, choices, strict=True):
        row[: len(texts)] = texts
    return matrix


def _cut(ids, lengths):
    """Rows cut to lengths of their own; int64, `(rows,)`."""
    lengths = tf.minimum(ids.row_lengths(), lengths)
    place = tf.ragged.range(ids.row_lengths()).flat_values
    is_kept = place < tf.repeat(lengths, ids.row_lengths())
    return tf.RaggedTensor.from_row_lengths(
        tf.boolean_mask(ids.flat_values, is_kept), lengths, validate=False
    )
