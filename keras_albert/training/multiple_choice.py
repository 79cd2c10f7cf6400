"""From files of questions with choices to a fine-tuned chooser."""

import numpy as np

from keras_albert.data.choices import read_choices
from keras_albert.tasks.multiple_choice import AlbertMultipleChoice
from keras_albert.training.batches import LengthBatches, TokenizedTexts
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.start import make_task

_QUESTIONS_A_CALL = 256


def train_multiple_choice(
    train_path,
    validation_path,
    output_dir,
    *,
    model=None,
    seed=0,
    **recipe,
):
    """Fine-tunes a model on files of questions with choices.

    Args:
        train_path: string or path, see `keras_albert.data.choices.
            read_choices`.
        validation_path: string or path of the dev questions.
        output_dir: string or path, see
            `keras_albert.training.fine_tune.fine_tune`.
        model: dictionary of arguments of
            `keras_albert.training.start.make_task`.
        seed: int, of all that is random.
        **recipe: further arguments of `fine_tune`.

    Returns:
        dictionary of metrics, see `fine_tune`.

    Raises:
        ValueError: if arguments or files are not as described.
        OSError: if a file is not there, or the folder cannot be written.
    """
    train, validation = map(read_choices, (train_path, validation_path))
    task = make_task(AlbertMultipleChoice, seed=seed, **(model or {}))
    return fine_tune(
        task,
        labelled(train),
        labelled(validation),
        output_dir,
        seed=seed,
        batches=choice_batches,
        evaluate=evaluate_multiple_choice,
        monitor="accuracy",
        **recipe,
    )


def labelled(rows):
    """Questions and right answers, as the recipe takes them.

    Args:
        rows: a `keras_albert.data.choices.Choices` with answers.

    Returns:
        A list of `(context, question, choices)`, and `(questions,)` int32.
    """
    questions = zip(rows.contexts, rows.questions, rows.choices, strict=True)
    return list(questions), np.array(rows.answers, "int32")


def _inputs(questions):
    names = ("context", "question", "choices")
    return dict(
        zip(names, map(list, zip(*questions, strict=True)), strict=True)
    )


def choice_batches(task, train, batch_size, seed, tokens_per_batch=None):
    """The batches of questions with choices, for `fine_tune`.

    Args:
        task: an `AlbertMultipleChoice`.
        train: see `labelled`.
        batch_size: int, questions.
        seed: int.
        tokens_per_batch: int, `"auto"` or `None`, see `LengthBatches`; those
            of all choices are counted.

    Returns:
        A `ChoiceBatches`.
    """
    questions, answers = train
    preprocessor = task.preprocessor
    token_ids, segment_ids, lengths = [], [], []
    for start in range(0, len(questions), _QUESTIONS_A_CALL):
        part = _inputs(questions[start : start + _QUESTIONS_A_CALL])
        packed = preprocessor(part)
        mask = packed["padding_mask"].astype(bool)
        token_ids.append(packed["token_ids"][mask])
        segment_ids.append(packed["segment_ids"][mask])
        tokens = mask.sum(axis=-1).ravel()
        lengths.append(tokens[tokens > 0])
    texts = TokenizedTexts(
        token_ids=np.concatenate(token_ids),
        segment_ids=np.concatenate(segment_ids),
        offsets=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]),
        pad_token_id=preprocessor.tokenizer.pad_token_id,
        maximum=preprocessor.sequence_length,
    )
    numbers = [len(choices) for _, _, choices in questions]
    return ChoiceBatches(
        numbers, texts, answers, batch_size, seed, tokens_per_batch
    )


class ChoiceBatches(LengthBatches):
    """`LengthBatches` of questions, each with its choices side by side.

    Args:
        numbers: list of int, the choices of each question.
        texts: a `TokenizedTexts` of all choices, question after question.
        *args: See `LengthBatches`.
    """

    def __init__(self, numbers, texts, *args):
        self.choice_offsets = np.concatenate([[0], np.cumsum(numbers)])
        # All of them, were they in one batch.
        self.sequences_per_example = max(numbers)
        super().__init__(texts, *args)

    @property
    def example_lengths(self):
        starts = self.choice_offsets[:-1]
        return np.maximum.reduceat(self.texts.lengths, starts)

    @property
    def guessing_loss(self):
        """The mean cross-entropy of a choice at random."""
        return float(np.log(np.diff(self.choice_offsets)).mean())

    def make_features(self):
        import tensorflow as tf

        features = super().make_features()
        choices = tf.RaggedTensor.from_row_splits(
            tf.range(self.choice_offsets[-1], dtype=tf.int64),
            self.choice_offsets,
        )

        def choice_features(rows, length):
            chosen = tf.gather(choices, rows)
            flat = features(chosen.flat_values, length)
            return {
                # Where there are fewer choices it is padding throughout.
                name: tf.RaggedTensor.from_row_splits(
                    value, chosen.row_splits, validate=False
                ).to_tensor(
                    self.texts.pad_token_id if name == "token_ids" else 0
                )
                for name, value in flat.items()
            }

        return choice_features


def evaluate_multiple_choice(task, data, batch_size=32):
    """Answers questions, and scores the answers.

    Args:
        task: an `AlbertMultipleChoice`.
        data: see `labelled`.
        batch_size: int, choices that are computed together.

    Returns:
        dictionary of floats: `"accuracy"`, `"chance"`, the accuracy of
        guessing, and `"loss"`, the mean cross-entropy.
    """
    questions, answers = data
    rows = task.choice_logits(_inputs(questions), batch_size)
    losses = [
        np.log(np.exp(row - row.max()).sum()) + row.max() - row[answer]
        for row, answer in zip(rows, answers, strict=True)
    ]
    right = [
        row.argmax() == answer
        for row, answer in zip(rows, answers, strict=True)
    ]
    return {
        "accuracy": float(np.mean(right)),
        "chance": float(np.mean([1.0 / len(row) for row in rows])),
        "loss": float(np.mean(losses)),
    }
