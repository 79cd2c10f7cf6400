"""From files of documents and summaries to a fine-tuned extractor."""

import functools
import re
import sys
import warnings

import numpy as np

from keras_albert.data.summaries import read_documents
from keras_albert.preprocessing.sentence_extractor import check_sentence_labels
from keras_albert.preprocessing.summaries import select_sentences
from keras_albert.tasks.inputs import check_count
from keras_albert.tasks.sentence_extractor import (
    AlbertSentenceExtractor,
    check_documents,
)
from keras_albert.training.batches import (
    LengthBatches,
    PerToken,
    TokenizedTexts,
)
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.start import make_task

SENTENCES = 3
ROUGE = ("rouge1", "rouge2", "rougeL")
# What `rouge-score` makes words of.
_ROUGE_WORD = re.compile("[a-z0-9]", re.IGNORECASE)


def train_sentence_extractor(
    train_path,
    validation_path,
    output_dir,
    *,
    text_column=None,
    summary_column=None,
    label_column=None,
    sentences=SENTENCES,
    model=None,
    seed=0,
    stream=None,
    **recipe,
):
    """Fine-tunes an extractor on files of documents.

    The best epoch is the one whose summaries have the highest F1 of
    sentences.

    Args:
        train_path: string or path of the training documents.
        validation_path: string or path of the dev documents.
        output_dir: string or path, see
            `keras_albert.training.fine_tune.fine_tune`.
        text_column: see `keras_albert.data.summaries.read_documents`.
        summary_column: likewise. Labels follow from summaries, see
            `keras_albert.preprocessing.summaries.oracle_labels`.
        label_column: likewise.
        sentences: int, those of a summary, for the dev metrics.
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
    check_count("sentences", sentences)
    rows = [
        read_documents(path, text_column, summary_column, label_column)
        for path in (train_path, validation_path)
    ]
    task = make_task(AlbertSentenceExtractor, seed=seed, **(model or {}))
    train, validation = (labelled(task, part) for part in rows)
    for part, (_, labels) in zip(rows, (train, validation), strict=True):
        without = sum(not any(of_one) for of_one in labels)
        if without:
            print(
                f"{part.path}: {without} documents have no sentence that "
                "belongs to a summary",
                file=sys.stderr if stream is None else stream,
            )
    return fine_tune(
        task,
        train,
        validation,
        output_dir,
        seed=seed,
        batches=block_batches,
        evaluate=functools.partial(evaluate_extractor, sentences=sentences),
        monitor="sentence_f1",
        stream=stream,
        **recipe,
    )


def labelled(task, rows):
    """Documents and labels, as the recipe takes them.

    Args:
        task: an `AlbertSentenceExtractor`.
        rows: a `keras_albert.data.summaries.Documents`.

    Returns:
        A list of lists of sentences, and a list of lists of int, 0 or 1.

    Raises:
        ValueError: if a document is empty, or has not as many labels as
            sentences; the message names file and line.
    """
    documents = task.preprocessor.documents(rows.documents)
    check_documents(documents, rows.where)
    if rows.labels is None:
        return documents, task.preprocessor.labels(rows.summaries, documents)
    labels = [
        check_sentence_labels(of_one, sentences, rows.where(index))
        for index, (of_one, sentences) in enumerate(
            zip(rows.labels, documents, strict=True)
        )
    ]
    return documents, labels


def block_batches(task, train, batch_size, seed, tokens_per_batch=None):
    """The batches of documents with labelled sentences, for `fine_tune`.

    Args:
        task: an `AlbertSentenceExtractor`.
        train: see `labelled`.
        batch_size: int, documents, or blocks of long ones.
        seed: int.
        tokens_per_batch: int, `"auto"` or `None`, see `LengthBatches`.

    Returns:
        A `LengthBatches`, whose examples are the blocks of the documents.
    """
    documents, labels = train
    preprocessor = task.preprocessor
    blocks = preprocessor.blocks(documents)
    lengths = [len(block.token_ids) for block in blocks]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("int64")
    targets = np.zeros(offsets[-1], "int32")
    weights = np.zeros(offsets[-1], "float32")
    for block, offset in zip(blocks, offsets, strict=False):
        places = offset + np.array(block.positions, "int64")
        of_document = labels[block.document]
        targets[places] = [of_document[i] for i in block.sentences]
        weights[places] = 1.0
    token_ids, segment_ids = (
        np.concatenate([getattr(block, name) for block in blocks])
        for name in ("token_ids", "segment_ids")
    )
    texts = TokenizedTexts(
        token_ids=token_ids.astype("int32"),
        segment_ids=segment_ids.astype("int32"),
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
        PerToken(weights),
    )


def evaluate_extractor(task, data, batch_size=32, sentences=SENTENCES):
    """Summarizes documents, and scores the sentences that are taken.

    Args:
        task: an `AlbertSentenceExtractor`.
        data: a list of lists of sentences, a list of lists of labels, and
            maybe a list of the documents' summaries, for ROUGE, which needs
            the package `rouge-score`.
        batch_size: int, blocks that are computed together.
        sentences: int, those of a summary.

    Returns:
        dictionary of floats: see `score_extraction`, with the prefix
        `"lead_"` those of the first sentences, for comparison; and `"loss"`,
        the mean cross-entropy of sentences.
    """
    check_count("sentences", sentences)
    documents, labels, *summaries = data
    scores = task.sentence_scores(documents, batch_size)
    chosen = [
        select_sentences(*document, sentences)
        for document in zip(documents, scores, strict=True)
    ]
    lead = [[*range(min(sentences, len(part)))] for part in documents]
    metrics = score_extraction(documents, chosen, labels, *summaries)
    of_lead = score_extraction(documents, lead, labels, *summaries)
    values = np.clip(np.concatenate(scores).astype("float64"), 1e-7, 1 - 1e-7)
    expected = np.concatenate(labels)
    losses = -np.log(np.where(expected > 0, values, 1.0 - values))
    return {
        **metrics,
        **{f"lead_{name}": value for name, value in of_lead.items()},
        "loss": float(losses.mean()),
    }


def score_extraction(documents, chosen, labels, summaries=None):
    """How good chosen sentences are.

    Args:
        documents: list of lists of sentences.
        chosen: list of lists of int, the sentences taken of each.
        labels: list of lists of int, 0 or 1.
        summaries: list of strings or tuples of strings; `None`: no ROUGE.

    Returns:
        dictionary of floats: `"sentence_f1"`, `"sentence_precision"` and
        `"sentence_recall"`, over the sentences of all documents; with
        summaries `"rouge1"`, `"rouge2"` and `"rougeL"`, mean F1 by
        `rouge-score` with stemming, of several summaries the best.
    """
    right = sum(
        sum(of_one[i] for i in part)
        for of_one, part in zip(labels, chosen, strict=True)
    )
    taken = sum(map(len, chosen))
    wanted = sum(map(sum, labels))
    both = taken + wanted
    metrics = {
        "sentence_f1": 2.0 * right / both if both else 0.0,
        "sentence_precision": right / taken if taken else 0.0,
        "sentence_recall": right / wanted if wanted else 0.0,
    }
    if summaries is not None:
        texts = [
            "\n".join(sentences[i] for i in part)
            for sentences, part in zip(documents, chosen, strict=True)
        ]
        metrics |= score_rouge(texts, summaries)
    return metrics


def score_rouge(texts, summaries):
    """ROUGE of texts, by Google's `rouge-score`.

    Args:
        texts: list of strings.
        summaries: list of strings, or of tuples of strings.

    Returns:
        dictionary of floats, see `score_extraction`.

    Raises:
        ImportError: if the package is not there.
        ValueError: if there are no texts, or not a summary for each.
    """
    if not len(texts) or len(texts) != len(summaries):
        raise ValueError(
            "There must be at least one text, and a summary for each. "
            f"Received: {len(texts)} texts and {len(summaries)} summaries."
        )
    try:
        from rouge_score import rouge_scorer
    except ImportError as error:
        raise ImportError(
            "ROUGE needs the package rouge-score; install it by `pip install "
            "keras-albert[rouge]`."
        ) from error
    unread = sum(not _ROUGE_WORD.search("".join(x)) for x in summaries)
    if unread:
        warnings.warn(
            "ROUGE reads the letters a to z and digits only: "
            f"{unread} of {len(summaries)} summaries have none, and score 0. "
            "Of other scripts read the metrics of sentences.",
            stacklevel=2,
        )
    scorer = rouge_scorer.RougeScorer(list(ROUGE), use_stemmer=True)
    rows = [
        scorer.score_multi(
            [summary] if isinstance(summary, str) else list(summary), text
        )
        for text, summary in zip(texts, summaries, strict=True)
    ]
    return {
        name: float(np.mean([row[name].fmeasure for row in rows]))
        for name in ROUGE
    }
