"""Answers as spans of a text."""

import warnings

import keras
import keras_nlp
import numpy as np

from keras_albert.layers.encoder import weight_initializer
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.question_answerer import (
    AlbertQuestionAnswererPreprocessor,
    question_and_context,
)
from keras_albert.tasks.inputs import check_count
from keras_albert.tasks.questions import (
    as_pairs,
    first_answers,
    is_raw,
    window_dataset,
)
from keras_albert.tasks.spans import SpanScores
from keras_albert.tasks.targets import check_finite_outputs, check_weights
from keras_albert.tasks.task import AlbertTask

OUTPUTS = ("start_logits", "end_logits")
# Windows that are computed before their logits become answers.
_WINDOWS_AT_ONCE = 2048


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertQuestionAnswerer(AlbertTask, keras_nlp.models.Task):
    """Scores each token as the start and as the end of an answer.

    One dense layer of two outputs on the sequence output, as for SQuAD 1.1 in
    the original (`run_squad_v1`) and in Hugging Face. For SQuAD 2.0 the same
    model learns to point to `[CLS]` where there is no answer (as BERT), and
    `no_answer_threshold` decides.

    Args:
        backbone: an `AlbertBackbone`.
        preprocessor: an `AlbertQuestionAnswererPreprocessor`, or `None` for
            a model of ready tensors.
        no_answer_threshold: float or `None`. By how much the score of no
            answer must exceed that of the best span for `answer` to give
            none; `None`: it always gives one. An attribute that may be set,
            kept with the model. See
            `keras_albert.training.question_answering.tune_threshold`.
        head_dtype: dtype policy of the output layer, instead of the
            backbone's. A quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: a tuple of two lists of strings, questions and texts, or a
    dictionary of these, `"question"` and `"context"`, and maybe `"answers"`; a
    `tf.data.Dataset` of batches as `AlbertQuestionAnswererPreprocessor` takes
    them; or the backbone's dictionary of tensors, the question as segment 0
    and the text as segment 1.

    Outputs: a dictionary of
        - `"start_logits"`: `(batch, sequence)` float;
        - `"end_logits"`: `(batch, sequence)` float.

    Targets, where the inputs have no `"answers"`, are a list of these: each a
    text, a dictionary of `"text"` and maybe `"answer_start"`, in characters, a
    list of these, of which the first counts, or `None` where the text has no
    answer. Without a start, it is where the text stands first. Of ready
    tensors they are a dictionary of the outputs' names: positions, `(batch,)`
    int. The default loss is the mean of the two sparse cross-entropies.

    Texts that are too long are read in several windows, which `batch_size` of
    `fit` counts; `sample_weight` is one weight a question.

    Raises:
        ValueError: if the arguments contradict each other; by `fit` and
            `evaluate` if an answer is not in its text, a text has no words,
            or what is given cannot be meant.

    Example:
    ```python
    import keras_albert as ka

    answerer = ka.AlbertQuestionAnswerer.from_preset("albert_tiny_en")
    text = "The Oder is 840 km long and flows into the Baltic Sea."
    answerer.fit(
        (["How long is it?", "Where does it end?"], [text, text]),
        [{"text": "840 km"}, {"text": "the Baltic Sea"}],
        batch_size=2,
        epochs=1,
    )
    answerer.answer("How long is the Oder?", text)
    # {"text": "840 km", "score": 0.0…, "start": 12, "end": 18}
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = AlbertQuestionAnswererPreprocessor
    makes_targets = True

    def __init__(
        self,
        backbone,
        preprocessor=None,
        no_answer_threshold=None,
        head_dtype=None,
        **kwargs,
    ):
        self.check_parts(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.span_dense = keras.layers.Dense(
            2,
            kernel_initializer=weight_initializer(),
            dtype=head_dtype or backbone.dtype_policy,
            name="span_logits",
        )

        # === Functional model ===
        inputs = backbone.input
        outputs = self.head_outputs(backbone(inputs))
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.no_answer_threshold = no_answer_threshold

    # === Questions and texts ===

    def answer(
        self,
        question,
        context,
        top_k=1,
        max_answer_length=30,
        batch_size=None,
    ):
        """Answers questions by parts of texts.

        Texts of any length: they are read in windows that overlap, and the
        best span of all windows is the answer.

        Args:
            question: a string, or a list of strings.
            context: a string, or a list of strings, the text that each
                question is about. One string is the text, or the question,
                of all.
            top_k: int. How many answers are given, each text once.
            max_answer_length: int, tokens.
            batch_size: int. How many windows are computed together; `None`:
                as many as have `keras_albert.tasks.task.TOKENS_PER_BATCH`
                tokens.

        Returns:
            For one question a result, where either is a list a list of
            results. A result is `{"text", "score", "start", "end"}`, a list
            of them when `top_k` is above 1, best first: `text` is
            `context[start:end]`; `score` is its probability among all spans,
            and no answer where `no_answer_threshold` is set. No answer is an
            empty text at 0, and comes first where the threshold says so.

        Raises:
            ValueError: if `question` or `context` is no text, a question is
                empty, a text has no words, or the model's outputs are not
                finite.
        """
        questions, contexts, single = as_pairs(question, context)
        results = []
        for ranked in self.rank_answers(
            questions, contexts, top_k, max_answer_length, batch_size
        ):
            answers = ranked["answers"]
            if (
                self.no_answer_threshold is not None
                and ranked["no_answer_score"] > self.no_answer_threshold
            ):
                score = ranked["no_answer_probability"]
                none = {"text": "", "score": score, "start": 0, "end": 0}
                answers = [none, *answers][:top_k]
            results.append(answers[0] if top_k == 1 else answers)
        return results[0] if single else results

    def rank_answers(
        self,
        questions,
        contexts,
        top_k=1,
        max_answer_length=30,
        batch_size=None,
        watch=None,
    ):
        """The best spans, and how no answer compares with them.

        What `answer` decides from, and thresholds are tuned on.

        Args:
            questions: list of strings.
            contexts: list of strings, as many.
            top_k: int, see `answer`.
            max_answer_length: int, tokens.
            batch_size: int or `None`, see `answer`.
            watch: function that is called on each part that is computed,
                with the `TokenizedPairs`, their `Windows`, and a list of the
                pairs of logits of each window; for losses.

        Returns:
            list of dictionaries, one a question: `"answers"`, a list as of
            `answer`; `"no_answer_score"`, float, by how much no answer is
            scored above the best span (`score_diff` of the original);
            `"no_answer_probability"`, float, 0 without a threshold.

        Raises:
            ValueError: see `answer`.
        """
        for name, value in (
            ("top_k", top_k),
            ("max_answer_length", max_answer_length),
        ):
            check_count(name, value)
        if not questions:
            return []
        self._check_preprocessor()
        pairs = self.preprocessor.readable_pairs(questions, contexts)
        _warn_of_cut(pairs, self.preprocessor)
        results = []
        for examples in _groups(pairs):
            windows = pairs.windows(examples)
            logits = self._window_logits(windows, batch_size)
            if watch is not None:
                watch(pairs, windows, logits)
            rows = np.searchsorted(
                windows.example_of, [*examples, examples[-1] + 1]
            )
            for example, first, last in zip(
                examples, rows[:-1], rows[1:], strict=True
            ):
                scores = _span_scores(
                    pairs.spans[pairs.context_of[example]],
                    windows,
                    range(first, last),
                    logits,
                    max_answer_length,
                )
                answers, null = scores.best(
                    contexts[example],
                    top_k,
                    self.no_answer_threshold is not None,
                )
                results.append(
                    {
                        "answers": answers,
                        "no_answer_score": scores.no_answer_score,
                        "no_answer_probability": null,
                    }
                )
        return results

    def _window_logits(self, windows, batch_size):
        logits = [None] * len(windows)
        for rows, outputs in self.outputs_by_length(
            windows.features(), batch_size
        ):
            starts, ends = (
                np.asarray(
                    keras.ops.convert_to_numpy(
                        keras.ops.cast(outputs[name], "float32")
                    )
                )
                for name in OUTPUTS
            )
            check_finite_outputs(starts)
            check_finite_outputs(ends)
            for place, row in enumerate(rows):
                logits[row] = starts[place], ends[place]
        return logits

    def _check_preprocessor(self):
        if not isinstance(
            self.preprocessor, AlbertQuestionAnswererPreprocessor
        ):
            raise ValueError(
                f"{type(self).__name__} needs a `preprocessor` to take texts, "
                "an AlbertQuestionAnswererPreprocessor. Received: "
                f"{self.preprocessor!r:.60}; pass one to the constructor."
            )

    # === Training ===

    def check_texts(self, x):
        """Raises ValueError unless there are two lists of strings."""
        if is_raw(x):
            as_pairs(*question_and_context(x))

    def is_raw(self, x):
        return is_raw(x)

    def predict(self, x=None, *args, **kwargs):
        """Predicts; see `keras.Model.predict`, and the class for x."""
        if is_raw(x):
            x = as_pairs(*question_and_context(x))[:2]
        return super().predict(x, *args, **kwargs)

    def make_dataset(self, x, y, sample_weight, batch_size, shuffle):
        """Batches of windows; see `AlbertTask.make_dataset`."""
        self._check_preprocessor()
        questions, contexts, _ = as_pairs(*question_and_context(x))
        weights = check_weights(sample_weight, len(questions))
        if y is None and isinstance(x, dict):
            y = x.get("answers")
        texts, starts = first_answers(y, contexts)
        pairs, windows, targets = self.preprocessor.learn_windows(
            questions, contexts, texts, starts
        )
        _warn_of_cut(pairs, self.preprocessor)
        features = windows.features(self.preprocessor.sequence_length)
        if weights is not None:
            weights = weights[windows.example_of]
        data = keras.utils.pack_x_y_sample_weight(features, targets, weights)
        return window_dataset(data, batch_size or 32, shuffle)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Questions and texts to batches; see `AlbertTask`."""
        if y is None and not (isinstance(x, dict) and "token_ids" in x):
            # `predict` puts batches together, which must be as long.
            return keras_nlp.models.Task.preprocess_samples(self, x)
        return super().preprocess_samples(x, y, sample_weight)

    def inference_outputs(self, backbone_outputs, inputs=None):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            The dictionary of outputs, see the class.
        """
        return self.head_outputs(backbone_outputs)

    def head_outputs(self, backbone_outputs):
        logits = self.span_dense(backbone_outputs["sequence_output"])
        return {
            "start_logits": logits[:, :, 0],
            "end_logits": logits[:, :, 1],
        }

    def compile(self, *args, loss_weights=None, **kwargs):
        """Configures training; see `AlbertTask.compile`.

        Args:
            *args: optimizer and loss.
            loss_weights: dictionary; by default a half for each output.
            **kwargs: See `keras.Model.compile`.
        """
        if loss_weights is None:
            loss_weights = dict.fromkeys(OUTPUTS, 0.5)
        super().compile(*args, loss_weights=loss_weights, **kwargs)

    def default_loss(self):
        return {
            name: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            for name in OUTPUTS
        }

    def default_weighted_metrics(self):
        return {
            name: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
            for name in OUTPUTS
        }

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.span_dense))
        config["no_answer_threshold"] = self.no_answer_threshold
        return config


def _warn_of_cut(pairs, preprocessor):
    if pairs.cut:
        warnings.warn(
            f"{len(pairs.cut)} of {len(pairs)} questions are longer than "
            f"`question_length` {preprocessor.question_length} tokens, and "
            f"were cut; the first one is that at index {pairs.cut[0]}.",
            stacklevel=4,
        )


def _groups(pairs):
    """Examples in groups of not too many windows."""
    group, count = [], 0
    for example in range(len(pairs)):
        group.append(example)
        count += len(pairs.windows_of(example))
        if count >= _WINDOWS_AT_ONCE:
            yield group
            group, count = [], 0
    if group:
        yield group


def _span_scores(spans, windows, rows, logits, max_answer_length):
    parts, nulls = [], []
    for row in rows:
        starts, ends = logits[row]
        tokens = windows.offsets[row + 1] - windows.offsets[row]
        part = slice(windows.prefix[row], tokens - 1)
        parts.append((windows.begin[row], starts[part], ends[part]))
        nulls.append(float(starts[0]) + float(ends[0]))
    return SpanScores(parts, spans, min(nulls), max_answer_length)
