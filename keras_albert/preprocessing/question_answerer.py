"""From questions and texts to the inputs of a question answerer."""

import keras
import keras_nlp
import numpy as np

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.preprocessing.windows import TokenizedPairs, token_spans
from keras_albert.presets.loading import (
    PREPROCESSOR_FILE,
    PreprocessingPresetMixin,
)

# Texts tokenized in one call.
_TEXTS_A_CALL = 1024


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertQuestionAnswererPreprocessor(
    PreprocessingPresetMixin, keras_nlp.models.Preprocessor
):
    """Packs a question and a text as `[CLS] question [SEP] text [SEP]`.

    A text that is too long for one sequence is read in several, windows that
    overlap, as in the original (`run_squad_v1`). Each different text is
    tokenized once, however many questions are asked about it.

    Args:
        tokenizer: an `AlbertTokenizer`.
        sequence_length: int. Length of the packed sequences, in tokens.
        stride: int. How many tokens further into the text the next window
            begins. At most as many as fit.
        question_length: int. The longest question, in tokens. Longer ones
            are cut.
        **kwargs: See `keras_nlp.models.Preprocessor`.

    Call arguments:
        x: a tuple of questions and texts, each a string or a list or tensor
            of strings; or a dictionary of these, `"question"` and
            `"context"`.
        y: a dictionary of `"text"` and `"answer_start"`, each with an entry
            an example: the answer, and its place in the text in characters.
            An empty text says that there is no answer. Without `y`, pass
            `y=None`: of a tuple alone Keras takes the second entry for it.
        sample_weight: weights, one an example.

    Returns:
        Without `y` a dictionary of `"token_ids"`, `"segment_ids"` and
        `"padding_mask"`, each `(batch, sequence_length)` int32: the first
        window of each text, a row an example. With `y` all windows, a row a
        window, in a tuple with the targets, a dictionary of `"start_logits"`
        and `"end_logits"`, each `(windows,)` int32, positions in the window,
        0 (`[CLS]`) where the answer is not in it.

    Raises:
        ValueError: if lengths leave no room for a text, a text has no words,
            or an answer does not stand at its place.

    Example:
    ```python
    import keras_albert as ka

    preprocessor = ka.AlbertQuestionAnswererPreprocessor.from_preset(
        "albert_tiny_en", sequence_length=32, question_length=16
    )
    x, y = preprocessor(
        (["How long is it?"], ["The river is 840 km long."]),
        y={"text": ["840 km"], "answer_start": [13]},
    )
    x["token_ids"].shape  # (1, 32)
    ```
    """

    backbone_cls = AlbertBackbone
    tokenizer_cls = AlbertTokenizer
    preset_file = PREPROCESSOR_FILE
    default_sequence_length = 384
    takes_single_texts = False
    # How a device packs the first window, the question cut before.
    truncate = "waterfall"

    def __init__(
        self,
        tokenizer,
        sequence_length=384,
        stride=128,
        question_length=64,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.stride = stride
        self.question_length = question_length
        self._check_lengths()

    def _check_lengths(self):
        if self.stride < 1 or self.question_length < 1:
            raise ValueError(
                "`stride` and `question_length` must be positive. Received: "
                f"stride={self.stride}, question_length="
                f"{self.question_length}."
            )
        if self.sequence_length < self.question_length + 4:
            raise ValueError(
                "`sequence_length` must be at least `question_length + 4`, "
                "to hold a question, three special tokens and a part of the "
                f"text. Received: sequence_length={self.sequence_length}, "
                f"question_length={self.question_length}; lower the latter."
            )

    def call(self, x, y=None, sample_weight=None):
        questions, contexts = question_and_context(x)
        if self._use_tf_workflow():
            return self._call_in_graph(questions, contexts, y, sample_weight)
        single = isinstance(questions, str) or np.ndim(questions) == 0
        questions, contexts = strings(questions), strings(contexts)
        if y is None:
            pairs = self.tokenize_pairs(questions, contexts)
            features = pairs.windows(first_only=True).features(
                self.sequence_length
            )
            if single:
                features = {name: value[0] for name, value in features.items()}
            return features
        texts, starts = _columns(y)
        return keras.utils.pack_x_y_sample_weight(
            *self._examples(
                questions, contexts, strings(texts), starts, sample_weight
            )
        )

    def tokenize_pairs(self, questions, contexts):
        """Tokenizes questions and texts, each different text once.

        Args:
            questions: list of strings.
            contexts: list of strings, as many.

        Returns:
            A `keras_albert.preprocessing.windows.TokenizedPairs`.

        Raises:
            ValueError: if there are none, not as many of each, or the
                tokenizer does not tell where tokens stand.
        """
        tokenizer = self.tokenizer
        if not hasattr(tokenizer, "tokenize_with_offsets"):
            raise ValueError(
                "Answers in texts need a tokenizer that tells where tokens "
                f"stand, an AlbertTokenizer. Received: {tokenizer!r:.80}."
            )
        if not questions or len(questions) != len(contexts):
            raise ValueError(
                "There must be at least one question, and a text for each. "
                f"Received: {len(questions)} questions and {len(contexts)} "
                "texts."
            )
        index = {text: i for i, text in enumerate(dict.fromkeys(contexts))}
        ids, spans = _tokenize(tokenizer, list(index))
        limit = min(self.question_length, self.sequence_length - 3)
        question_ids = _tokenize(tokenizer, questions)[0]
        return TokenizedPairs(
            questions=[row[:limit] for row in question_ids],
            contexts=ids,
            spans=spans,
            context_of=np.array([index[text] for text in contexts], "int64"),
            sequence_length=self.sequence_length,
            stride=self.stride,
            cut=[i for i, row in enumerate(question_ids) if len(row) > limit],
            cls_token_id=tokenizer.cls_token_id,
            sep_token_id=tokenizer.sep_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )

    def readable_pairs(self, questions, contexts):
        """Tokenizes questions and texts that there can be an answer in.

        Args:
            questions: list of strings.
            contexts: list of strings, as many.

        Returns:
            A `keras_albert.preprocessing.windows.TokenizedPairs`.

        Raises:
            ValueError: if there are none, a question is empty, a text has no
                words, or lengths leave no room for a text.
        """
        self._check_lengths()
        pairs = self.tokenize_pairs(questions, contexts)
        has_words = [bool((x[:, 0] < x[:, 1]).any()) for x in pairs.spans]
        for example, context in enumerate(pairs.context_of):
            if not has_words[context]:
                raise ValueError(
                    "Texts must hold words to have an answer. The one at "
                    f"index {example} holds none: {contexts[example]!r:.60}."
                )
            if not len(pairs.questions[example]):
                raise ValueError(
                    "Questions must hold words. The one at index "
                    f"{example} holds none: {questions[example]!r:.60}."
                )
        return pairs

    def learn_windows(self, questions, contexts, texts, starts):
        """All windows of examples, and where in them the answers are.

        Args:
            questions: list of strings.
            contexts: list of strings.
            texts: list of strings, the answers; empty where there is none.
            starts: ints, where each stands in its text, in characters.

        Returns:
            The `TokenizedPairs`, their `Windows`, and the targets, see
            `TokenizedPairs.targets`.

        Raises:
            ValueError: if a text has no words, or an answer does not stand
                at its place.
        """
        pairs = self.readable_pairs(questions, contexts)
        answers = [
            (text, int(i)) for text, i in zip(texts, starts, strict=True)
        ]
        spans = token_spans(pairs, answers)
        for example, (text, start) in enumerate(answers):
            context = contexts[example]
            stands = start >= 0 and context.startswith(text, start)
            if text and (not stands or spans[example] is None):
                found = context[max(start, 0) :][: len(text)]
                raise ValueError(
                    "An answer must stand in its text, `text[answer_start:]`, "
                    f"and have a token. Received at index {example}: "
                    f"{text!r:.60} at {start}, where there is {found!r:.60}."
                )
        windows = pairs.windows()
        return pairs, windows, pairs.targets(windows, spans)

    def _examples(self, questions, contexts, texts, starts, sample_weight):
        _, windows, targets = self.learn_windows(
            questions, contexts, texts, np.asarray(starts).reshape(-1)
        )
        if sample_weight is not None:
            weights = np.asarray(sample_weight, "float32")
            sample_weight = weights[windows.example_of]
        features = windows.features(self.sequence_length)
        return features, targets, sample_weight

    # === In graphs ===

    def _call_in_graph(self, questions, contexts, y, sample_weight):
        import tensorflow as tf

        questions, contexts = map(tf.convert_to_tensor, (questions, contexts))
        if y is None:
            return self._pack_in_graph(questions, contexts)
        texts, starts = map(tf.convert_to_tensor, _columns(y))
        given = [questions, contexts, texts, starts]
        if sample_weight is not None:
            given.append(tf.cast(sample_weight, "float32"))

        # Where tokens stand is known in Python only.
        def examples(questions, contexts, texts, starts, weights=None):
            features, targets, weights = self._examples(
                *map(strings, (questions, contexts, texts)), starts, weights
            )
            values = [*features.values(), *targets.values()]
            return values if weights is None else [*values, weights]

        types = ["int32"] * 5 + ["float32"] * (len(given) - 4)
        outputs = tf.numpy_function(examples, given, types)
        for index, output in enumerate(outputs):
            output.set_shape(
                [None, self.sequence_length] if index < 3 else [None]
            )
        names = ("token_ids", "segment_ids", "padding_mask")
        features = dict(zip(names, outputs[:3], strict=True))
        targets = {"start_logits": outputs[3], "end_logits": outputs[4]}
        weights = outputs[5] if sample_weight is not None else None
        return keras.utils.pack_x_y_sample_weight(features, targets, weights)

    def _pack_in_graph(self, questions, contexts):
        import tensorflow as tf

        tokenizer, length = self.tokenizer, self.sequence_length
        single = questions.shape.rank == 0
        if single:
            questions, contexts = questions[None], contexts[None]
        limit = min(self.question_length, length - 3)
        question = tokenizer(questions)[:, :limit]
        context = tokenizer(contexts)
        column = tf.ones([tf.size(questions), 1], "int32")
        cls, sep = (
            column * token
            for token in (tokenizer.cls_token_id, tokenizer.sep_token_id)
        )
        before = tf.concat([cls, question, sep], axis=1)
        whole = tf.concat([before, context], axis=1)[:, : length - 1]
        segments = tf.concat(
            [tf.zeros_like(before), tf.ones_like(context)], axis=1
        )[:, : length - 1]
        shape = tf.cast([-1, length], "int64")
        features = {
            "token_ids": tf.concat([whole, sep], axis=1).to_tensor(
                tokenizer.pad_token_id, shape=shape
            ),
            "segment_ids": tf.concat([segments, column], axis=1).to_tensor(
                shape=shape
            ),
            "padding_mask": tf.sequence_mask(
                whole.row_lengths() + 1, length, dtype=tf.int32
            ),
        }
        if single:
            features = {name: value[0] for name, value in features.items()}
        return features

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "sequence_length": self.sequence_length,
                "stride": self.stride,
                "question_length": self.question_length,
            }
        )
        return config


def question_and_context(x):
    """The two sides of what a question answerer is given.

    Args:
        x: a pair as a tuple, or a dictionary of `"question"` and
            `"context"`.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(x, dict) and {"question", "context"} <= set(x):
        return x["question"], x["context"]
    if isinstance(x, tuple) and len(x) == 2:
        return x
    raise ValueError(
        "`x` must be a tuple of questions and texts, or a dictionary of "
        f"'question' and 'context'. Received: {x!r:.100}."
    )


def strings(values):
    """A list of strings from one, several, an array or a tensor of them.

    Args:
        values: what was given; bytes are UTF-8.
    """
    if isinstance(values, (str, bytes)):
        values = [values]
    elif not isinstance(values, (list, tuple)):
        if hasattr(values, "numpy"):
            values = values.numpy()
        values = np.atleast_1d(values).tolist()
    return [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for value in values
    ]


def _columns(y):
    if not isinstance(y, dict) or not {"text", "answer_start"} <= set(y):
        raise ValueError(
            "`y` must be a dictionary of 'text' and 'answer_start', each with "
            f"an entry an example. Received: {y!r:.100}."
        )
    return y["text"], y["answer_start"]


def _tokenize(tokenizer, texts):
    """Ids and places of the tokens of texts, as lists of arrays."""
    ids, spans = [], []
    for start in range(0, len(texts), _TEXTS_A_CALL):
        rows = tokenizer.tokenize_with_offsets(
            texts[start : start + _TEXTS_A_CALL]
        )
        ids += [np.array(row, "int32") for row in rows[0]]
        spans += [np.array(row, "int32").reshape(-1, 2) for row in rows[1]]
    return ids, spans
