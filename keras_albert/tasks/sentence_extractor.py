"""The sentences of a document that say what it is about."""

import numbers

import keras
import keras_nlp
import numpy as np
from keras import ops

from keras_albert.layers.encoder import weight_initializer
from keras_albert.metrics.token_accuracy import BinaryTokenAccuracy
from keras_albert.models.backbone import AlbertBackbone, check_rates
from keras_albert.preprocessing.sentence_extractor import (
    AlbertSentenceExtractorPreprocessor,
)
from keras_albert.preprocessing.sentences import document_spans
from keras_albert.preprocessing.summaries import select_sentences
from keras_albert.tasks.inputs import as_texts
from keras_albert.tasks.questions import window_dataset
from keras_albert.tasks.targets import (
    as_array,
    check_finite_outputs,
    check_weights,
)
from keras_albert.tasks.task import AlbertTask, trim_targets

# Packed in one go, each to the preprocessor's full length.
_BLOCKS_A_CALL = 2048


@keras.saving.register_keras_serializable(package="keras_albert")
class SentenceCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of each token; weights say which count.

    Call arguments:
        y_true: `(batch, sequence)`, 0 or 1.
        y_pred: `(batch, sequence)` float, logits.
        sample_weight: `(batch, sequence)` float.

    Returns:
        float, the mean by weights.
    """

    def __init__(
        self,
        reduction="mean_with_sample_weight",
        name="sentence_crossentropy",
        **kwargs,
    ):
        super().__init__(reduction=reduction, name=name, **kwargs)

    def call(self, y_true, y_pred):
        y_true, logits = (ops.cast(x, "float32") for x in (y_true, y_pred))
        # max(x, 0) - x y + log(1 + exp(-|x|)), which never overflows.
        rest = ops.log1p(ops.exp(-ops.abs(logits)))
        return ops.relu(logits) - logits * y_true + rest


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertSentenceExtractor(AlbertTask, keras_nlp.models.Task):
    """Scores each sentence of a document, at the `[CLS]` before it.

    Dropout and a dense layer of one output on the sequence, as BERTSUM's
    simple classifier (Liu 2019, https://arxiv.org/abs/1903.10318, section
    2.2; Liu and Lapata 2019, https://arxiv.org/abs/1908.08345): the encoder
    reads all sentences of a block at once.

    Args:
        backbone: an `AlbertBackbone` of at least two segments.
        preprocessor: an `AlbertSentenceExtractorPreprocessor`, or `None` for
            a model of ready tensors.
        dropout: float. Dropout rate on the sequence output.
        head_dtype: dtype policy of the output layer, instead of the
            backbone's. A quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: documents, as strings or as lists of sentences; or the backbone's
    dictionary of ready tensors.

    Outputs: `(batch, sequence)` float, logits; those at each `[CLS]` are the
    sentences'.

    Targets are for each document its sentences' labels, 0 or 1, or a summary,
    from which they follow, see `AlbertSentenceExtractorPreprocessor`. For
    ready tensors they are `(batch, sequence)` int, with weights of the same
    shape that are 0 but at each `[CLS]`. The default loss is binary
    cross-entropy, its mean over sentences.

    `fit` and `evaluate` split lists of documents that are too long into
    blocks of whole sentences, which `batch_size` counts; `predict`, and
    `tf.data` pipelines, leave out what is beyond. `sample_weight` is one
    weight a document.

    Raises:
        ValueError: if the arguments contradict each other; by `fit` and
            `evaluate` if a document has no sentences, or its labels are not
            as many.

    Example:
    ```python
    import keras_albert as ka

    extractor = ka.AlbertSentenceExtractor.from_preset("albert_tiny_en")
    documents = [
        "The council met on Monday. It was warm. A bridge will be built.",
        "It was quiet. The mill is closed from May on.",
    ]
    summaries = ["A new bridge is built.", "The mill will be closed."]
    extractor.fit(documents, summaries, batch_size=2, epochs=1)
    extractor.summarize(documents[0], sentences=1)
    # [{"text": "A bridge …", "score": 0.5…, "index": 2, "start": 40, …}]
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = AlbertSentenceExtractorPreprocessor
    output_name = "sentence_logits"  # Of exported files.
    takes_pairs = False

    def __init__(
        self,
        backbone,
        preprocessor=None,
        dropout=0.1,
        head_dtype=None,
        **kwargs,
    ):
        check_rates(dropout=dropout)
        self.check_parts(backbone, preprocessor)
        if backbone.num_segments < 2:
            raise ValueError(
                "The backbone must have `num_segments` of at least 2, which "
                "sentences are of in turn. Received: "
                f"num_segments={backbone.num_segments}."
            )

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
        inputs = backbone.input
        sequence = backbone(inputs)["sequence_output"]
        outputs = self.output_dense(self.output_dropout(sequence))[:, :, 0]
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.dropout = dropout

    # === Training ===

    def is_raw(self, x):
        """Whether documents are in memory, as strings."""
        if isinstance(x, str):
            raise ValueError(
                f"Documents must be a list. Received one string: {x!r:.80}; "
                "make a list of it."
            )
        return _is_sequence(x) and not any(isinstance(p, dict) for p in x)

    def make_dataset(self, x, y, sample_weight, batch_size, shuffle):
        """Batches of blocks; see `AlbertTask.make_dataset`."""
        self._check_preprocessor()
        documents = self.preprocessor.documents(x)
        check_documents(documents)
        sample_weight = check_weights(sample_weight, len(documents))
        labels = self.preprocessor.labels(() if y is None else y, documents)
        blocks = self.preprocessor.blocks(documents)
        features = self.preprocessor.pack(blocks)
        length = features["token_ids"].shape[1]
        classes, weights = self.preprocessor.targets(blocks, labels, length)
        if sample_weight is not None:
            rows = [block.document for block in blocks]
            weights *= sample_weight[rows][:, None]
        data = (features, classes, weights)
        return window_dataset(data, batch_size or 32, shuffle)

    def check_elements(self, spec):
        """Raises ValueError for documents that are not ragged."""
        import tensorflow as tf

        x, y, _ = keras.utils.unpack_x_y_sample_weight(spec)
        is_ragged = isinstance(x, tf.RaggedTensorSpec) and x.shape.rank == 2
        if not is_ragged and not isinstance(x, dict):
            raise ValueError(
                "Documents of a pipeline must be batches of ragged tensors of "
                f"their sentences, (batch, None). Received: {x}; split them "
                "before, by `preprocessor.documents`, and call `.batch`."
            )
        self._check_has_targets(y)

    def check_texts(self, x):
        """Raises ValueError for a dictionary that holds no ready tensors."""
        if isinstance(x, dict):
            raise ValueError(
                "Documents must be a list of strings, or of lists of "
                "sentences. Received a dictionary of "
                f"{', '.join(map(repr, x))}."
            )

    def _prepared(self, data, batch_size, shuffle=False):
        x, y, weights = data
        if isinstance(x, dict) and "token_ids" in x:
            check_ready_labels(x, y, weights)
        return super()._prepared(data, batch_size, shuffle)

    def predict(self, x=None, *args, **kwargs):
        """Predicts; see `keras.Model.predict`, and the class for x."""
        if self.is_raw(x):
            self._check_preprocessor()
            if not len(x):
                raise ValueError("There must be at least one document.")
            x = self.preprocessor(list(x))
        return super().predict(x, *args, **kwargs)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Documents to batches; targets as long as the features."""
        data = super().preprocess_samples(x, y, sample_weight)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if y is None or sample_weight is None:
            return data
        return x, *trim_targets(x, y, sample_weight)

    # === Results ===

    def summarize(
        self, text, sentences=3, trigram_blocking=True, batch_size=None
    ):
        """Takes the sentences with the highest scores, in their order.

        Args:
            text: a document of any length, a string; or a list of documents,
                strings or lists of sentences.
            sentences: int, how many are taken at most.
            trigram_blocking: bool. Whether a sentence is left out that shares
                three words in a row with a better one.
            batch_size: int. How many blocks are computed together; `None`:
                as many as have 1,024 tokens.

        Returns:
            For one document a list of sentences in the document's order, for
            a list a list of such lists. A sentence is a dictionary: `"text"`;
            `"score"`, the probability that it belongs to a summary;
            `"index"` among the document's sentences; and of documents that
            are strings `"start"` and `"end"`, in characters of the user's
            text. There are fewer than `sentences` where the document has
            fewer, or the others repeat those taken; none of an empty one.

        Raises:
            ValueError: if `text` holds anything else, `sentences` is not
                positive, or the model's outputs are not finite.
        """
        if not isinstance(sentences, numbers.Integral) or sentences < 1:
            raise ValueError(
                "`sentences` must be positive, an integer. Received: "
                f"{sentences!r}."
            )
        single = isinstance(text, str)
        if not single and not _is_sequence(text):
            raise ValueError(
                "`text` must be a string, or a list of documents. Received: "
                f"{text!r:.80}."
            )
        items = [text] if single else text
        as_texts([x for x in items if isinstance(x, str)])  # checks them
        self._check_preprocessor()
        documents = self.preprocessor.documents(items)
        results = []
        for item, parts, scores in zip(
            items,
            documents,
            self.sentence_scores(documents, batch_size),
            strict=True,
        ):
            chosen = select_sentences(
                parts, scores, sentences, trigram_blocking
            )
            places = document_spans(item) if isinstance(item, str) else None
            summary = []
            for index in chosen:
                result = {
                    "text": parts[index],
                    "score": float(scores[index]),
                    "index": index,
                }
                if places is not None:
                    result["start"], result["end"] = places[index]
                summary.append(result)
            results.append(summary)
        return results[0] if single else results

    def sentence_scores(self, documents, batch_size=None):
        """The probabilities that sentences belong to a summary.

        Args:
            documents: list of lists of sentences.
            batch_size: int or `None`, see `summarize`.

        Returns:
            list of `(sentences,)` float32 arrays, a document each.
        """
        self._check_preprocessor()
        results = [np.zeros(len(part), "float32") for part in documents]
        blocks = self.preprocessor.blocks(documents)
        for start in range(0, len(blocks), _BLOCKS_A_CALL):
            part = blocks[start : start + _BLOCKS_A_CALL]
            # To the full length, so that batches have few different ones.
            features = self.preprocessor.pack(
                part, self.preprocessor.sequence_length
            )
            for rows, outputs in self.outputs_by_length(features, batch_size):
                logits = np.asarray(
                    ops.convert_to_numpy(ops.cast(outputs, "float32"))
                )
                check_finite_outputs(logits)
                for row, values in zip(rows, logits, strict=True):
                    block = part[row]
                    places = list(block.sentences)
                    results[block.document][places] = 1.0 / (
                        1.0 + np.exp(-values[block.positions])
                    )
        return results

    def head_outputs(self, backbone_outputs):
        return self.output_dense(backbone_outputs["sequence_output"])[:, :, 0]

    def inference_outputs(self, backbone_outputs, inputs=None):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            `{"sentence_logits": (batch, sequence)}` float.
        """
        return {self.output_name: self.head_outputs(backbone_outputs)}

    def default_loss(self):
        return SentenceCrossentropy()

    def default_weighted_metrics(self):
        return [BinaryTokenAccuracy(name="accuracy", threshold=0.0)]

    # === Config ===

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.output_dense))
        config["dropout"] = self.dropout
        return config


def check_ready_labels(x, y, weights):
    """Raises ValueError for ready tensors whose tokens have no labels.

    Args:
        x: dictionary of `(batch, sequence)` ready tensors.
        y: their targets.
        weights: their weights; `None` where each token is a sentence.
    """
    shape = tuple(np.shape(x["token_ids"]))
    parts = {"targets": y}
    if weights is not None:
        parts["`sample_weight`"] = weights
    for name, part in parts.items():
        found = None if part is None else as_array(part).shape
        if found != shape:
            raise ValueError(
                "Ready tensors must come with targets, and `sample_weight`, "
                f"of their shape, {shape}, as the preprocessor gives them. "
                f"Received {name}: {found}."
            )
    labels = as_array(y)
    wrong = labels[(labels != 0) & (labels != 1)]
    if wrong.size:
        raise ValueError(
            f"The labels of sentences must be 0 or 1. Received: {wrong[0]}."
        )


def check_documents(documents, where=None):
    """Raises ValueError unless each document has a sentence, to learn from.

    Args:
        documents: list of lists of sentences.
        where: function from an index to the name of the row; by default
            `index …`.
    """
    if not documents:
        raise ValueError("There must be at least one document.")
    for index, sentences in enumerate(documents):
        if not sentences:
            place = f"index {index}" if where is None else where(index)
            raise ValueError(
                f"{place}: a document must have at least one sentence. It is "
                "empty; give it a text, or remove it."
            )


def _is_sequence(x):
    is_array = isinstance(x, np.ndarray) and x.ndim > 0
    return is_array or isinstance(x, (list, tuple))
