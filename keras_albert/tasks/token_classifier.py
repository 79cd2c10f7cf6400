"""A class for each token: entities, parts of speech, tags."""

import keras
import keras_nlp
import numpy as np

from keras_albert.layers.encoder import weight_initializer
from keras_albert.metrics.entities import entity_spans, tag_scheme
from keras_albert.metrics.token_accuracy import TokenAccuracy
from keras_albert.models.backbone import AlbertBackbone, check_rates
from keras_albert.preprocessing.packer import trim_padding
from keras_albert.preprocessing.token_classifier import (
    IGNORED,
    AlbertTokenClassifierPreprocessor,
    joined,
)
from keras_albert.preprocessing.word_splitting import split_words
from keras_albert.tasks.inputs import as_held_out, as_lists, as_texts
from keras_albert.tasks.targets import (
    check_classes,
    check_finite_outputs,
    check_numbers,
    check_weights,
)
from keras_albert.tasks.task import (
    AlbertTask,
    merge_class_config,
    number_of_classes,
    trim_targets,
)

# Packed in one go, each to the preprocessor's full length.
_WINDOWS_A_CALL = 4096


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertTokenClassifier(AlbertTask, keras_nlp.models.Task):
    """Classifies each token: dropout and a dense layer on the sequence.

    Args:
        backbone: an `AlbertBackbone`.
        num_classes: int. Number of classes. May be left out when `labels`
            are given.
        preprocessor: an `AlbertTokenClassifierPreprocessor`, which gets the
            model's `labels`; or `None` for a model of ready tensors.
        dropout: float. Dropout rate on the sequence output.
        labels: list of strings, the names of the classes in order. They are
            kept with the model. `entities` reads them as IOB2, IOBES or
            BILOU tags when they have such prefixes.
        head_dtype: dtype policy of the output layer, instead of the
            backbone's. A quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: sentences, as lists of words or as strings with white space
    between words; or the backbone's dictionary of ready tensors.

    Outputs: `(batch, sequence, num_classes)` float, logits.

    Targets are the labels of the words, in the same form as the sentences;
    the first piece of a word learns its label, other pieces do not count.
    For ready tensors they are classes, `(batch, sequence)` int; tokens that
    do not count, padding among them, get a sample weight of 0,
    `(batch, sequence)`. The default loss is sparse cross-entropy, its mean
    over the words that count.

    `fit` and `evaluate` split lists of sentences that are too long into
    windows; `predict`, and `tf.data` pipelines, cut them off.

    Raises:
        ValueError: if the arguments contradict each other.

    Example:
    ```python
    import keras_albert as ka

    tagger = ka.AlbertTokenClassifier.from_preset(
        "albert_tiny_en", labels=["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    )
    sentences = [["Anna", "Berg", "lives", "in", "Oslo"], ["Rome", "calls"]]
    labels = [["B-PER", "I-PER", "O", "O", "B-LOC"], ["B-LOC", "O"]]
    tagger.fit(sentences, labels, batch_size=2, epochs=1)
    tagger.entities("Did Anna Berg call?")  # [{"text": "Anna Berg", …}]
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = AlbertTokenClassifierPreprocessor

    def __init__(
        self,
        backbone,
        num_classes=None,
        preprocessor=None,
        dropout=0.1,
        labels=None,
        head_dtype=None,
        **kwargs,
    ):
        if labels is None and num_classes is None:
            labels = getattr(preprocessor, "labels", None)
        num_classes = number_of_classes(num_classes, labels)
        check_rates(dropout=dropout)
        self.check_parts(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.output_dropout = keras.layers.Dropout(
            dropout, dtype=backbone.dtype_policy, name="output_dropout"
        )
        self.output_dense = keras.layers.Dense(
            num_classes,
            kernel_initializer=weight_initializer(),
            dtype=head_dtype or backbone.dtype_policy,
            name="logits",
        )

        # === Functional model ===
        inputs = backbone.input
        sequence = backbone(inputs)["sequence_output"]
        outputs = self.output_dense(self.output_dropout(sequence))
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.num_classes = num_classes
        self.dropout = dropout
        self.labels = None if labels is None else list(labels)
        if hasattr(preprocessor, "labels"):
            preprocessor.labels = self.labels

    # === Training ===

    def fit(
        self, x=None, y=None, batch_size=None, sample_weight=None, **kwargs
    ):
        """Trains; see `keras.Model.fit`, and the class for x and y."""
        held_out = as_held_out(kwargs.get("validation_data"))
        if isinstance(held_out, tuple):
            kwargs["validation_data"] = self._split(*held_out)
        x, y, sample_weight = self._split(x, y, sample_weight)
        return super().fit(x, y, batch_size, sample_weight, **kwargs)

    def evaluate(
        self, x=None, y=None, batch_size=None, sample_weight=None, **kwargs
    ):
        """Measures; see `keras.Model.evaluate`, and the class for x and y."""
        x, y, sample_weight = self._split(x, y, sample_weight)
        return super().evaluate(x, y, batch_size, sample_weight, **kwargs)

    def predict(self, x=None, *args, **kwargs):
        """Predicts; see `keras.Model.predict`. Long sentences are cut off."""
        x = as_lists(x)
        if self._takes_lists(x):
            x = joined(self.preprocessor.sentences(x))
            # All of one length, since `predict` puts batches together.
            x = trim_padding(self.preprocessor(x))
        return super().predict(x, *args, **kwargs)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Sentences to batches; ready tensors pass unchanged."""
        is_ready = isinstance(x, dict) and "token_ids" in x
        if y is None and not is_ready:
            # Not trimmed: `predict` puts batches together, so all must be of
            # one length.
            return keras_nlp.models.Task.preprocess_samples(self, x)
        data = super().preprocess_samples(x, y, sample_weight)
        if is_ready:
            return data
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return x, *trim_targets(x, y, sample_weight)

    def check_texts(self, x):
        """Raises ValueError for what is no list of sentences, or empty."""
        if isinstance(x, tuple):
            raise ValueError(
                "Sentences must be a list of lists of words, or of strings. "
                "Received a tuple; each sentence is labelled on its own."
            )
        if isinstance(x, (list, np.ndarray)) and not len(x):
            raise ValueError("There must be at least one sentence.")

    def check_targets(self, y):
        """Raises ValueError for classes that there are not."""
        if y.dtype.kind in "US":
            return
        check_numbers(y)
        if y.size:
            check_classes(y, self.num_classes)

    def _takes_lists(self, x):
        of_texts = isinstance(x, (list, np.ndarray)) and len(x)
        return of_texts and hasattr(self.preprocessor, "windows")

    def _split(self, x, y=None, sample_weight=None):
        """Checks lists of sentences, and splits those that are too long."""
        x, y, sample_weight = as_lists((x, y, sample_weight))
        if not self._takes_lists(x):
            return x, y, sample_weight
        if y is None:
            raise ValueError(
                "There must be labels for each sentence, `y`. Received none."
            )
        sentences = self.preprocessor.sentences(x)
        classes = self.preprocessor.classes(y, sentences)
        check_classes(
            np.array([i for row in classes for i in row if i >= 0], "int64"),
            self.num_classes,
        )
        weights = check_weights(sample_weight, len(sentences))
        windows = self.preprocessor.windows(sentences)
        if not windows:
            raise ValueError(
                "There must be at least one word. Received: "
                f"{len(sentences)} sentences without any."
            )
        rows = [window.sentence for window in windows]
        parts, labels = [], []
        for window in windows:
            words = range(len(sentences[window.sentence]))[window.context]
            parts.append([sentences[window.sentence][i] for i in words])
            labels.append(
                [
                    self._name(classes[window.sentence][i])
                    if i in window.words
                    else IGNORED
                    for i in words
                ]
            )
        if weights is not None:
            weights = weights[rows]
        return joined(parts), joined(labels), weights

    def _name(self, index):
        if index < 0:
            return IGNORED
        return str(index) if self.labels is None else self.labels[index]

    # === Results ===

    def entities(self, texts, batch_size=None):
        """Finds the entities in texts, of any length.

        A text is split into words as `keras_albert.preprocessing.
        word_splitting.split_words` says, much as annotated corpora have them.
        Tags that contradict each other are read as `seqeval` reads them.

        Args:
            texts: a string, or a list of strings.
            batch_size: int. How many texts are computed together; `None`: as
                many as have 1,024 tokens.

        Returns:
            For one text a list of entities, for a list a list of such lists.
            An entity is a dictionary: `"text"`, as it stands in the user's;
            `"label"`, without the tag's prefix; `"score"`, the mean
            probability of its words' tags; `"start"` and `"end"`, in
            characters of the user's text.

        Raises:
            ValueError: if `texts` holds anything but strings, the model has
                no `labels`, or its outputs are not finite.
        """
        if self.labels is None:
            raise ValueError(
                "The model must have `labels` to name entities. It has none; "
                "pass `labels=[…]` to `from_preset` or the constructor."
            )
        texts, single = as_texts(texts)
        if texts and isinstance(texts[0], tuple):
            raise ValueError(
                "Texts must be strings. Received a pair of texts; entities "
                "are found in each on its own."
            )
        spans = [split_words(text) for text in texts]
        words = [
            [text[start:end] for start, end in places]
            for text, places in zip(texts, spans, strict=True)
        ]
        scheme = tag_scheme(self.labels)
        results = []
        for text, places, rows in zip(
            texts,
            spans,
            self.word_probabilities(words, batch_size),
            strict=True,
        ):
            tags = [self.labels[index] for index in rows.argmax(axis=-1)]
            scores = rows.max(axis=-1)
            entities = []
            for label, first, last in entity_spans(tags, scheme):
                start, end = places[first][0], places[last - 1][1]
                entities.append(
                    {
                        "text": text[start:end],
                        "label": label,
                        "score": float(scores[first:last].mean()),
                        "start": start,
                        "end": end,
                    }
                )
            results.append(entities)
        return results[0] if single else results

    def tag(self, sentences, batch_size=None):
        """Labels words, of sentences of any length.

        Args:
            sentences: list of lists of words, or of strings with white space
                between words.
            batch_size: int or `None`, see `entities`.

        Returns:
            list of lists of labels, one a word; class indices when the model
            has no `labels`.

        Raises:
            ValueError: if the model has no preprocessor, or its outputs are
                not finite.
        """
        rows = self.word_probabilities(sentences, batch_size)
        classes = [row.argmax(axis=-1).tolist() for row in rows]
        if self.labels is None:
            return classes
        return [[self.labels[index] for index in row] for row in classes]

    def word_probabilities(self, sentences, batch_size=None):
        """The probabilities of words' labels, those of their first pieces.

        Args:
            sentences: see `tag`.
            batch_size: likewise.

        Returns:
            list of `(words, num_classes)` float32 arrays, a sentence each.
        """
        if self.preprocessor is None:
            raise ValueError(
                f"{type(self).__name__} needs a `preprocessor` to take words. "
                "It has none; pass one to the constructor."
            )
        sentences = self.preprocessor.sentences(sentences)
        results = [
            np.zeros((len(words), self.num_classes), "float32")
            for words in sentences
        ]
        windows = self.preprocessor.windows(sentences)
        for start in range(0, len(windows), _WINDOWS_A_CALL):
            part = windows[start : start + _WINDOWS_A_CALL]
            # To the full length, so that batches have few different ones.
            features = self.preprocessor.pack(
                part, self.preprocessor.sequence_length
            )
            batches = self.outputs_by_length(features, batch_size)
            for rows, outputs in batches:
                values = keras.ops.convert_to_numpy(self.probabilities(outputs))
                for row, value in zip(rows, values, strict=True):
                    window = part[row]
                    words = slice(window.words.start, window.words.stop)
                    results[window.sentence][words] = value[window.positions]
        for values in results:
            check_finite_outputs(values)
        return results

    def probabilities(self, outputs):
        """Probabilities from the model's outputs.

        Args:
            outputs: `(batch, sequence, num_classes)` float, logits.

        Returns:
            `(batch, sequence, num_classes)` float32 tensor.
        """
        return keras.ops.softmax(keras.ops.cast(outputs, "float32"), axis=-1)

    def head_outputs(self, backbone_outputs):
        return self.output_dense(backbone_outputs["sequence_output"])

    def inference_outputs(self, backbone_outputs, inputs=None):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            `{"probabilities": (batch, sequence, num_classes)}` float32.
        """
        outputs = self.head_outputs(backbone_outputs)
        return {"probabilities": self.probabilities(outputs)}

    def default_loss(self):
        # Of the words that there are, not of padding.
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )

    def default_weighted_metrics(self):
        return [TokenAccuracy(name="accuracy")]

    @classmethod
    def merge_preset_config(cls, saved, given):
        return merge_class_config(saved, given)

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.output_dense))
        config.update(
            {
                "num_classes": self.num_classes,
                "dropout": self.dropout,
                "labels": self.labels,
            }
        )
        return config
