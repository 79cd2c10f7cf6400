"""From files of questions to a fine-tuned question answerer."""

import functools
import math
import sys

import numpy as np

from keras_albert.data.squad import read_questions
from keras_albert.metrics.squad import best_threshold, f1, score_answers
from keras_albert.preprocessing.windows import token_spans
from keras_albert.presets.loading import PRETRAINED_LEARNING_RATE
from keras_albert.tasks.question_answerer import AlbertQuestionAnswerer
from keras_albert.training.batches import LengthBatches, TokenizedTexts
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.start import make_task

# The original's, of models that it pretrained: SQuAD 1.1 and 2.0.
LEARNING_RATES = {"1.1": 5e-5, "2.0": 3e-5}
# The part of the training questions that the threshold of no answer is tuned
# on, and the most that are needed for that.
HELD_OUT = 0.05
LARGEST_HELD_OUT = 2000


def train_question_answerer(
    train_path,
    validation_path,
    output_dir,
    *,
    model=None,
    stride=128,
    question_length=64,
    seed=0,
    learning_rate=None,
    **recipe,
):
    """Fine-tunes a question answerer on files of questions.

    Where training questions have no answer, as in SQuAD 2.0, a part of them,
    with texts of its own, is held out: after each epoch the threshold of no
    answer is tuned on it, and kept with the model. The dev questions choose
    the epoch alone.

    Args:
        train_path: string or path, see
            `keras_albert.data.squad.read_questions`. Questions whose answer
            is not in their text are left out, and counted on stderr.
        validation_path: string or path of the dev questions.
        output_dir: string or path, see
            `keras_albert.training.fine_tune.fine_tune`.
        model: dictionary of arguments of
            `keras_albert.training.start.make_task`. `max_length` is 384 by
            default, as the original's for SQuAD 1.1.
        stride: int, see `AlbertQuestionAnswererPreprocessor`.
        question_length: int, see there.
        seed: int, of all that is random.
        learning_rate: float. `None`: the preset's, where it has one of its
            own, else the original's.
        **recipe: further arguments of `fine_tune`.

    Returns:
        dictionary of metrics, see `fine_tune`: `"f1"` and `"exact_match"`
        are in percent; the rows of training are windows.

    Raises:
        ValueError: if arguments or files are not as described.
        OSError: if a file is not there, or the folder cannot be written.
    """
    train, validation = map(read_questions, (train_path, validation_path))
    for note in train.notes():
        _say(note)
    rows, _ = train.learnable()
    if not len(rows):
        raise ValueError(
            f"{train_path} must hold questions that can be trained on. None "
            "has an answer that is in its text."
        )
    held_out = None
    if rows.has_unanswerable:
        rows, held_out = hold_out(rows, seed)
        _say(f"{len(held_out)} questions are held out to tune the threshold.")
    task = make_answerer(
        stride=stride,
        question_length=question_length,
        seed=seed,
        **(model or {}),
    )
    if learning_rate is None:
        learning_rate = task.backbone.learning_rate
        if learning_rate == PRETRAINED_LEARNING_RATE:
            version = "1.1" if held_out is None else "2.0"
            learning_rate = LEARNING_RATES[version]
    return fine_tune(
        task,
        rows,
        validation,
        output_dir,
        seed=seed,
        learning_rate=learning_rate,
        monitor="f1",
        batches=window_batches,
        evaluate=functools.partial(evaluate_answerer, held_out=held_out),
        **recipe,
    )


def make_answerer(*, stride=128, question_length=64, max_length=None, **model):
    """A question answerer with a fresh head, to be trained.

    Args:
        stride: int, see `AlbertQuestionAnswererPreprocessor`.
        question_length: int, see there.
        max_length: int, the tokens of a window; 384 by default, or the
            number of positions where there are fewer.
        **model: further arguments of
            `keras_albert.training.start.make_task`.

    Returns:
        An `AlbertQuestionAnswerer`.

    Raises:
        ValueError: if the arguments contradict each other.
        OSError: if there is no such vocabulary.
    """
    task = make_task(
        AlbertQuestionAnswerer,
        max_length=max_length,
        preprocessor={"stride": stride, "question_length": question_length},
        **model,
    )
    if max_length is None:
        default = task.preprocessor.default_sequence_length
        positions = task.backbone.max_sequence_length
        task.preprocessor.sequence_length = min(default, positions)
    return task


def hold_out(questions, seed):
    """Splits questions, so that no text is in both parts.

    Args:
        questions: a `Questions`.
        seed: int.

    Returns:
        Two `Questions`, the larger part and the smaller one.

    Raises:
        ValueError: if there is a single question.
    """
    group_of = questions.contexts
    if len(set(group_of)) < 2:
        group_of = questions.ids  # One text has to be in both.
    groups = list(dict.fromkeys(group_of))
    if len(groups) < 2:
        raise ValueError(
            f"{questions.path} must hold at least two questions, one to tune "
            "the threshold of no answer on. It holds one."
        )
    needed = min(math.ceil(HELD_OUT * len(questions)), LARGEST_HELD_OUT)
    members = {group: [] for group in groups}
    for index, group in enumerate(group_of):
        members[group].append(index)
    held = []
    order = np.random.default_rng(seed).permutation(len(groups))
    for place in order[:-1]:
        if len(held) >= needed:
            break
        held += members[groups[place]]
    chosen = set(held)
    kept = [i for i in range(len(questions)) if i not in chosen]
    return questions.select(kept), questions.select(sorted(held))


def window_batches(task, train, batch_size, seed, tokens_per_batch=None):
    """The batches of windows to train on, for `fine_tune`.

    Args:
        task: an `AlbertQuestionAnswerer`.
        train: a `Questions` whose answers are in their texts.
        batch_size: int, windows.
        seed: int.
        tokens_per_batch: see `keras_albert.training.batches.LengthBatches`.

    Returns:
        A `LengthBatches`.
    """
    preprocessor = task.preprocessor
    answers = first_spans(train)
    pairs, windows, targets = preprocessor.learn_windows(
        train.questions,
        train.contexts,
        [text for text, _ in answers],
        [start for _, start in answers],
    )
    _say(
        f"{len(train):,} questions on {len(pairs.contexts):,} texts make "
        f"{len(windows):,} windows; {len(pairs.cut):,} questions are longer "
        f"than {preprocessor.question_length} tokens, and cut."
    )
    texts = TokenizedTexts(
        token_ids=windows.token_ids,
        segment_ids=windows.segment_ids,
        offsets=windows.offsets,
        pad_token_id=windows.pad_token_id,
        maximum=preprocessor.sequence_length,
    )
    return LengthBatches(texts, targets, batch_size, seed, tokens_per_batch)


def first_spans(questions):
    """The first answer of each question that is in its text.

    Args:
        questions: a `Questions`.

    Returns:
        list of pairs, a text and where it begins, in characters; an empty
        text where there is none.
    """
    found = [
        [x for x in answers if x["answer_start"] is not None]
        for answers in questions.answers
    ]
    return [
        (answers[0]["text"], answers[0]["answer_start"]) if answers else ("", 0)
        for answers in found
    ]


# === Evaluation ===


def answer_questions(task, questions, batch_size=None, watch=None):
    """A model's answers in the official format.

    Args:
        task: an `AlbertQuestionAnswerer`.
        questions: a `Questions`.
        batch_size: int or `None`, windows.
        watch: see `AlbertQuestionAnswerer.rank_answers`.

    Returns:
        Two dictionaries by id: the texts, empty for no answer, and the
        probabilities of no answer, against the best span alone.
    """
    texts, probabilities = {}, {}
    threshold = task.no_answer_threshold
    ranked = task.rank_answers(
        questions.questions,
        questions.contexts,
        batch_size=batch_size,
        watch=watch,
    )
    for name, result in zip(questions.ids, ranked, strict=True):
        score = result["no_answer_score"]
        is_none = threshold is not None and score > threshold
        texts[name] = "" if is_none else result["answers"][0]["text"]
        probabilities[name] = 0.5 * (1.0 + math.tanh(0.5 * score))
    return texts, probabilities


def evaluate_answerer(task, questions, batch_size=None, held_out=None):
    """Answers questions, and scores the answers by the official metric.

    Args:
        task: an `AlbertQuestionAnswerer`.
        questions: a `Questions` with answers.
        batch_size: int or `None`, windows.
        held_out: a `Questions`; if given, `task.no_answer_threshold` is
            tuned on it first.

    Returns:
        dictionary: what `keras_albert.metrics.squad.score_answers` gives, of
        version 2.0 where a question has no answer, and `"loss"`, the mean
        over windows; with `held_out` also `"no_answer_threshold"`.
    """
    if held_out is not None:
        task.no_answer_threshold = tune_threshold(task, held_out, batch_size)
    loss = _WindowLoss(questions)
    texts, _ = answer_questions(task, questions, batch_size, watch=loss)
    metrics = score_answers(
        questions.texts(),
        texts,
        version="2.0" if questions.has_unanswerable else "1.1",
    )
    metrics["loss"] = loss.mean()
    if held_out is not None:
        metrics["no_answer_threshold"] = task.no_answer_threshold
    return metrics


def tune_threshold(task, questions, batch_size=None):
    """The threshold of no answer with the best F1.

    Args:
        task: an `AlbertQuestionAnswerer`.
        questions: a `Questions` with answers, none of those that the model
            is compared on.
        batch_size: int or `None`, windows.

    Returns:
        float, for `AlbertQuestionAnswerer.no_answer_threshold`.
    """
    ranked = task.rank_answers(
        questions.questions, questions.contexts, batch_size=batch_size
    )
    texts = {
        name: result["answers"][0]["text"]
        for name, result in zip(questions.ids, ranked, strict=True)
    }
    answers = questions.texts()
    scores = {
        name: f1(texts[name], answers[name] or [""], "2.0")
        for name in questions.ids
    }
    # Above 0, which stands for answering nothing.
    lowest = min(result["no_answer_score"] for result in ranked) - 1.0
    _, threshold = best_threshold(
        scores,
        texts,
        {
            name: result["no_answer_score"] - lowest
            for name, result in zip(questions.ids, ranked, strict=True)
        },
        {name: bool(given) for name, given in answers.items()},
    )
    return threshold + lowest


class _WindowLoss:
    """The mean loss of windows, of logits that are there already."""

    def __init__(self, questions):
        self._answers = first_spans(questions)
        self._unknown = {
            index
            for index, given in enumerate(questions.answers)
            if given and not self._answers[index][0]
        }
        self._spans = None
        self._total, self._count = 0.0, 0

    def __call__(self, pairs, windows, logits):
        if self._spans is None:
            self._spans = token_spans(pairs, self._answers)
        targets = pairs.targets(windows, self._spans)
        for row, example in enumerate(windows.example_of):
            if example in self._unknown:
                continue
            for values, position in zip(
                logits[row], (x[row] for x in targets.values()), strict=True
            ):
                self._total += 0.5 * _cross_entropy(values, position)
            self._count += 1

    def mean(self):
        return self._total / max(1, self._count)


def _cross_entropy(logits, position):
    highest = logits.max()
    total = np.exp(logits - highest, dtype="float64").sum()
    return float(np.log(total) + highest - logits[position])


def _say(message):
    print(message, file=sys.stderr)
