"""ALBERT's encoder: one layer, applied many times."""

import numbers

import keras
import keras_nlp

from keras_albert.checkpoints.checkpoint import check_depth
from keras_albert.layers.activations import (
    get_activation,
    serialize_activation,
)
from keras_albert.layers.embeddings import AlbertEmbeddings
from keras_albert.layers.encoder import (
    AlbertEncoderLayer,
    AttentionProbabilities,
    check_heads,
    weight_initializer,
)
from keras_albert.models.openvino import OpenVINOPrecisionMixin
from keras_albert.presets.loading import DEFAULT_LEARNING_RATE, PresetMixin


def group_of_layer(layer_index, num_layers, num_groups):
    """The group of parameters that layer `layer_index` uses."""
    return layer_index * num_groups // num_layers


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertBackbone(
    OpenVINOPrecisionMixin, PresetMixin, keras_nlp.models.Backbone
):
    """ALBERT encoder (Lan et al. 2019, https://arxiv.org/abs/1909.11942).

    BERT's encoder with a factorized embedding and with cross-layer parameter
    sharing: `num_layers` applications of `num_groups` groups of
    `num_inner_repetitions` transformer layers each. Layer `i` uses group
    `i * num_groups // num_layers`, so that `num_layers` need not be divisible
    by `num_groups`.

    Args:
        vocabulary_size: int. Number of token ids.
        num_layers: int. How many times a group is applied; times
            `num_inner_repetitions`, at most 1024.
        num_heads: int. Attention heads; must divide `hidden_dim`.
        embedding_dim: int. Width of the embedding tables (E in the paper).
        hidden_dim: int. Width of the encoder and of the pooler (H).
        intermediate_dim: int. Width inside the feed-forward networks.
        num_groups: int. Groups of parameters, at most `num_layers`.
        num_inner_repetitions: int. Layers with weights of their own in each
            group.
        dropout: float. Dropout rate on the embeddings, the attention outputs
            and the feed-forward outputs.
        attention_dropout: float. Dropout rate on attention probabilities.
        activation: string or callable. `"gelu_approximate"` is the
            original's, `"gelu"` the exact one; any Keras activation will do.
        layer_norm_epsilon: float. Epsilon of each layer normalization.
        max_sequence_length: int. Number of positions, in tokens.
        num_segments: int. Number of segment ids.
        embedding_projection: bool or `None`. Whether the embeddings pass
            through a dense layer. `None`: only when `embedding_dim` differs
            from `hidden_dim`, as the original; `True`: always, as Hugging
            Face.
        dtype: dtype, policy name or `keras.DTypePolicy` of all layers.
        **kwargs: `name` and `trainable`.

    Inputs: a dictionary of
        - `"token_ids"`: `(batch, sequence)` int;
        - `"segment_ids"`: `(batch, sequence)` int;
        - `"padding_mask"`: `(batch, sequence)` int or bool, 1 for tokens.

    Outputs: a dictionary of
        - `"sequence_output"`: `(batch, sequence, hidden_dim)` float;
        - `"pooled_output"`: `(batch, hidden_dim)` float, dense and tanh on
          the first token.

    Attributes:
        hidden_states: list of the `num_layers + 1` symbolic states, the
            embeddings first, each `(batch, sequence, hidden_dim)`. For a
            model of them: `keras.Model(backbone.input,
            backbone.hidden_states)`.
        learning_rate: float, the learning rate that tasks on this backbone
            are compiled with by default. Pretrained presets have a smaller
            one; it is stored with a preset.

    Raises:
        ValueError: if the sizes contradict each other, or a rate is not
            between 0 and 1.

    Example:
    ```python
    import numpy as np
    import keras_albert as ka

    backbone = ka.AlbertBackbone(
        vocabulary_size=30000,
        num_layers=12,
        num_heads=12,
        embedding_dim=128,
        hidden_dim=768,
        intermediate_dim=3072,
    )
    outputs = backbone(
        {
            "token_ids": np.array([[2, 48, 25, 21, 1289, 3, 0, 0]]),
            "segment_ids": np.zeros((1, 8), "int32"),
            "padding_mask": np.array([[1, 1, 1, 1, 1, 1, 0, 0]]),
        }
    )
    outputs["pooled_output"].shape  # (1, 768)
    ```
    """

    def __init__(
        self,
        vocabulary_size,
        num_layers,
        num_heads,
        embedding_dim,
        hidden_dim,
        intermediate_dim,
        num_groups=1,
        num_inner_repetitions=1,
        dropout=0.0,
        attention_dropout=0.0,
        activation="gelu_approximate",
        layer_norm_epsilon=1e-12,
        max_sequence_length=512,
        num_segments=2,
        embedding_projection=None,
        dtype=None,
        **kwargs,
    ):
        _check_sizes(
            vocabulary_size=vocabulary_size,
            num_layers=num_layers,
            num_heads=num_heads,
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            intermediate_dim=intermediate_dim,
            num_groups=num_groups,
            num_inner_repetitions=num_inner_repetitions,
            max_sequence_length=max_sequence_length,
            num_segments=num_segments,
        )
        check_rates(dropout=dropout, attention_dropout=attention_dropout)
        check_keywords(type(self).__name__, kwargs, ("name", "trainable"))
        if embedding_projection is None:
            projection = embedding_dim != hidden_dim
        else:
            projection = embedding_projection

        # === Layers ===
        self.embeddings = AlbertEmbeddings(
            vocabulary_size=vocabulary_size,
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            max_sequence_length=max_sequence_length,
            num_segments=num_segments,
            projection=projection,
            dropout=dropout,
            layer_norm_epsilon=layer_norm_epsilon,
            dtype=dtype,
            name="embeddings",
        )
        self.transformer_layers = [
            [
                AlbertEncoderLayer(
                    num_heads=num_heads,
                    intermediate_dim=intermediate_dim,
                    activation=activation,
                    dropout=dropout,
                    attention_dropout=attention_dropout,
                    layer_norm_epsilon=layer_norm_epsilon,
                    dtype=dtype,
                    name=f"group_{group}_inner_layer_{inner}",
                )
                for inner in range(num_inner_repetitions)
            ]
            for group in range(num_groups)
        ]
        self.pooled_dense = keras.layers.Dense(
            hidden_dim,
            activation="tanh",
            kernel_initializer=weight_initializer(),
            dtype=dtype,
            name="pooled_dense",
        )

        # === Functional model ===
        inputs = {
            name: keras.Input(shape=(None,), dtype="int32", name=name)
            for name in ("token_ids", "segment_ids", "padding_mask")
        }
        x = self.embeddings(inputs["token_ids"], inputs["segment_ids"])
        hidden_states = [x]
        for layer_index in range(num_layers):
            group = group_of_layer(layer_index, num_layers, num_groups)
            for layer in self.transformer_layers[group]:
                x = layer(x, padding_mask=inputs["padding_mask"])
            hidden_states.append(x)
        pooled_output = self.pooled_dense(x[:, 0, :])
        super().__init__(
            inputs=inputs,
            outputs={"sequence_output": x, "pooled_output": pooled_output},
            dtype=dtype,
            **kwargs,
        )

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.embedding_dim = embedding_dim
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.num_groups = num_groups
        self.num_inner_repetitions = num_inner_repetitions
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.activation = get_activation(activation)
        self.layer_norm_epsilon = layer_norm_epsilon
        self.max_sequence_length = max_sequence_length
        self.num_segments = num_segments
        self.embedding_projection = embedding_projection
        self.cls_token_index = 0
        # Not part of the architecture: presets store it beside the weights.
        self.learning_rate = DEFAULT_LEARNING_RATE
        # A tuple, which Keras does not track: the states are no sub-layers.
        self._hidden_states = tuple(hidden_states)

    @property
    def hidden_states(self):
        """The `num_layers + 1` symbolic states, the embeddings first."""
        return list(self._hidden_states)

    @property
    def token_embedding(self):
        """The token embedding layer, `(vocabulary_size, embedding_dim)`."""
        return self.embeddings.token_embedding

    def enable_lora(self, rank, target_layer_names=None):
        """Freezes the weights and adds trainable low-rank adapters.

        A shared layer gets one adapter, which acts at each of its
        applications.

        Args:
            rank: int. Rank of the adapters.
            target_layer_names: list of strings, names of the dense layers
                that get one. `None`: `"query"` and `"value"`.

        Raises:
            ValueError: if the rank is not a positive integer.
        """
        if not isinstance(rank, int) or rank < 1:
            raise ValueError(
                f"`rank` must be a positive integer. Received: {rank!r}."
            )
        super().enable_lora(rank, target_layer_names)
        for layer in self._flatten_layers(include_self=False):
            if getattr(layer, "lora_enabled", False) and layer.bias is not None:
                # `save_lora_weights` would not save what it learns.
                layer.bias.trainable = False
        # What was traced before knows of no adapters.
        self.train_function = None
        self.test_function = None
        self.predict_function = None

    def attention_model(self):
        """A model that returns attention probabilities instead of states.

        Returns:
            A `keras.Model` with the inputs of the backbone and one output a
            layer application, in order, each
            `(batch, num_heads, sequence, sequence)` float: row `i` says
            where token `i` looks. It shares the backbone's weights.
        """
        padding_mask = self.input["padding_mask"]
        probabilities = []
        for layer_index, x in enumerate(self._hidden_states[:-1]):
            group = group_of_layer(
                layer_index, self.num_layers, self.num_groups
            )
            for inner, layer in enumerate(self.transformer_layers[group]):
                attention = AttentionProbabilities(
                    layer, name=f"attention_{layer_index}_{inner}"
                )
                probabilities.append(attention(x, padding_mask))
                x = layer(x, padding_mask=padding_mask)
        return keras.Model(self.input, probabilities, name="attention_model")

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "vocabulary_size": self.vocabulary_size,
                "num_layers": self.num_layers,
                "num_heads": self.num_heads,
                "embedding_dim": self.embedding_dim,
                "hidden_dim": self.hidden_dim,
                "intermediate_dim": self.intermediate_dim,
                "num_groups": self.num_groups,
                "num_inner_repetitions": self.num_inner_repetitions,
                "dropout": self.dropout,
                "attention_dropout": self.attention_dropout,
                "activation": serialize_activation(self.activation),
                "layer_norm_epsilon": self.layer_norm_epsilon,
                "max_sequence_length": self.max_sequence_length,
                "num_segments": self.num_segments,
                "embedding_projection": self.embedding_projection,
            }
        )
        return config


def check_keywords(name, given, known):
    """Raises ValueError for arguments that Keras would drop in silence.

    Args:
        name: string, the class that they were given to.
        given: dictionary of keyword arguments.
        known: names of those that it takes.
    """
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ValueError(
            f"{name} must be given arguments that it has. Received: "
            f"{', '.join(map(repr, unknown))}; correct the name."
        )


def _check_sizes(**sizes):
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(
                f"`{name}` must be a positive integer. Received: {size!r}."
            )
    check_heads(sizes["hidden_dim"], sizes["num_heads"])
    check_depth(
        sizes["num_layers"],
        sizes["num_groups"],
        sizes["num_inner_repetitions"],
    )


def check_rates(**rates):
    """Raises ValueError for rates of dropout that nothing can learn with."""
    for name, rate in rates.items():
        # A rate of 1 leaves nothing to train on.
        if not isinstance(rate, numbers.Real) or not 0 <= rate < 1:
            raise ValueError(
                f"`{name}` must be at least 0 and below 1. Received: {rate!r}."
            )
