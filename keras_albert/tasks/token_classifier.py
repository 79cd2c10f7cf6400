"""A class for each token: entities, parts of speech, tags."""

import keras
import keras_nlp

from keras_albert.layers.encoder import weight_initializer
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.tasks.task import (
    AlbertTask,
    merge_class_config,
    number_of_classes,
)


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertTokenClassifier(AlbertTask, keras_nlp.models.Task):
    """Classifies each token: dropout and a dense layer on the sequence.

    Args:
        backbone: an `AlbertBackbone`.
        num_classes: int. Number of classes. May be left out when `labels`
            are given.
        preprocessor: `None`: the model takes ready tensors.
        dropout: float. Dropout rate on the sequence output.
        labels: list of strings, the names of the classes in order. They are
            kept with the model.
        head_dtype: dtype policy of the output layer, instead of the
            backbone's. A quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: the backbone's dictionary of tensors.

    Outputs: `(batch, sequence, num_classes)` float, logits.

    Targets are classes, `(batch, sequence)` int; tokens that do not count,
    padding among them, get a sample weight of 0, `(batch, sequence)`. The
    default loss is sparse cross-entropy.

    Raises:
        ValueError: if the arguments contradict each other.

    Example:
    ```python
    import numpy as np
    import keras_albert as ka

    tagger = ka.AlbertTokenClassifier.from_preset(
        "albert_tiny_en", labels=["O", "B-PER", "I-PER"]
    )
    inputs = {
        "token_ids": np.array([[2, 48, 25, 21, 3]]),
        "segment_ids": np.zeros((1, 5), "int32"),
        "padding_mask": np.ones((1, 5), "int32"),
    }
    tagger.predict(inputs).shape  # (1, 5, 3)
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = None

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
        num_classes = number_of_classes(num_classes, labels)
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
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_weighted_metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

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
