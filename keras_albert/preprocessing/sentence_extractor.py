"""From documents to the inputs of a model that scores their sentences."""

import dataclasses

import keras
import keras_nlp
import numpy as np

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.blocks import Block, plan_blocks
from keras_albert.preprocessing.packer import python_ids
from keras_albert.preprocessing.sentences import document_spans
from keras_albert.preprocessing.summaries import oracle_labels
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.presets.loading import (
    PREPROCESSOR_FILE,
    PreprocessingPresetMixin,
)


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertSentenceExtractorPreprocessor(
    PreprocessingPresetMixin, keras_nlp.models.Preprocessor
):
    """Packs documents with a `[CLS]` before each sentence, as BERTSUM.

    `[CLS] first sentence [SEP] [CLS] second sentence [SEP] …`, the sentences
    of segment 0 and 1 in turn (Liu and Lapata 2019,
    https://arxiv.org/abs/1908.08345, section 3.1). A sentence that is longer
    than a sequence is cut off. A document without sentences is `[CLS] [SEP]`.

    Args:
        tokenizer: an `AlbertTokenizer`.
        sequence_length: int. Length of the packed sequences, in tokens. Here
            the sentences beyond it are left out; `blocks`, and so `fit` with
            lists and `summarize`, make several sequences of whole sentences
            instead.
        **kwargs: See `keras_nlp.models.Preprocessor`.

    Call arguments:
        x: documents: strings, which are split into sentences (see
            `keras_albert.preprocessing.sentences`), or lists of sentences.
            In a `tf.data` pipeline a ragged tensor of sentences, `(batch,
            None)`.
        y: for each document a list of 0 or 1, one a sentence, or a summary: a
            string, or a `tuple` of strings where there are several. The
            labels are then those of `oracle_labels`. In a pipeline labels,
            `(batch, None)` ragged.
        sample_weight: weights of documents, `(batch,)`.

    Returns:
        A dictionary of `"token_ids"`, `"segment_ids"` and `"padding_mask"`,
        each `(batch, sequence_length)` int32; with `y` a tuple of this, of
        labels, `(batch, sequence_length)` int32, and of weights, the same
        shape, float32, 0 but at the `[CLS]` of sentences.

    Raises:
        ValueError: if a document has not as many labels as sentences, or
            others than 0 and 1. In graphs: `tf.errors.InvalidArgumentError`.

    Example:
    ```python
    import keras_albert as ka

    preprocessor = ka.AlbertSentenceExtractorPreprocessor.from_preset(
        "albert_tiny_en", sequence_length=16
    )
    x, y, weight = preprocessor(["It rains. We stay here."], [[0, 1]])
    y[0][weight[0] > 0]  # [0, 1]
    ```
    """

    backbone_cls = AlbertBackbone
    tokenizer_cls = AlbertTokenizer
    preset_file = PREPROCESSOR_FILE
    takes_pairs = False

    def __init__(self, tokenizer, sequence_length=512, **kwargs):
        if sequence_length < 3:
            raise ValueError(
                "`sequence_length` must be at least 3, to hold a sentence and "
                f"the special tokens. Received: {sequence_length}."
            )
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length

    # === Python ===

    def documents(self, x):
        """Documents as lists of sentences.

        Args:
            x: list of documents, strings or lists of strings.

        Returns:
            list of lists of strings.

        Raises:
            ValueError: if a document is something else.
        """
        return [_sentences(document, i) for i, document in enumerate(x)]

    def labels(self, y, documents):
        """The labels of sentences.

        Args:
            y: list, see the class.
            documents: list of lists of sentences.

        Returns:
            list of lists of int, 0 or 1.

        Raises:
            ValueError: if they are not as many, or something else.
        """
        if isinstance(y, (str, bytes)):
            raise ValueError(
                "There must be a list of labels, or of summaries. Received "
                f"one string: {y!r:.80}."
            )
        y = list(y)
        if len(y) != len(documents):
            raise ValueError(
                "There must be labels, or a summary, for each document. "
                f"Received: {len(documents)} documents and {len(y)}."
            )
        rows = []
        for index, (of_one, sentences) in enumerate(
            zip(y, documents, strict=True)
        ):
            place = f"index {index}"
            texts = (of_one,) if isinstance(of_one, str) else of_one
            is_tuple = isinstance(texts, tuple) and len(texts)
            if is_tuple and all(isinstance(text, str) for text in texts):
                check_summary(texts, place)
                rows.append(oracle_labels(sentences, texts))
            else:
                rows.append(check_sentence_labels(of_one, sentences, place))
        return rows

    def blocks(self, documents):
        """Packs documents, long ones in several blocks of whole sentences.

        The blocks of a document are of about the same length, so that none
        has a sentence or two without those around them.

        Args:
            documents: list of lists of sentences.

        Returns:
            list of `Block`. Each sentence is in one of them; a document
            without sentences has none.
        """
        room = self.sequence_length
        texts = [sentence for part in documents for sentence in part]
        rows = python_ids(self.tokenizer, texts) if texts else []
        first, last = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        blocks, begin = [], 0
        for index, sentences in enumerate(documents):
            packed = [
                [first, *ids[: room - 2], last]
                for ids in rows[begin : begin + len(sentences)]
            ]
            begin += len(sentences)
            sizes = [len(ids) for ids in packed]
            for part in plan_blocks(sizes, room):
                starts = np.cumsum([0, *(sizes[i] for i in part)])
                blocks.append(
                    Block(
                        index,
                        part,
                        [token for i in part for token in packed[i]],
                        [(i - part[0]) % 2 for i in part for _ in packed[i]],
                        starts[:-1].tolist(),
                    )
                )
        return blocks

    def pack(self, blocks, length=None):
        """The tensors of blocks.

        Args:
            blocks: list of `Block`.
            length: int, the tokens to pad to; `None`: those of the longest.

        Returns:
            dictionary of `(blocks, length)` int32 arrays.
        """
        if length is None:
            length = max(len(block.token_ids) for block in blocks)
        shape = (len(blocks), length)
        token_ids = np.full(shape, self.tokenizer.pad_token_id, "int32")
        segment_ids, mask = np.zeros(shape, "int32"), np.zeros(shape, "int32")
        for row, block in enumerate(blocks):
            tokens = len(block.token_ids)
            token_ids[row, :tokens] = block.token_ids
            segment_ids[row, :tokens] = block.segment_ids
            mask[row, :tokens] = 1
        return _features(token_ids, segment_ids, mask)

    def targets(self, blocks, labels, length):
        """The targets of blocks, and the weights of their tokens.

        Args:
            blocks: list of `Block`.
            labels: list of lists of int, those of the documents' sentences.
            length: int, the tokens to pad to.

        Returns:
            `(blocks, length)` int32 and float32 arrays.
        """
        classes = np.zeros((len(blocks), length), "int32")
        weights = np.zeros((len(blocks), length), "float32")
        for row, block in enumerate(blocks):
            of_document = labels[block.document]
            classes[row, block.positions] = [
                of_document[i] for i in block.sentences
            ]
            weights[row, block.positions] = 1.0
        return classes, weights

    def _call_python(self, x, y, sample_weight):
        single = isinstance(x, (str, bytes))
        documents = self.documents([x] if single else _as_lists(x))
        blocks = [
            self._first_block(index, sentences)
            for index, sentences in enumerate(documents)
        ]
        features = self.pack(blocks, self.sequence_length)
        arrays = ()
        if y is not None:
            y = [y] if single else _as_lists(y)
            labels = self.labels(y, documents)
            classes, weights = self.targets(
                blocks, labels, self.sequence_length
            )
            if sample_weight is not None:
                weights *= np.reshape(np.asarray(sample_weight), (-1, 1))
            arrays = (classes, weights)
        if single:
            features = {name: value[0] for name, value in features.items()}
            arrays = tuple(value[0] for value in arrays)
        return (features, *arrays) if arrays else features

    def _first_block(self, index, sentences):
        """What fits from the beginning on, not an even part of it."""
        if not sentences:
            ends = [self.tokenizer.cls_token_id, self.tokenizer.sep_token_id]
            return Block(index, range(0), ends, [0, 0], [])
        rows = python_ids(self.tokenizer, sentences)
        sizes = [min(len(row) + 2, self.sequence_length) for row in rows]
        number = int((np.cumsum(sizes) <= self.sequence_length).sum())
        (block,) = self.blocks([sentences[:number]])
        return dataclasses.replace(block, document=index)

    # === Graphs ===

    def _call_tf(self, x, y, sample_weight):
        import tensorflow as tf

        if not isinstance(x, tf.RaggedTensor):
            raise ValueError(
                "Documents of a pipeline must be a ragged tensor of their "
                f"sentences, (batch, None). Received: {x}; split them before, "
                "by `preprocessor.documents`."
            )
        x = x.with_row_splits_dtype("int64")
        # A document without sentences is one empty sentence.
        missing = tf.cast(tf.equal(x.row_lengths(), 0), "int64")

        def with_one(rows, value):
            fill = tf.fill([tf.reduce_sum(missing)], value)
            fill = tf.RaggedTensor.from_row_lengths(
                fill, missing, validate=False
            )
            return tf.concat([rows, fill], axis=1)

        x = with_one(x, "")
        length = self.sequence_length
        ids = self.tokenizer(x.flat_values).with_row_splits_dtype("int64")
        ids = ids[:, : length - 2]
        ends = tf.ones([ids.nrows(), 1], ids.dtype)
        rows = tf.concat(
            [
                ends * self.tokenizer.cls_token_id,
                ids,
                ends * self.tokenizer.sep_token_id,
            ],
            axis=1,
        )
        sizes, document = rows.row_lengths(), x.value_rowids()
        before = tf.concat([[0], tf.cumsum(sizes)], axis=0)
        end = before[1:] - tf.gather(
            tf.gather(before, x.row_starts()), document
        )
        fits = end <= length
        lengths = tf.math.unsorted_segment_sum(
            tf.where(fits, sizes, 0), document, x.nrows()
        )
        index = tf.range(tf.size(sizes, "int64"))
        index -= tf.gather(x.row_starts(), document)
        is_kept = tf.repeat(fits, sizes)
        is_first = tf.equal(tf.ragged.range(sizes).flat_values, 0)

        def packed(flat, padding=0):
            kept = tf.boolean_mask(tf.cast(flat, "int32"), is_kept)
            return tf.RaggedTensor.from_row_lengths(
                kept, lengths, validate=False
            ).to_tensor(padding, shape=[None, length])

        features = _features(
            packed(rows.flat_values, self.tokenizer.pad_token_id),
            packed(tf.repeat(index % 2, sizes)),
            packed(tf.ones_like(rows.flat_values)),
        )
        if y is None:
            return features
        y = tf.cast(y, "int32").with_row_splits_dtype("int64")
        is_label = tf.debugging.assert_equal(
            tf.reduce_all((y.flat_values == 0) | (y.flat_values == 1)),
            True,
            "The labels of sentences must be 0 or 1.",
        )
        y = with_one(y, -1)
        as_many = tf.debugging.assert_equal(
            y.row_splits, x.row_splits, "Each sentence must have one label."
        )
        with tf.control_dependencies([as_many, is_label]):
            labels = tf.repeat(y.flat_values, sizes)
        classes = packed(tf.where(is_first, tf.maximum(labels, 0), 0))
        weights = tf.cast(packed(is_first & (labels >= 0)), "float32")
        if sample_weight is not None:
            weights *= tf.reshape(tf.cast(sample_weight, "float32"), [-1, 1])
        return features, classes, weights

    # === Both ===

    def call(self, x, y=None, sample_weight=None):
        if self._use_tf_workflow():
            import tensorflow as tf

            if not tf.executing_eagerly():
                return self._call_tf(x, y, sample_weight)
        return self._call_python(x, y, sample_weight)

    def get_config(self):
        config = super().get_config()
        config.update({"sequence_length": self.sequence_length})
        return config


def check_sentence_labels(labels, sentences, place):
    """The labels of a document's sentences, once they are such.

    Args:
        labels: sequence of 0 and 1.
        sentences: list of strings.
        place: string, names the document in messages.

    Returns:
        list of int.

    Raises:
        ValueError: if they are something else, or not as many.
    """
    is_list = isinstance(labels, (list, tuple, np.ndarray))
    if not is_list or any(label not in (0, 1) for label in labels):
        raise ValueError(
            f"{place}: labels must be a list of 0 and 1, one a sentence. "
            f"Received: {labels!r:.80}; a summary is a string, several are a "
            "tuple of strings."
        )
    if len(labels) != len(sentences):
        raise ValueError(
            f"{place}: each sentence must have one label. Received: "
            f"{len(sentences)} sentences and {len(labels)} labels."
        )
    return [int(label) for label in labels]


def check_summary(texts, place):
    """Raises ValueError for summaries that there are not.

    Args:
        texts: tuple of strings, the summaries of a document.
        place: string, names the document in messages.
    """
    if not all(text.strip() for text in texts):
        raise ValueError(
            f"{place}: the summary must not be empty. Give it one, or remove "
            "the document."
        )


def _sentences(document, index):
    document = _decoded(document)
    if isinstance(document, str):
        _check_unicode(document, index)
        return [document[a:b] for a, b in document_spans(document)]
    if not isinstance(document, (list, np.ndarray)):
        raise ValueError(
            "A document must be a string, or a list of sentences. Received at "
            f"index {index}: {document!r:.80}."
        )
    sentences = [_decoded(x) for x in document]
    for sentence in sentences:
        if not isinstance(sentence, str) or not sentence.strip():
            raise ValueError(
                "Sentences must be strings that are not empty. Received in "
                f"the document at index {index}: {sentence!r:.80}."
            )
        _check_unicode(sentence, index)
    return sentences


def _decoded(text):
    # Bytes that are no text are unknown characters, as in graphs.
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _check_unicode(text, index):
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            "Documents must be Unicode. Received half a surrogate pair in that "
            f"at index {index}: {text!r:.80}."
        ) from error


def _as_lists(x):
    if hasattr(x, "to_list"):
        return x.to_list()
    if hasattr(x, "numpy"):
        x = x.numpy()
    return list(x)


def _features(token_ids, segment_ids, mask):
    return {
        "token_ids": token_ids,
        "segment_ids": segment_ids,
        "padding_mask": mask,
    }
