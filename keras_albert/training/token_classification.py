"""From files of words and labels to a fine-tuned token classifier."""

import sys

import numpy as np

from keras_albert.data.conll import encode_tags, read_sentences, tag_set
from keras_albert.data.labels import class_weights as weights_of_classes
from keras_albert.data.labels import read_labels
from keras_albert.metrics.entities import score_entities, tag_scheme
from keras_albert.tasks.token_classifier import AlbertTokenClassifier
from keras_albert.training.batches import (
    LengthBatches,
    PerToken,
    TokenizedTexts,
)
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.start import make_task


def train_token_classifier(
    train_path,
    validation_path,
    output_dir,
    *,
    text_column=None,
    label_column=None,
    labels_path=None,
    class_weights=None,
    model=None,
    seed=0,
    stream=None,
    **recipe,
):
    """Fine-tunes a token classifier on files of words and labels.

    The best epoch is the one with the highest entity F1, or of labels that
    mark no entities the highest accuracy.

    Args:
        train_path: string or path of the training sentences.
        validation_path: string or path of the dev sentences.
        output_dir: string or path, see
            `keras_albert.training.fine_tune.fine_tune`.
        text_column: of the words, see
            `keras_albert.data.conll.read_sentences`.
        label_column: likewise.
        labels_path: path of a file that names the labels in order. Those of
            the training sentences by default, `O` first, the others sorted.
        class_weights: `"balanced"`, a dictionary or the path of a file, see
            `keras_albert.data.labels.class_weights`; `None`: all are 1.
        model: dictionary of arguments of
            `keras_albert.training.start.make_task`.
        seed: int, of all that is random.
        stream: text stream for notes and progress, stderr by default.
        **recipe: further arguments of `fine_tune`.

    Returns:
        dictionary of metrics, see `fine_tune`.

    Raises:
        ValueError: if arguments or files are not as described.
        OSError: if a file is not there, or the folder cannot be written.
    """
    train, validation = (
        read_sentences(path, text_column, label_column)
        for path in (train_path, validation_path)
    )
    labels = tag_set(train) if labels_path is None else read_labels(labels_path)
    classes, dev_classes = (
        encode_tags(part, labels) for part in (train, validation)
    )
    for part in (train, validation):
        tell_of_repairs(part, stream)
    examples = (train.words, classes)
    if class_weights is not None:
        weights = weights_of_classes(
            class_weights, labels, np.concatenate(classes)
        )
        examples = (train.words, classes, weights)
    task = make_task(
        AlbertTokenClassifier, labels=labels, seed=seed, **(model or {})
    )
    return fine_tune(
        task,
        examples,
        (validation.words, dev_classes),
        output_dir,
        seed=seed,
        batches=word_batches,
        evaluate=evaluate_token_classifier,
        monitor=default_word_monitor(task),
        stream=stream,
        **recipe,
    )


def tell_of_repairs(sentences, stream=None):
    """Tells how many tags of a file were repaired, and of empty sentences.

    Args:
        sentences: what `read_sentences` returned.
        stream: text stream, stderr by default.
    """
    empty = sum(not words for words in sentences.words)
    notes = []
    if sentences.repaired:
        notes.append(
            f"{sentences.repaired} tags that contradict those around them "
            "were repaired (I- after O, for instance, became B-)"
        )
    if empty:
        notes.append(f"{empty} sentences have no words, and count for nothing")
    for note in notes:
        print(
            f"{sentences.path}: {note}",
            file=sys.stderr if stream is None else stream,
        )


def word_batches(task, train, batch_size, seed, tokens_per_batch=None):
    """The batches of sentences with labelled words, for `fine_tune`.

    Args:
        task: an `AlbertTokenClassifier`.
        train: a list of lists of words, and a list of `(words,)` int arrays,
            their classes; an array of the classes' weights,
            `(num_classes,)`, may follow.
        batch_size: int, sentences, or windows of long ones.
        seed: int.
        tokens_per_batch: int, `"auto"` or `None`, see `LengthBatches`.

    Returns:
        A `LengthBatches`, whose examples are the windows of the sentences.
    """
    sentences, classes, *weights = train
    weights = weights[0] if weights else np.ones(task.num_classes)
    preprocessor = task.preprocessor
    windows = preprocessor.windows(sentences)
    if not windows:
        raise ValueError("There must be at least one word to train on.")
    lengths = [len(window.token_ids) for window in windows]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("int64")
    token_ids = np.array(
        [i for window in windows for i in window.token_ids], "int32"
    )
    targets = np.zeros(len(token_ids), "int32")
    of_tokens = np.zeros(len(token_ids), "float32")
    for window, offset in zip(windows, offsets, strict=False):
        places = offset + np.array(window.positions, "int64")
        labels = classes[window.sentence][list(window.words)]
        targets[places] = labels
        of_tokens[places] = weights[labels]
    texts = TokenizedTexts(
        token_ids=token_ids,
        segment_ids=np.zeros_like(token_ids),
        offsets=offsets,
        pad_token_id=preprocessor.tokenizer.pad_token_id,
        maximum=preprocessor.sequence_length,
    )
    return LengthBatches(
        texts,
        PerToken(targets),
        batch_size,
        seed,
        tokens_per_batch,
        PerToken(of_tokens),
    )


def evaluate_token_classifier(task, data, batch_size=32):
    """Labels words, and scores the labels.

    Args:
        task: an `AlbertTokenClassifier`.
        data: a list of lists of words, and a list of `(words,)` int arrays,
            their classes.
        batch_size: int.

    Returns:
        dictionary of floats: entity `"f1"`, `"precision"` and `"recall"`
        where the model's labels mark entities, see
        `keras_albert.metrics.entities.score_entities`; `"accuracy"` of words
        and `"loss"`, the mean cross-entropy of words.
    """
    sentences, classes = data
    rows = task.word_probabilities(sentences, batch_size)
    values, expected = np.concatenate(rows), np.concatenate(classes)
    found = values.argmax(axis=-1)
    chosen = np.take_along_axis(values, expected[:, None], axis=-1)
    smallest = np.finfo("float32").tiny
    metrics = {}
    scheme = tag_scheme(task.labels or [])
    if scheme is not None:
        names = np.array(task.labels, dtype=object)
        metrics = score_entities(
            [names[row].tolist() for row in classes],
            [names[row.argmax(axis=-1)].tolist() for row in rows],
            scheme,
        )
        metrics = {name: metrics[name] for name in ("f1", *metrics)}
    return {
        **metrics,
        "accuracy": float(np.mean(found == expected)),
        "loss": float(-np.log(np.maximum(chosen, smallest)).mean()),
    }


def default_word_monitor(task):
    """The metric that tells which epoch is best: `"f1"` or `"accuracy"`.

    Args:
        task: an `AlbertTokenClassifier`.
    """
    return "accuracy" if tag_scheme(task.labels or []) is None else "f1"
