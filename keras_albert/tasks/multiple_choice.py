"""One of several answers."""

import keras
import keras_nlp

from keras_albert.layers.encoder import weight_initializer
from keras_albert.layers.heads import FlattenChoices, GroupChoices
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.tasks.task import AlbertTask


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertMultipleChoice(AlbertTask, keras_nlp.models.Task):
    """Scores the choices of a question, each read with its context.

    Dropout and a dense layer of one output on the pooled output of each
    choice, as for RACE in the original (`race_utils.create_model`).

    Args:
        backbone: an `AlbertBackbone`.
        preprocessor: `None`: the model takes ready tensors.
        dropout: float. Dropout rate on the pooled output.
        head_dtype: dtype policy of the output layer, instead of the
            backbone's. A quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: a dictionary of `"token_ids"`, `"segment_ids"` and
    `"padding_mask"`, each `(batch, choices, sequence)` int.

    Outputs: `(batch, choices)` float, logits.

    Targets are the right choices, `(batch,)` int. The default loss is sparse
    cross-entropy.

    Example:
    ```python
    import numpy as np
    import keras_albert as ka

    chooser = ka.AlbertMultipleChoice.from_preset("albert_tiny_en")
    ids = np.array([[[2, 48, 3, 25, 3], [2, 48, 3, 21, 3]]])
    inputs = {
        "token_ids": ids,
        "segment_ids": np.array([[[0, 0, 0, 1, 1]] * 2]),
        "padding_mask": np.ones_like(ids),
    }
    chooser.predict(inputs).shape  # (1, 2)
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = None

    def __init__(
        self,
        backbone,
        preprocessor=None,
        dropout=0.1,
        head_dtype=None,
        **kwargs,
    ):
        self.check_parts(backbone, preprocessor)

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
        inputs = {
            name: keras.Input(shape=(None, None), dtype="int32", name=name)
            for name in backbone.input
        }
        # (batch * choices, sequence)
        rows = {
            name: FlattenChoices(name=f"flatten_{name}")(x)
            for name, x in inputs.items()
        }
        pooled = backbone(rows)["pooled_output"]
        scores = self.output_dense(self.output_dropout(pooled))
        outputs = GroupChoices(
            dtype=backbone.dtype_policy, name="group_choices"
        )(scores, inputs["token_ids"])
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.dropout = dropout

    def default_loss(self):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_weighted_metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.output_dense))
        config["dropout"] = self.dropout
        return config
