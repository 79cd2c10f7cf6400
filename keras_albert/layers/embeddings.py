"""ALBERT's factorized embedding."""

import keras
import keras_nlp
from keras import ops

from keras_albert.layers.encoder import weight_initializer


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertEmbeddings(keras.layers.Layer):
    """Sum of token, position and segment embeddings, then a projection.

    The original's order: sum of the three, layer normalization, dropout,
    and a dense projection from `embedding_dim` to `hidden_dim`
    (`embedding_hidden_mapping_in`, ALBERT paper section 3.1).

    Args:
        vocabulary_size: int. Number of token ids.
        embedding_dim: int. Width of the embedding tables.
        hidden_dim: int. Width of the output.
        max_sequence_length: int. Number of positions, in tokens.
        num_segments: int. Number of segment ids.
        projection: bool. Whether to project to `hidden_dim`. May be `False`
            only when `embedding_dim` equals `hidden_dim`.
        dropout: float. Dropout rate on the normalized sum.
        layer_norm_epsilon: float. Epsilon of the layer normalization.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        token_ids: `(batch, sequence)` int.
        segment_ids: `(batch, sequence)` int.
        training: bool, whether dropout is active.

    Returns:
        `(batch, sequence, hidden_dim)` float.

    Raises:
        ValueError: if a sequence is longer than `max_sequence_length`.
    """

    def __init__(
        self,
        vocabulary_size,
        embedding_dim,
        hidden_dim,
        max_sequence_length=512,
        num_segments=2,
        projection=True,
        dropout=0.0,
        layer_norm_epsilon=1e-12,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not projection and embedding_dim != hidden_dim:
            raise ValueError(
                "`projection=False` needs `embedding_dim` equal to "
                f"`hidden_dim`. Received: embedding_dim={embedding_dim}, "
                f"hidden_dim={hidden_dim}. Pass `projection=True`."
            )
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.hidden_dim = hidden_dim
        self.max_sequence_length = max_sequence_length
        self.num_segments = num_segments
        self.projection = projection
        self.dropout = dropout
        self.layer_norm_epsilon = layer_norm_epsilon

        self.token_embedding = keras.layers.ReversibleEmbedding(
            vocabulary_size,
            embedding_dim,
            embeddings_initializer=weight_initializer(),
            dtype=self._dtype_policy,
            name="token_embedding",
        )
        self.position_embedding = keras_nlp.layers.PositionEmbedding(
            max_sequence_length,
            initializer=weight_initializer(),
            dtype=self._dtype_policy,
            name="position_embedding",
        )
        self.segment_embedding = keras.layers.Embedding(
            num_segments,
            embedding_dim,
            embeddings_initializer=weight_initializer(),
            dtype=self._dtype_policy,
            name="segment_embedding",
        )
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon,
            dtype=self._dtype_policy,
            name="layer_norm",
        )
        self.dropout_layer = keras.layers.Dropout(
            dropout, dtype=self._dtype_policy, name="dropout"
        )
        self.projection_dense = None
        if projection:
            self.projection_dense = keras.layers.Dense(
                hidden_dim,
                kernel_initializer=weight_initializer(),
                dtype=self._dtype_policy,
                name="projection",
            )

    def build(self, token_ids_shape, segment_ids_shape=None):
        embedded_shape = (*token_ids_shape, self.embedding_dim)
        self.token_embedding.build(token_ids_shape)
        self.position_embedding.build(embedded_shape)
        self.segment_embedding.build(token_ids_shape)
        self.layer_norm.build(embedded_shape)
        if self.projection_dense is not None:
            self.projection_dense.build((None, self.embedding_dim))
        self.built = True

    def call(self, token_ids, segment_ids, training=None):
        length = token_ids.shape[1]
        if isinstance(length, int):
            check_length(length, self.max_sequence_length)
        return self.combine(
            self.token_embedding(token_ids), segment_ids, training=training
        )

    def combine(self, token_embeddings, segment_ids, training=None):
        """Everything after the lookup of the tokens.

        Args:
            token_embeddings: `(batch, sequence, embedding_dim)` float.
            segment_ids: `(batch, sequence)` int.
            training: bool, whether dropout is active.

        Returns:
            `(batch, sequence, hidden_dim)` float.
        """
        x = token_embeddings
        x = x + self.position_embedding(x) + self.segment_embedding(segment_ids)
        x = self.dropout_layer(self.layer_norm(x), training=training)
        if self.projection_dense is None:
            return x
        # One two-dimensional product: (batch * sequence, embedding).
        shape = ops.shape(x)
        x = self.projection_dense(ops.reshape(x, (-1, self.embedding_dim)))
        return ops.reshape(x, (*shape[:2], self.hidden_dim))

    def compute_output_shape(self, token_ids_shape, segment_ids_shape=None):
        return (*token_ids_shape, self.hidden_dim)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "vocabulary_size": self.vocabulary_size,
                "embedding_dim": self.embedding_dim,
                "hidden_dim": self.hidden_dim,
                "max_sequence_length": self.max_sequence_length,
                "num_segments": self.num_segments,
                "projection": self.projection,
                "dropout": self.dropout,
                "layer_norm_epsilon": self.layer_norm_epsilon,
            }
        )
        return config


def check_length(length, max_sequence_length):
    """Raises ValueError if a sequence is longer than the positions."""
    if length > max_sequence_length:
        raise ValueError(
            "A sequence must not be longer than `max_sequence_length="
            f"{max_sequence_length}` positions. Received: {length} tokens. "
            "Truncate the input (`sequence_length` of the preprocessor) or "
            "build the backbone with more positions."
        )
