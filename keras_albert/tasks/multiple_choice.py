"""One of several answers."""

import keras
import keras_nlp
import numpy as np

from keras_albert.data.readers import is_blank
from keras_albert.layers.encoder import weight_initializer
from keras_albert.layers.heads import FlattenChoices, GroupChoices
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.multiple_choice import (
    KEYS,
    AlbertMultipleChoicePreprocessor,
    choice_matrix,
)
from keras_albert.tasks.inputs import as_held_out, as_lists, check_batch_size
from keras_albert.tasks.targets import (
    as_array,
    check_finite_outputs,
    check_numbers,
    check_shape,
)
from keras_albert.tasks.task import AlbertTask

# How many questions are packed in one call.
_QUESTIONS_A_CALL = 256


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertMultipleChoice(AlbertTask, keras_nlp.models.Task):
    """Scores the choices of a question, each read with its context.

    Dropout and a dense layer of one output on the pooled output of each
    choice, as for RACE in the original (`race_utils.create_model`).

    Args:
        backbone: an `AlbertBackbone`.
        preprocessor: an `AlbertMultipleChoicePreprocessor`, or `None` for a
            model of ready tensors.
        dropout: float. Dropout rate on the pooled output.
        head_dtype: dtype policy of the output layer, instead of the
            backbone's. A quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: a dictionary of `"context"`, `"question"`, which may be left out,
    and `"choices"`, see the preprocessor; or of `"token_ids"`,
    `"segment_ids"` and `"padding_mask"`, each `(batch, choices, sequence)`
    int. Questions of a batch may have different numbers of choices: what is
    missing is all padding.

    Outputs: `(batch, choices)` float, logits; -10000 where there is none.

    Targets are the right choices, `(batch,)` int. The default loss is sparse
    cross-entropy.

    An exported file has a row a choice: `"token_ids"` and the others are
    `(choices, sequence)`, and `"logits"` is `(choices, 1)`.

    Example:
    ```python
    import keras_albert as ka

    chooser = ka.AlbertMultipleChoice.from_preset("albert_tiny_en")
    x = {
        "question": ["Where is a fish at home?", "What is ice?"],
        "choices": [["In the sea", "In a tree"], ["Hot", "Cold", "Loud"]],
    }
    chooser.fit(x, [0, 1], epochs=1)
    chooser.choose("", "What flies?", ["A bird", "A stone"])
    # {"choice": "A bird", "index": 0, "score": 0.5, "scores": [0.5, 0.4…]}
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = AlbertMultipleChoicePreprocessor
    output_name = "logits"  # Of exported files.

    def __init__(
        self,
        backbone,
        preprocessor=None,
        dropout=0.1,
        head_dtype=None,
        **kwargs,
    ):
        self.check_parts(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.output_dropout = keras.layers.Dropout(
            dropout, dtype=backbone.dtype_policy, name="output_dropout"
        )
        self.output_dense = keras.layers.Dense(
            1,
            kernel_initializer=weight_initializer(),
            dtype=head_dtype or backbone.dtype_policy,
            name="logits",
        )

        # === Functional model ===
        inputs = {
            name: keras.Input(shape=(None, None), dtype="int32", name=name)
            for name in backbone.input
        }
        # (batch * choices, sequence)
        rows = {
            name: FlattenChoices(name=f"flatten_{name}")(x)
            for name, x in inputs.items()
        }
        pooled = backbone(rows)["pooled_output"]
        scores = self.output_dense(self.output_dropout(pooled))
        outputs = GroupChoices(
            dtype=backbone.dtype_policy, name="group_choices"
        )(scores, inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.dropout = dropout

    # === Training ===

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains; see `keras.Model.fit`, and the class for x and y."""
        held_out = as_held_out(kwargs.get("validation_data"))
        if isinstance(held_out, tuple):
            x_dev, y_dev, weights = held_out
            x_dev, y_dev = self._learnable(x_dev, y_dev)
            kwargs["validation_data"] = (x_dev, y_dev, weights)
        x, y = self._learnable(x, y)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Measures; see `keras.Model.evaluate`, and the class for x and y."""
        x, y = self._learnable(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def predict(self, x=None, *args, **kwargs):
        """Predicts; see `keras.Model.predict`, and the class for x."""
        return super().predict(self._questions(as_lists(x)), *args, **kwargs)

    def _learnable(self, x, y):
        """Questions and answers, checked and as arrays where they are lists.

        Datasets and ready tensors are left as they are.
        """
        x, y = as_lists((x, y))
        if isinstance(x, (list, tuple)):
            raise ValueError(
                "`x` must be a dictionary of 'question', 'choices' and maybe "
                f"'context'. Received: {x!r:.80}."
            )
        if y is None and isinstance(x, dict):
            raise ValueError(
                "There must be the index of the right choice for each "
                "question, `y`. Received none."
            )
        x = self._questions(x, y)
        # A column of them is a row for Keras's loss.
        return x, y if y is None else as_array(y).reshape(-1)

    def _questions(self, x, y=None):
        """Checks questions, and makes arrays of lists."""
        if not isinstance(x, dict) or "choices" not in x:
            return x
        for name, value in x.items():
            if not hasattr(value, "__iter__"):
                raise ValueError(
                    f"`{name}` must be a list. Received: {value!r:.80}."
                )
        x = {name: _column(value) for name, value in x.items()}
        if not isinstance(x["choices"], list):
            return x
        unknown = x.keys() - {*KEYS}
        if unknown:
            raise ValueError(
                f"`x` must have no other keys than {', '.join(KEYS)}. "
                f"Received: {', '.join(map(repr, sorted(unknown)))}."
            )
        if not x["choices"]:
            raise ValueError("There must be at least one question.")
        check_choices(x["choices"])
        numbers = list(map(len, x["choices"]))
        for name in x.keys() - {"choices"}:
            if len(x[name]) != len(numbers):
                raise ValueError(
                    f"`{name}` must have a text for each list of choices. "
                    f"Received {len(x[name])} of the former, {len(numbers)} "
                    "of the latter."
                )
            if isinstance(x[name], (list, np.ndarray)):
                _check_strings(name, x[name])
        if isinstance(y, list) or hasattr(y, "__array__"):
            answers = as_array(y)
            if len(answers) != len(numbers):
                raise ValueError(
                    "There must be an answer for each question. Received: "
                    f"{len(answers)} for {len(numbers)} questions."
                )
            _check_answers(answers, numbers)
        return {
            name: choice_matrix(value) if name == "choices" else np.array(value)
            for name, value in x.items()
        }

    def check_targets(self, y):
        """Raises ValueError for answers that are no indices."""
        check_numbers(y)
        if y.size:
            check_shape(y, (1,), "indices of choices")
            _check_answers(y, [np.inf] * len(y))

    def default_loss(self):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_weighted_metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    # === Inference ===

    def choose(self, context, question, choices, batch_size=None):
        """Tells the right choice of questions.

        Args:
            context: string, the text that the question is about; empty if
                there is none. Or a list of strings.
            question: string, or a list of as many.
            choices: list of at least two strings, or a list of as many lists;
                these may differ in length.
            batch_size: int, how many choices are computed together. `None`:
                as many as a budget of tokens allows, see
                `predict_by_length`.

        Returns:
            For one question a result, for lists a list of results. A result
            is `{"choice", "index", "score", "scores"}`: the most probable
            choice, its index and probability, and the probabilities of all.

        Raises:
            ValueError: if there is one choice or none, an empty one, or not
                a context and a list of choices for each question; if the
                outputs are not finite.
        """
        single = isinstance(question, str)
        if single:
            context, question, choices = [context], [question], [choices]
        questions = {
            "context": context,
            "question": question,
            "choices": choices,
        }
        _check_lists(questions)
        results = []
        for texts, row in zip(
            choices, self.choice_logits(questions, batch_size), strict=True
        ):
            scores = np.exp(row - row.max())
            scores /= scores.sum()
            index = int(scores.argmax())
            results.append(
                {
                    "choice": texts[index],
                    "index": index,
                    "score": float(scores[index]),
                    "scores": scores.tolist(),
                }
            )
        return results[0] if single else results

    def choice_logits(self, questions, batch_size=None):
        """Scores choices, those of similar length together.

        Args:
            questions: dictionary of lists, see the class.
            batch_size: see `choose`.

        Returns:
            list of `(choices,)` float64 arrays, a question each.
        """
        if self.preprocessor is None:
            raise ValueError(
                "AlbertMultipleChoice needs a `preprocessor` to take texts. "
                "It has none; pass one to the constructor."
            )
        check_batch_size(batch_size)
        results = []
        for start in range(0, len(questions["choices"]), _QUESTIONS_A_CALL):
            part = {
                name: value[start : start + _QUESTIONS_A_CALL]
                for name, value in questions.items()
            }
            numbers = list(map(len, part["choices"]))
            features = self.preprocessor(part)
            is_choice = features["padding_mask"].any(axis=-1)
            rows = {name: x[is_choice] for name, x in features.items()}
            logits = np.asarray(
                self.predict_features(rows, batch_size), "float64"
            )[:, 0]
            check_finite_outputs(logits)
            results += np.split(logits, np.cumsum(numbers)[:-1])
        return results

    def compute_batch(self, batch):
        """The scores of choices, a row each.

        Args:
            batch: dictionary of `(choices, sequence)` int arrays.

        Returns:
            `(choices, 1)` array.
        """
        if self.runs_rolled():
            return super().compute_batch(batch)
        batch = {name: x[:, None] for name, x in batch.items()}
        return keras.Model.predict_on_batch(self, batch)

    def head_outputs(self, backbone_outputs):
        return self.output_dense(backbone_outputs["pooled_output"])

    def inference_outputs(self, backbone_outputs, inputs=None):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs, a row
                a choice.
            inputs: the dictionary of the file's inputs.

        Returns:
            `{"logits": (choices, 1)}` float.
        """
        return {self.output_name: self.head_outputs(backbone_outputs)}

    # === Config ===

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.output_dense))
        config["dropout"] = self.dropout
        return config


def _column(value):
    """A list of what there is of each question; tensors are left.

    In arrays, rows with fewer choices end in empty strings.
    """
    is_matrix = isinstance(value, np.ndarray) and value.ndim == 2
    if is_matrix:
        rows = value.tolist()
        sizes = [max(np.flatnonzero(row) + 1, default=0) for row in value != ""]
        return [row[:size] for row, size in zip(rows, sizes, strict=True)]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value if hasattr(value, "shape") else list(value)


def check_choices(choices):
    """Raises ValueError unless each question has two choices, all texts.

    Args:
        choices: list of lists of strings.
    """
    for index, texts in enumerate(choices):
        if isinstance(texts, (str, bytes)) or len(texts) < 2:
            raise ValueError(
                "Each question must have a list of at least two choices. "
                f"Received at index {index}: {texts!r:.80}."
            )
        for text in texts:
            if not isinstance(text, (str, bytes)) or (
                is_blank(text) if isinstance(text, str) else not text.strip()
            ):
                raise ValueError(
                    "Choices must be strings that are not empty. Received at "
                    f"index {index}: {text!r:.80}."
                )


def _check_lists(questions):
    sizes = set()
    for name, value in questions.items():
        if not isinstance(value, (list, tuple)):
            raise ValueError(
                f"`{name}` must be a list where others are. Received: "
                f"{value!r:.80}."
            )
        sizes.add(len(value))
        if name != "choices":
            _check_strings(name, value)
    if len(sizes) > 1:
        raise ValueError(
            "There must be a context and a list of choices for each "
            "question. Received: "
            + ", ".join(f"{len(x)} of {name}" for name, x in questions.items())
            + "."
        )
    check_choices(questions["choices"])


def _check_strings(name, texts):
    for index, text in enumerate(texts):
        if not isinstance(text, (str, bytes)):
            raise ValueError(
                f"`{name}` must be a string; an empty one if there is "
                f"none. Received at index {index}: {text!r:.80}."
            )


def _check_answers(answers, numbers):
    check_numbers(answers)
    for index, (answer, number) in enumerate(
        zip(answers.ravel(), numbers, strict=False)
    ):
        if not 0 <= answer < number or answer != int(answer):
            raise ValueError(
                "Answers must be indices of choices, from 0. Received at "
                f"index {index}: {answer} of {number} choices."
            )
