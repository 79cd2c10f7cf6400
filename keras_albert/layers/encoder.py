"""The post-layer-norm transformer block that ALBERT applies many times."""

import keras
from keras import ops

from keras_albert.layers.activations import (
    get_activation,
    serialize_activation,
)
from keras_albert.layers.packed_dense import active_packed_dense

# Added to the attention scores of padded keys, as in the original's
# `attention_layer`.
MASKED_SCORE = -10000.0


def weight_initializer():
    """The original's initializer, truncated normal of standard deviation 0.02.

    A new instance each time, since an instance repeats its values.
    """
    return keras.initializers.TruncatedNormal(stddev=0.02)


def attention_bias(padding_mask):
    """What is added to attention scores so that padding is not attended to.

    Args:
        padding_mask: `(batch, sequence)`, int or bool, 1 for tokens.

    Returns:
        `(batch, 1, 1, sequence)` float32, 0 for tokens, -10000 for padding.
    """
    mask = ops.cast(padding_mask, "float32")
    bias = (1.0 - mask) * MASKED_SCORE
    return ops.reshape(bias, (ops.shape(mask)[0], 1, 1, -1))


def apply_layer(layer, x):
    """Calls a built sub-layer without Keras's bookkeeping of each call.

    A block has eight sub-layers and runs `num_layers` times. In eager torch
    the bookkeeping takes as long as the arithmetic of a short text, and the
    block's own call has done it already.

    Args:
        layer: a built `keras.layers.Layer` of one input.
        x: its input, in the layer's compute dtype.

    Returns:
        Its output.
    """
    if layer.quantization_mode is not None:
        return layer(x)
    packed = active_packed_dense()
    if packed is not None and packed.takes(layer, x):
        return packed(layer, x)
    return layer.call(x)


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertEncoderLayer(keras.layers.Layer):
    """One transformer block: self-attention, feed-forward, post-layer-norm.

    It knows nothing of sharing: `AlbertBackbone` applies an instance as often
    as the configuration says. Dropout acts where the original has it: on the
    attention probabilities, on the attention output and on the feed-forward
    output (`attention_ffn_block` in google-research/albert `modeling.py`).

    Args:
        num_heads: int. Must divide the width of the input.
        intermediate_dim: int. Width inside the feed-forward network.
        activation: activation of the feed-forward network, see
            `get_activation`.
        dropout: float. Dropout rate on the two sub-layers' outputs.
        attention_dropout: float. Dropout rate on attention probabilities.
        layer_norm_epsilon: float. Epsilon of both layer normalizations.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, sequence, hidden_dim)` float.
        padding_mask: optional `(batch, sequence)` int or bool, 1 for tokens.
        training: bool, whether dropout is active.

    Returns:
        `(batch, sequence, hidden_dim)` float.

    Raises:
        ValueError: if `num_heads` does not divide the width of the input.
    """

    def __init__(
        self,
        num_heads,
        intermediate_dim,
        activation="gelu_approximate",
        dropout=0.0,
        attention_dropout=0.0,
        layer_norm_epsilon=1e-12,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.activation = get_activation(activation)
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        # Whether training computes the block again for the gradient, in place
        # of keeping what is in it. Not part of the configuration.
        self.rematerialize = False

    def build(self, input_shape):
        hidden_dim = input_shape[-1]
        check_heads(hidden_dim, self.num_heads)
        self.hidden_dim = hidden_dim
        self.head_dim = hidden_dim // self.num_heads
        flat_shape = (None, hidden_dim)

        def dense(units, name, shape=flat_shape, **kwargs):
            layer = keras.layers.Dense(
                units,
                kernel_initializer=weight_initializer(),
                dtype=self._dtype_policy,
                name=name,
                **kwargs,
            )
            layer.build(shape)
            return layer

        def layer_norm(name):
            layer = keras.layers.LayerNormalization(
                epsilon=self.layer_norm_epsilon,
                dtype=self._dtype_policy,
                name=name,
            )
            layer.build(flat_shape)
            return layer

        def dropout(rate, name):
            return keras.layers.Dropout(
                rate, dtype=self._dtype_policy, name=name
            )

        self.query = dense(hidden_dim, "query")
        self.key = dense(hidden_dim, "key")
        self.value = dense(hidden_dim, "value")
        self.attention_output = dense(hidden_dim, "attention_output")
        self.attention_layer_norm = layer_norm("attention_layer_norm")
        self.intermediate = dense(
            self.intermediate_dim, "intermediate", activation=self.activation
        )
        self.output_dense = dense(
            hidden_dim, "output_dense", shape=(None, self.intermediate_dim)
        )
        self.output_layer_norm = layer_norm("output_layer_norm")
        self.probability_dropout = dropout(
            self.attention_dropout, "probability_dropout"
        )
        self.attention_output_dropout = dropout(
            self.dropout, "attention_output_dropout"
        )
        self.output_dropout = dropout(self.dropout, "output_dropout")
        self.built = True

    def call(self, inputs, padding_mask=None, training=None):
        shape = ops.shape(inputs)
        if padding_mask is None:
            padding_mask = ops.ones(shape[:2], dtype="int32")

        def transform(x, bias):
            return self.transform(x, shape[1], bias, training=training)

        if training and self.rematerialize:
            transform = keras.remat(transform)
        x = transform(
            ops.reshape(inputs, (-1, self.hidden_dim)),
            attention_bias(padding_mask),
        )
        return ops.reshape(x, shape)

    def transform(self, x, length, bias, training=None):
        """The block on flat states, so that each product is a plain matmul.

        Args:
            x: `(batch * sequence, hidden_dim)` float.
            length: int or int scalar tensor, the sequence length.
            bias: `(batch, 1, 1, sequence)` float32, see `attention_bias`.
            training: bool, whether dropout is active.

        Returns:
            `(batch * sequence, hidden_dim)` float.
        """
        probabilities = self.attention_probabilities(x, length, bias)
        if training:
            probabilities = self.probability_dropout(
                probabilities, training=True
            )
        value = self._split_heads(apply_layer(self.value, x), length)
        context = ops.matmul(probabilities, value)  # (batch, heads, seq, dim)
        context = ops.transpose(context, (0, 2, 1, 3))
        context = ops.reshape(context, (-1, self.hidden_dim))
        attention = apply_layer(self.attention_output, context)
        if training:
            attention = self.attention_output_dropout(attention, training=True)
        x = apply_layer(self.attention_layer_norm, x + attention)
        feed_forward = apply_layer(self.intermediate, x)
        feed_forward = apply_layer(self.output_dense, feed_forward)
        if training:
            feed_forward = self.output_dropout(feed_forward, training=True)
        return apply_layer(self.output_layer_norm, x + feed_forward)

    def attention_probabilities(self, x, length, bias):
        """Softmax of the scaled dot products, in float32, cast back.

        Args:
            x: `(batch * sequence, hidden_dim)` float.
            length: int or int scalar tensor, the sequence length.
            bias: `(batch, 1, 1, sequence)` float32, see `attention_bias`.

        Returns:
            `(batch, num_heads, sequence, sequence)` float.
        """
        query = apply_layer(self.query, x) * (self.head_dim**-0.5)
        query = self._split_heads(query, length)
        key = apply_layer(self.key, x)
        key = self._split_heads(key, length, transposed=True)
        scores = ops.cast(ops.matmul(query, key), "float32") + bias
        return ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)

    def _split_heads(self, x, length, transposed=False):
        x = ops.reshape(x, (-1, length, self.num_heads, self.head_dim))
        return ops.transpose(x, (0, 2, 3, 1) if transposed else (0, 2, 1, 3))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_heads": self.num_heads,
                "intermediate_dim": self.intermediate_dim,
                "activation": serialize_activation(self.activation),
                "dropout": self.dropout,
                "attention_dropout": self.attention_dropout,
                "layer_norm_epsilon": self.layer_norm_epsilon,
            }
        )
        return config


@keras.saving.register_keras_serializable(package="keras_albert")
class AttentionProbabilities(keras.layers.Layer):
    """The attention probabilities of a built `AlbertEncoderLayer`, for plots.

    Call arguments:
        inputs: `(batch, sequence, hidden_dim)` float.
        padding_mask: `(batch, sequence)` int or bool, 1 for tokens.

    Returns:
        `(batch, num_heads, sequence, sequence)` float.
    """

    def __init__(self, encoder_layer, **kwargs):
        super().__init__(**kwargs)
        self.encoder_layer = encoder_layer

    def build(self, input_shape):
        self.built = True

    def call(self, inputs, padding_mask):
        return self.encoder_layer.attention_probabilities(
            ops.reshape(inputs, (-1, self.encoder_layer.hidden_dim)),
            ops.shape(inputs)[1],
            attention_bias(padding_mask),
        )

    def compute_output_shape(self, input_shape):
        batch, length, _ = input_shape
        return (batch, self.encoder_layer.num_heads, length, length)

    def get_config(self):
        # Not the base class's, which cannot serialize a layer.
        return {
            "name": self.name,
            "encoder_layer": keras.layers.serialize(self.encoder_layer),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["encoder_layer"] = keras.layers.deserialize(
            config["encoder_layer"]
        )
        return cls(**config)


def check_heads(hidden_dim, num_heads):
    """Raises ValueError unless `num_heads` divides `hidden_dim`."""
    if num_heads < 1 or hidden_dim % num_heads:
        raise ValueError(
            "`hidden_dim` must be divisible by `num_heads`. Received: "
            f"hidden_dim={hidden_dim}, num_heads={num_heads}."
        )
