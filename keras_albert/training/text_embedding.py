"""From files of texts that belong together to a fine-tuned embedder."""

import keras
import numpy as np

from keras_albert.metrics.pearson import PearsonCorrelation
from keras_albert.metrics.retrieval import score_retrieval
from keras_albert.metrics.spearman import SpearmanCorrelation
from keras_albert.preprocessing.text_embedder import pair_targets
from keras_albert.tasks.pair_losses import check_score_range
from keras_albert.tasks.pairs import check_negatives, check_scores
from keras_albert.tasks.text_embedder import AlbertTextEmbedder
from keras_albert.training.batches import LengthBatches, tokenize_texts
from keras_albert.training.evaluation import result_of
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.start import make_task


def train_text_embedder(
    train_path,
    validation_path,
    output_dir,
    files,
    *,
    score_range=None,
    pooling="mean",
    temperature=0.05,
    model=None,
    seed=0,
    **recipe,
):
    """Fine-tunes an embedder on files of texts that belong together.

    The best epoch is the one with the highest mean reciprocal rank, or of
    scores the highest Spearman correlation.

    Args:
        train_path: string or path of the training texts.
        validation_path: string or path of the dev texts.
        output_dir: string or path, see
            `keras_albert.training.fine_tune.fine_tune`.
        files: a `keras_albert.data.pairs.PairFiles`, how files are read.
        score_range: pair of floats, the lowest and the highest score, where
            the files have scores; 0 and 1 by default.
        pooling: `"mean"` or `"cls"`.
        temperature: float, see `AlbertTextEmbedder`.
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
    if score_range is not None and not files.regression:
        raise ValueError(
            "A score range must come with scores (regression). Received "
            f"{score_range} without; leave it out."
        )
    score_range = (0.0, 1.0) if score_range is None else score_range
    check_score_range(score_range)
    train, validation = (
        labelled(files, path, score_range)
        for path in (train_path, validation_path)
    )
    if not files.regression:
        check_negatives_there(train[0])
    task = make_task(
        AlbertTextEmbedder,
        pooling=pooling,
        objective="cosine" if files.regression else "contrastive",
        temperature=temperature,
        score_range=score_range,
        seed=seed,
        **(model or {}),
    )
    return fine_tune(
        task,
        train,
        validation,
        output_dir,
        seed=seed,
        batches=pair_batches,
        evaluate=evaluate_embedder,
        monitor=default_pair_monitor(task),
        **recipe,
    )


def labelled(files, path, score_range=(0.0, 1.0)):
    """The examples of a file, as the recipe takes them.

    Args:
        files: a `PairFiles`.
        path: string or path.
        score_range: pair of floats.

    Returns:
        A list of tuples of texts, and scores, classes or `None`.

    Raises:
        ValueError: if a score is outside the range, or a hard negative is no
            negative; the message names file and line.
    """
    rows = files.read(path)
    targets = files.targets(rows)
    if files.regression:
        check_scores(targets, score_range, rows.where)
    else:
        check_negatives(rows.texts, rows.where)
    return rows.texts, targets


def check_negatives_there(examples):
    """Raises ValueError if there is nothing that texts could be told from.

    Args:
        examples: list of tuples of two texts, or of three with hard negatives.
    """
    seconds = {texts[1] for texts in examples}
    if len(examples[0]) == 2 and len(seconds) < 2:
        raise ValueError(
            "There must be at least two different second texts to train on: a "
            "text learns from those that it does not belong to. Received: "
            f"{len(examples)} examples with one."
        )


def pair_batches(task, train, batch_size, seed, tokens_per_batch=None):
    """The batches of texts that belong together, for `fine_tune`.

    Args:
        task: an `AlbertTextEmbedder`.
        train: see `labelled`.
        batch_size: int, examples.
        seed: int.
        tokens_per_batch: int, `"auto"` or `None`, see `LengthBatches`; those
            of all texts of an example are counted.

    Returns:
        A `PairBatches`.

    """
    examples, targets = train
    number = len(examples[0])
    if task.objective == "contrastive":
        targets = _targets(examples, targets).reshape(-1, number, 6)
    texts = tokenize_texts(
        task.preprocessor, [text for part in examples for text in part]
    )
    return PairBatches(
        number, texts, targets, batch_size, seed, tokens_per_batch
    )


def _targets(examples, classes):
    return pair_targets(np.array(examples, dtype=object), classes).numpy()


class PairBatches(LengthBatches):
    """`LengthBatches` of examples, whose texts are a row each.

    Args:
        number: int, the texts of an example.
        texts: a `TokenizedTexts` of all texts, example after example.
        targets: `(examples, number, 6)` int or `(examples,)` float, see
            `AlbertTextEmbedderPreprocessor`.
        *args: See `LengthBatches`.
    """

    guessing_loss = None

    def __init__(self, number, texts, targets, *args):
        self.sequences_per_example = number
        super().__init__(texts, targets, *args)

    @property
    def example_lengths(self):
        lengths = self.texts.lengths
        return lengths.reshape(-1, self.sequences_per_example).max(axis=1)

    def make_features(self):
        import tensorflow as tf

        features = super().make_features()
        number = self.sequences_per_example

        def of_examples(rows, length):
            of_texts = rows[:, None] * number + tf.range(
                number, dtype=rows.dtype
            )
            return features(tf.reshape(of_texts, [-1]), length)

        return of_examples

    def _make_values(self, values):
        import tensorflow as tf

        of_examples = super()._make_values(values)

        def of_texts(rows, length):
            value = of_examples(rows, length)
            if values.ndim == 1:
                return tf.repeat(value, self.sequences_per_example)
            return tf.reshape(value, [-1, values.shape[-1]])

        return of_texts


def evaluate_embedder(task, data, batch_size=32):
    """Embeds texts, and scores how near those lie that belong together.

    Args:
        task: an `AlbertTextEmbedder`.
        data: see `labelled`.
        batch_size: int, texts that are computed together; examples that the
            loss is computed of.

    Returns:
        dictionary of floats. With scores `"spearman"` and `"pearson"` of the
        cosine similarities, without `"recall@1"`, `"recall@5"` and `"mrr"`,
        see `retrieval_metrics`, and `"candidates"`, how many
        second texts there are to find. Always `"loss"`.
    """
    examples, targets = data
    texts = list(dict.fromkeys(text for part in examples for text in part))
    place = {text: index for index, text in enumerate(texts)}
    vectors = unit_length(task.embed(texts, batch_size))
    rows = np.array([[place[text] for text in part] for part in examples])
    batches = batch_size or 32
    if task.objective == "cosine":
        cosine = (vectors[rows[:, 0]] * vectors[rows[:, 1]]).sum(axis=1)
        metrics = {
            "spearman": result_of(
                SpearmanCorrelation(len(rows)), cosine, targets
            ),
            "pearson": result_of(PearsonCorrelation(), cosine, targets),
        }
        of_rows = np.repeat(targets, 2)
    else:
        metrics = retrieval_metrics(vectors, rows, targets)
        of_rows = _targets(examples, targets)
    loss, number = task.default_loss(), rows.shape[1]
    losses, step = [], batches * number
    for start in range(0, len(of_rows), step):
        part = slice(start, start + step)
        value = loss(of_rows[part], vectors[rows.ravel()[part]])
        losses.append(float(keras.ops.convert_to_numpy(value)))
    sizes = np.diff([*range(0, len(of_rows), step), len(of_rows)])
    return {**metrics, "loss": float(np.average(losses, weights=sizes))}


def retrieval_metrics(vectors, rows, classes=None):
    """How well the first texts of examples find their second texts.

    The candidates are all second texts and hard negatives, each once; a text
    is none for itself, unless it is its own second text. Right are those that
    belong to the same text in any example, or to one of the same class.

    Args:
        vectors: `(texts, dim)` float, of the different texts.
        rows: `(examples, 2 or 3)` int, the texts of each example.
        classes: sequence of the examples' classes, or `None`.

    Returns:
        dictionary, see `evaluate_embedder`.
    """
    keys = rows[:, 0].tolist() if classes is None else list(classes)
    right = {}
    for key, positive in zip(keys, rows[:, 1].tolist(), strict=True):
        right.setdefault(key, set()).add(positive)
    candidates = np.unique(rows[:, 1:])
    place = {text: index for index, text in enumerate(candidates.tolist())}
    relevant, left_out = [], []
    for key, (text, positive, *_) in zip(keys, rows.tolist(), strict=True):
        is_candidate = text in place and text != positive
        left_out.append([place[text]] if is_candidate else [])
        found = right[key] - {text} if is_candidate else right[key]
        relevant.append([place[other] for other in sorted(found)])
    metrics = score_retrieval(
        vectors[rows[:, 0]],
        vectors[candidates],
        relevant,
        left_out=left_out,
    )
    return {**metrics, "candidates": len(candidates)}


def default_pair_monitor(task):
    """The metric that tells which epoch is best: `"spearman"` or `"mrr"`."""
    return "spearman" if task.objective == "cosine" else "mrr"


def unit_length(vectors):
    """Vectors scaled to length 1, `(texts, dim)` float64."""
    vectors = np.asarray(vectors, "float64")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, 1e-12)
