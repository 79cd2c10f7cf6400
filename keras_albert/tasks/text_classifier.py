"""Texts, or pairs of them, to classes, labels or a score."""

import keras
import keras_nlp
import numpy as np

from keras_albert.layers.encoder import weight_initializer
from keras_albert.layers.heads import SentencePooling
from keras_albert.metrics.pearson import PearsonCorrelation
from keras_albert.models.backbone import AlbertBackbone, check_rates
from keras_albert.preprocessing.text_classifier import (
    AlbertTextClassifierPreprocessor,
)
from keras_albert.tasks.inputs import as_texts, check_text_lists
from keras_albert.tasks.targets import (
    check_classes,
    check_finite_outputs,
    check_numbers,
    check_shape,
)
from keras_albert.tasks.task import (
    AlbertTask,
    merge_class_config,
    number_of_classes,
)


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertTextClassifier(AlbertTask, keras_nlp.models.TextClassifier):
    """Classifies one or two texts: dropout and a dense layer on the pooler.

    The head of the original's `run_classifier`, or, by `pooling="mean"`, the
    same on the mean of the tokens' states. What it is trained for follows
    from the arguments:

    | arguments | targets | default loss | default metrics |
    |---|---|---|---|
    | `num_classes=n` | int, `(batch,)` | sparse cross-entropy | accuracy |
    | `num_classes=1` | float, `(batch,)` | squared error | RMSE, Pearson |
    | `multi_label=True` | 0/1, `(batch, n)` | binary cross-entropy | accuracy |

    Args:
        backbone: an `AlbertBackbone`.
        num_classes: int. Number of outputs; 1 is regression. May be left out
            when `labels` are given.
        preprocessor: an `AlbertTextClassifierPreprocessor`, or `None` for
            a model of ready tensors.
        activation: activation of the outputs. `None` gives logits,
            `"softmax"` probabilities.
        dropout: float. Dropout rate on what the output layer is given.
        labels: list of strings, the names of the classes in order. They are
            kept with the model.
        multi_label: bool. Whether each class is a yes or no of its own.
        head_dtype: dtype policy of the output layer, instead of the
            backbone's. A quantized model keeps it.
        pooling: what the output layer is given. `"cls"`: the backbone's
            pooled output, a dense layer and tanh on `[CLS]`, as in the
            checkpoints of others. `"mean"`: the mean of the last layer's
            states of all tokens, no dense layer between. Small models learn
            more of few texts by it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: strings, pairs of strings as a tuple of two lists, or the
    backbone's dictionary of tensors.

    Outputs: `(batch, num_classes)` float, logits unless `activation` is set.

    Raises:
        ValueError: if the arguments contradict each other.

    Example:
    ```python
    import keras_albert as ka

    classifier = ka.AlbertTextClassifier.from_preset(
        "albert_tiny_en", labels=["negative", "positive"]
    )
    texts = ["What a fine film.", "A waste of two hours."]
    classifier.fit(texts, [1, 0], batch_size=2, epochs=1)
    classifier.classify("Great fun!")  # {"label": "positive", "score": 0.5}
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = AlbertTextClassifierPreprocessor
    head_inputs = ("padding_mask",)

    def __init__(
        self,
        backbone,
        num_classes=None,
        preprocessor=None,
        activation=None,
        dropout=0.1,
        labels=None,
        multi_label=False,
        head_dtype=None,
        pooling="cls",
        **kwargs,
    ):
        num_classes = number_of_classes(num_classes, labels)
        if multi_label and num_classes < 2:
            raise ValueError(
                "`multi_label=True` needs at least 2 classes. Received: "
                f"num_classes={num_classes}."
            )
        if labels is not None and num_classes < 2:
            raise ValueError(
                f"`labels` must name at least 2 classes. Received: {labels}; "
                "pass `num_classes=1` for regression."
            )
        check_rates(dropout=dropout)
        self.check_parts(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.sentence_pooling = None
        if pooling != "cls":
            self.sentence_pooling = SentencePooling(
                pooling,
                normalize=False,
                dtype=backbone.dtype_policy,
                name="sentence_pooling",
            )
        self.output_dropout = keras.layers.Dropout(
            dropout, dtype=backbone.dtype_policy, name="output_dropout"
        )
        self.output_dense = keras.layers.Dense(
            num_classes,
            kernel_initializer=weight_initializer(),
            activation=activation,
            dtype=head_dtype or backbone.dtype_policy,
            name="logits",
        )

        # === Functional model ===
        inputs = backbone.input
        pooled = self._pooled(backbone(inputs), inputs["padding_mask"])
        outputs = self.output_dense(self.output_dropout(pooled))
        # Read by `compile`, which the base class calls.
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.activation = keras.activations.get(activation)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.activation = keras.activations.get(activation)
        self.pooling = pooling
        self.dropout = dropout
        self.labels = None if labels is None else list(labels)

    def compile(self, optimizer="auto", loss="auto", *, metrics="auto", **kw):
        """Configures training; see `keras.Model.compile`.

        Args:
            optimizer: `"auto"` is AdamW with the learning rate that belongs
                to the backbone's preset, see `AlbertBackbone.learning_rate`.
            loss: `"auto"` follows the kind of targets, see the class.
            metrics: `"auto"` likewise.
            **kw: See `keras.Model.compile`.
        """
        from_logits = self.activation is keras.activations.linear
        if loss == "auto":
            loss = self._default_loss(from_logits)
        if metrics == "auto":
            metrics = self._default_metrics(from_logits)
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kw)

    def _default_loss(self, from_logits):
        if self.multi_label:
            return keras.losses.BinaryCrossentropy(from_logits=from_logits)
        if self.num_classes == 1:
            return keras.losses.MeanSquaredError()
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=from_logits
        )

    def _default_metrics(self, from_logits):
        if self.multi_label:
            threshold = 0.0 if from_logits else 0.5
            return [keras.metrics.BinaryAccuracy(threshold=threshold)]
        if self.num_classes == 1:
            return [
                keras.metrics.RootMeanSquaredError(name="rmse"),
                PearsonCorrelation(),
            ]
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def check_texts(self, x):
        """Raises ValueError for what is no text; see `check_text_lists`."""
        check_text_lists(x)

    def check_targets(self, y):
        """Raises ValueError for targets that the default loss cannot learn.

        Args:
            y: array, the targets.
        """
        check_numbers(y)
        if not y.size:
            return
        if isinstance(self.loss, keras.losses.SparseCategoricalCrossentropy):
            check_shape(y, (1,), "class indices")
            check_classes(y, self.num_classes)
        elif self.multi_label and isinstance(
            self.loss, keras.losses.BinaryCrossentropy
        ):
            check_shape(y, (self.num_classes,), "0 or 1 for each class")
            if y.min() < 0 or y.max() > 1:
                raise ValueError(
                    "Targets must lie between 0 and 1 for each class. "
                    f"Received: {y.min()} to {y.max()}."
                )
        elif isinstance(self.loss, keras.losses.MeanSquaredError):
            check_shape(y, (self.num_classes,), "scores")

    def classify(self, texts, batch_size=None, threshold=0.5):
        """Classifies texts, each batch padded only to its longest text.

        Args:
            texts: a string, a pair of strings as a 2-tuple, or a list of
                either.
            batch_size: int. How many texts are computed together; `None`: as
                many as have 1,024 tokens.
            threshold: float. With `multi_label`, the probability from which
                a label is given.

        Returns:
            For one text a result, for a list a list of results. A result is
            `{"label", "score"}`, the most probable class and its
            probability; `{"score"}` for regression; with `multi_label` a
            list of `{"label", "score"}`, most probable first. `"label"` is
            the class index when the model has no `labels`.

        Raises:
            ValueError: if `texts` holds anything but texts or pairs, or the
                model's outputs are not finite.
        """
        texts, single = as_texts(texts)
        if not texts:
            return []
        outputs = self.predict_by_length(texts, batch_size=batch_size)
        rows = keras.ops.convert_to_numpy(self.probabilities(outputs))
        check_finite_outputs(rows)
        results = [self._result(row, threshold) for row in rows]
        return results[0] if single else results

    def probabilities(self, outputs):
        """Probabilities from the model's outputs; scores for regression.

        Args:
            outputs: `(batch, num_classes)` float, as from `predict`.

        Returns:
            `(batch, num_classes)` float32 tensor: softmax of logits, sigmoid
            with `multi_label`, unchanged for regression or when the model
            has an `activation`.
        """
        outputs = keras.ops.cast(outputs, "float32")
        if self.num_classes == 1 or (
            self.activation is not keras.activations.linear
        ):
            return outputs
        if self.multi_label:
            return keras.ops.sigmoid(outputs)
        return keras.ops.softmax(outputs, axis=-1)

    def head_outputs(self, backbone_outputs, padding_mask):
        return self.output_dense(self._pooled(backbone_outputs, padding_mask))

    def _pooled(self, backbone_outputs, padding_mask):
        if self.sentence_pooling is None:
            return backbone_outputs["pooled_output"]
        return self.sentence_pooling(
            backbone_outputs["sequence_output"], padding_mask
        )

    def inference_outputs(self, backbone_outputs, inputs):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            `{"probabilities": (batch, num_classes)}` float32.
        """
        outputs = self.head_outputs(backbone_outputs, inputs["padding_mask"])
        return {"probabilities": self.probabilities(outputs)}

    def _result(self, row, threshold):
        if self.num_classes == 1:
            return {"score": float(row[0])}
        if self.multi_label:
            order = [i for i in np.argsort(-row) if row[i] >= threshold]
            return [self._labelled(row, index) for index in order]
        return self._labelled(row, row.argmax())

    def _labelled(self, row, index):
        label = int(index) if self.labels is None else self.labels[index]
        return {"label": label, "score": float(row[index])}

    @classmethod
    def merge_preset_config(cls, saved, given):
        return merge_class_config(saved, given)

    def head_misfit(self, saved):
        """Why a saved head cannot be this one's; by size and by pooling."""
        pooling = saved.get("pooling", "cls")
        if pooling != self.pooling:
            return (
                f"the saved head has `pooling={pooling!r}`, this one "
                f"{self.pooling!r}"
            )
        return super().head_misfit(saved)

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.output_dense))
        config.update(
            {
                "num_classes": self.num_classes,
                "activation": keras.activations.serialize(self.activation),
                "dropout": self.dropout,
                "labels": self.labels,
                "multi_label": self.multi_label,
            }
        )
        if self.pooling != "cls":
            # Left out else: what had no such argument is still the same.
            config["pooling"] = self.pooling
        return config
