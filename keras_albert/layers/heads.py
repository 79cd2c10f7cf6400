"""The heads that are more than a dense layer."""

import keras
from keras import ops

from keras_albert.layers.activations import (
    get_activation,
    serialize_activation,
)
from keras_albert.layers.encoder import weight_initializer


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertMaskedLMHead(keras.layers.Layer):
    """Predicts tokens: dense to the embedding's width, then the embedding.

    The original's `get_masked_lm_output`: a dense layer from `hidden_dim` to
    `embedding_dim`, activation, layer normalization, the token embedding
    transposed, and a bias a token.

    Args:
        token_embedding: the backbone's `keras.layers.ReversibleEmbedding`,
            whose table the head shares.
        activation: activation of the dense layer, see `get_activation`.
        layer_norm_epsilon: float.
        dense_dtype: dtype policy of the dense layer, instead of the head's:
            only it can be quantized.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, sequence, hidden_dim)` float.
        mask_positions: `(batch, masks)` int, the positions to predict.

    Returns:
        `(batch, masks, vocabulary_size)` float, logits.
    """

    def __init__(
        self,
        token_embedding,
        activation="gelu_approximate",
        layer_norm_epsilon=1e-12,
        dense_dtype=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.token_embedding = token_embedding
        self.dense_dtype = dense_dtype
        self.activation = get_activation(activation)
        self.layer_norm_epsilon = layer_norm_epsilon

    def build(self, inputs_shape, mask_positions_shape=None):
        embedding_dim = self.token_embedding.output_dim
        self.dense = keras.layers.Dense(
            embedding_dim,
            activation=self.activation,
            kernel_initializer=weight_initializer(),
            dtype=self.dense_dtype or self._dtype_policy,
            name="dense",
        )
        self.dense.build((None, inputs_shape[-1]))
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon,
            dtype=self._dtype_policy,
            name="layer_norm",
        )
        self.layer_norm.build((None, embedding_dim))
        self.output_bias = self.add_weight(
            name="output_bias",
            shape=(self.token_embedding.input_dim,),
            initializer="zeros",
        )
        self.built = True

    def call(self, inputs, mask_positions):
        positions = ops.expand_dims(ops.cast(mask_positions, "int32"), -1)
        x = ops.take_along_axis(inputs, positions, axis=1)
        x = self.layer_norm(self.dense(x))
        logits = self.token_embedding(x, reverse=True)
        return logits + ops.cast(self.output_bias, logits.dtype)

    def compute_output_shape(self, inputs_shape, mask_positions_shape):
        return (*mask_positions_shape, self.token_embedding.input_dim)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "token_embedding": keras.layers.serialize(self.token_embedding),
                "activation": serialize_activation(self.activation),
                "layer_norm_epsilon": self.layer_norm_epsilon,
                "dense_dtype": keras.dtype_policies.serialize(
                    self.dense.dtype_policy
                )
                if self.built
                else self.dense_dtype,
            }
        )
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["token_embedding"] = keras.layers.deserialize(
            config["token_embedding"]
        )
        if config.get("dense_dtype") is not None:
            config["dense_dtype"] = keras.dtype_policies.get(
                config["dense_dtype"]
            )
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_albert")
class FlattenChoices(keras.layers.Layer):
    """Lines up the choices of a batch, each a row of its own.

    Call arguments:
        inputs: `(batch, choices, sequence)`.

    Returns:
        `(batch * choices, sequence)`.
    """

    def call(self, inputs):
        return ops.reshape(inputs, (-1, ops.shape(inputs)[-1]))

    def compute_output_shape(self, input_shape):
        return (None, input_shape[-1])


@keras.saving.register_keras_serializable(package="keras_albert")
class GroupChoices(keras.layers.Layer):
    """Puts the scores of the choices of one question side by side.

    Call arguments:
        scores: `(batch * choices, 1)` float.
        padding_mask: `(batch, choices, sequence)` int, 0 throughout where a
            question has fewer choices than others.

    Returns:
        `(batch, choices)` float, -10000 where there is no choice.
    """

    def call(self, scores, padding_mask):
        scores = ops.reshape(scores, (-1, ops.shape(padding_mask)[1]))
        is_choice = ops.any(ops.cast(padding_mask, "bool"), axis=-1)
        # Of no weight in a softmax, and a number in half precision, too.
        missing = ops.cast(-10000.0, scores.dtype)
        return ops.where(is_choice, scores, missing)

    def compute_output_shape(self, scores_shape, padding_mask_shape):
        return tuple(padding_mask_shape[:2])


POOLINGS = ("mean", "cls")


@keras.saving.register_keras_serializable(package="keras_albert")
class SentencePooling(keras.layers.Layer):
    """One vector of a sequence: the mean of its tokens, or its first token.

    Args:
        pooling: `"mean"` over the tokens that the mask keeps, or `"cls"`.
        normalize: bool. Whether vectors are scaled to length 1.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, sequence, hidden_dim)` float.
        padding_mask: `(batch, sequence)` int or bool, 1 for tokens.

    Returns:
        `(batch, hidden_dim)` float. It is computed in float32.

    Raises:
        ValueError: if there is no such pooling.
    """

    def __init__(self, pooling="mean", normalize=True, **kwargs):
        super().__init__(**kwargs)
        if pooling not in POOLINGS:
            raise ValueError(
                f"`pooling` must be one of {', '.join(map(repr, POOLINGS))}. "
                f"Received: {pooling!r}."
            )
        self.pooling = pooling
        self.normalize = normalize

    def build(self, inputs_shape, padding_mask_shape=None):
        self.built = True

    def call(self, inputs, padding_mask):
        x = ops.cast(inputs, "float32")
        if self.pooling == "cls":
            x = x[:, 0, :]
        else:
            mask = ops.cast(padding_mask, "float32")
            tokens = ops.maximum(ops.sum(mask, axis=-1, keepdims=True), 1.0)
            x = ops.sum(x * ops.expand_dims(mask, -1), axis=1) / tokens
        if self.normalize:
            squares = ops.sum(ops.square(x), axis=-1, keepdims=True)
            x = x * ops.rsqrt(ops.maximum(squares, 1e-12))
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, inputs_shape, padding_mask_shape=None):
        return (inputs_shape[0], inputs_shape[-1])

    def get_config(self):
        config = super().get_config()
        config.update({"pooling": self.pooling, "normalize": self.normalize})
        return config
