"""Tokens behind `[MASK]`."""

import keras
import keras_nlp

from keras_albert.layers.heads import AlbertMaskedLMHead
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.tasks.task import AlbertTask


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertMaskedLM(AlbertTask, keras_nlp.models.MaskedLM):
    """Predicts masked tokens, the first of ALBERT's two pretraining tasks.

    Args:
        backbone: an `AlbertBackbone`.
        preprocessor: `None`: the model takes ready tensors.
        head_layer_norm_epsilon: float or `None`. Epsilon of the head's layer
            normalization; `None`: the backbone's. KerasHub's head has 1e-5.
        head_dtype: dtype policy of the head, instead of the backbone's. A
            quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: the backbone's dictionary of tensors, and
        - `"mask_positions"`: `(batch, masks)` int, the positions to predict.

    Outputs: `(batch, masks, vocabulary_size)` float, logits.

    Targets are the tokens, `(batch, masks)` int; padded masks get a sample
    weight of 0, `(batch, masks)`. The default loss is sparse cross-entropy.

    Example:
    ```python
    import numpy as np
    import keras_albert as ka

    backbone = ka.AlbertBackbone.from_preset("albert_tiny_en")
    masked_lm = ka.AlbertMaskedLM(backbone)
    inputs = {
        "token_ids": np.array([[2, 48, 4, 21, 3]]),
        "segment_ids": np.zeros((1, 5), "int32"),
        "padding_mask": np.ones((1, 5), "int32"),
        "mask_positions": np.array([[2]]),
    }
    masked_lm.predict(inputs).shape  # (1, 1, 8000)
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = None
    shared_heads = {"AlbertPretrainer": ("masked_lm_head",)}
    output_name = "logits"  # Of exported files.

    def __init__(
        self,
        backbone,
        preprocessor=None,
        head_layer_norm_epsilon=None,
        head_dtype=None,
        **kwargs,
    ):
        if head_layer_norm_epsilon is None:
            head_layer_norm_epsilon = backbone.layer_norm_epsilon
        self.check_parts(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.masked_lm_head = AlbertMaskedLMHead(
            backbone.token_embedding,
            activation=backbone.activation,
            layer_norm_epsilon=head_layer_norm_epsilon,
            dense_dtype=head_dtype,
            dtype=backbone.dtype_policy,
            name="mlm_head",
        )

        # === Functional model ===
        inputs = {
            **backbone.input,
            "mask_positions": keras.Input(
                shape=(None,), dtype="int32", name="mask_positions"
            ),
        }
        sequence = backbone(backbone.input)["sequence_output"]
        outputs = self.masked_lm_head(sequence, inputs["mask_positions"])
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.head_layer_norm_epsilon = head_layer_norm_epsilon

    def inference_outputs(self, backbone_outputs, inputs):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            `{"logits": (batch, masks, vocabulary_size)}` float.
        """
        logits = self.masked_lm_head(
            backbone_outputs["sequence_output"], inputs["mask_positions"]
        )
        return {self.output_name: logits}

    def default_loss(self):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_weighted_metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.masked_lm_head.dense))
        config["head_layer_norm_epsilon"] = self.head_layer_norm_epsilon
        return config
