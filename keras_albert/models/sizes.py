"""The size of a model from scratch where none is given; imports nothing."""

# `AlbertBackbone`'s arguments; those of the bundled `albert_tiny_en`.
DEFAULT_SIZES = {
    "hidden_dim": 256,
    "num_layers": 4,
    "num_heads": 4,
    "embedding_dim": 128,
    "intermediate_dim": 1024,
}
