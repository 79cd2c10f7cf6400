"""Answers as spans of a text."""

import keras
import keras_nlp

from keras_albert.layers.encoder import weight_initializer
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.tasks.task import AlbertTask


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertQuestionAnswerer(AlbertTask, keras_nlp.models.Task):
    """Scores each token as the start and as the end of an answer.

    One dense layer of two outputs on the sequence output, as for SQuAD 1.1 in
    the original (`run_squad_v1`) and in Hugging Face.

    Args:
        backbone: an `AlbertBackbone`.
        preprocessor: `None`: the model takes ready tensors.
        head_dtype: dtype policy of the output layer, instead of the
            backbone's. A quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: the backbone's dictionary of tensors, the question as segment 0
    and the text as segment 1.

    Outputs: a dictionary of
        - `"start_logits"`: `(batch, sequence)` float;
        - `"end_logits"`: `(batch, sequence)` float.

    Targets are a dictionary of the same names: positions, `(batch,)` int.
    The default loss is the mean of the two sparse cross-entropies.

    Example:
    ```python
    import numpy as np
    import keras_albert as ka

    answerer = ka.AlbertQuestionAnswerer.from_preset("albert_tiny_en")
    inputs = {
        "token_ids": np.array([[2, 48, 3, 25, 21, 3]]),
        "segment_ids": np.array([[0, 0, 0, 1, 1, 1]]),
        "padding_mask": np.ones((1, 6), "int32"),
    }
    answerer.predict(inputs)["start_logits"].shape  # (1, 6)
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = None

    def __init__(self, backbone, preprocessor=None, head_dtype=None, **kwargs):
        self.check_parts(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.span_dense = keras.layers.Dense(
            2,
            kernel_initializer=weight_initializer(),
            dtype=head_dtype or backbone.dtype_policy,
            name="span_logits",
        )

        # === Functional model ===
        inputs = backbone.input
        outputs = self.head_outputs(backbone(inputs))
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def inference_outputs(self, backbone_outputs, inputs=None):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            The dictionary of outputs, see the class.
        """
        return self.head_outputs(backbone_outputs)

    def head_outputs(self, backbone_outputs):
        logits = self.span_dense(backbone_outputs["sequence_output"])
        return {
            "start_logits": logits[:, :, 0],
            "end_logits": logits[:, :, 1],
        }

    def compile(self, *args, loss_weights=None, **kwargs):
        """Configures training; see `AlbertTask.compile`.

        Args:
            *args: optimizer and loss.
            loss_weights: dictionary; by default a half for each output.
            **kwargs: See `keras.Model.compile`.
        """
        if loss_weights is None:
            loss_weights = {"start_logits": 0.5, "end_logits": 0.5}
        super().compile(*args, loss_weights=loss_weights, **kwargs)

    def default_loss(self):
        return {
            name: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            for name in ("start_logits", "end_logits")
        }

    def default_weighted_metrics(self):
        return {
            name: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
            for name in ("start_logits", "end_logits")
        }

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.span_dense))
        return config
