"""ALBERT's pretraining: masked tokens and the order of two segments."""

import keras
import keras_nlp

from keras_albert.layers.encoder import weight_initializer
from keras_albert.layers.heads import AlbertMaskedLMHead
from keras_albert.metrics.token_accuracy import TokenAccuracy
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.pretrainer import AlbertPretrainerPreprocessor
from keras_albert.tasks.task import AlbertTask


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertPretrainer(AlbertTask, keras_nlp.models.Task):
    """Predicts masked tokens and whether two segments are in order.

    The two tasks of the ALBERT paper, section 3.1. The head of sentence order
    is a dense layer on the pooled output, without dropout, as the original's
    `get_sentence_order_output`.

    Args:
        backbone: an `AlbertBackbone`.
        preprocessor: an `AlbertPretrainerPreprocessor` for pairs of texts;
            `None`: the model takes ready tensors.
        head_dtype: dtype policy of the heads, instead of the backbone's. A
            quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: the backbone's dictionary of tensors, and
        - `"mask_positions"`: `(batch, masks)` int, the positions to predict.

    Outputs: a dictionary of
        - `"mlm"`: `(batch, masks, vocabulary_size)` float, logits;
        - `"sop"`: `(batch, 2)` float, logits of "in order", "swapped".

    Targets are a dictionary of the same names: tokens `(batch, masks)` int
    and 0 or 1, `(batch,)`. Padded masks get a sample weight of 0 in a
    dictionary of the same names. The default losses are sparse
    cross-entropies, the means over masks and over pairs, summed.

    Example:
    ```python
    import numpy as np
    import keras_albert as ka

    backbone = ka.AlbertBackbone.from_preset("albert_tiny_en")
    pretrainer = ka.AlbertPretrainer(backbone)
    inputs = {
        "token_ids": np.array([[2, 48, 4, 3, 21, 3]]),
        "segment_ids": np.array([[0, 0, 0, 0, 1, 1]]),
        "padding_mask": np.ones((1, 6), "int32"),
        "mask_positions": np.array([[2]]),
    }
    pretrainer.predict(inputs)["sop"].shape  # (1, 2)
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = AlbertPretrainerPreprocessor
    makes_targets = True
    shared_heads = {"AlbertMaskedLM": ("masked_lm_head",)}

    def __init__(self, backbone, preprocessor=None, head_dtype=None, **kwargs):
        self.check_parts(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.masked_lm_head = AlbertMaskedLMHead(
            backbone.token_embedding,
            activation=backbone.activation,
            layer_norm_epsilon=backbone.layer_norm_epsilon,
            dense_dtype=head_dtype,
            dtype=backbone.dtype_policy,
            name="mlm_head",
        )
        self.sentence_order_dense = keras.layers.Dense(
            2,
            kernel_initializer=weight_initializer(),
            dtype=head_dtype or backbone.dtype_policy,
            name="sop_logits",
        )

        # === Functional model ===
        inputs = {
            **backbone.input,
            "mask_positions": keras.Input(
                shape=(None,), dtype="int32", name="mask_positions"
            ),
        }
        outputs = self.inference_outputs(backbone(backbone.input), inputs)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def inference_outputs(self, backbone_outputs, inputs):
        """What the model, and an exported file, give.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            The dictionary of outputs, see the class.
        """
        return {
            "mlm": self.masked_lm_head(
                backbone_outputs["sequence_output"], inputs["mask_positions"]
            ),
            "sop": self.sentence_order_dense(backbone_outputs["pooled_output"]),
        }

    def default_loss(self):
        # Of the masks that there are, not of all slots for them.
        return {
            name: keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            )
            for name in ("mlm", "sop")
        }

    def default_weighted_metrics(self):
        return {
            "mlm": [TokenAccuracy(name="accuracy")],
            "sop": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        }

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.sentence_order_dense))
        return config
