"""ALBERT's forward pass in NumPy, in float64, written from the paper.

Lan et al. 2019 (https://arxiv.org/abs/1909.11942) and google-research/albert
`modeling.py`. It shares no code with the package: weights come as arrays by
their paths.
"""

import math

import numpy as np

ACTIVATIONS = {
    "gelu_approximate": lambda x: (
        0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "relu": lambda x: np.maximum(x, 0),
}


def weights_of(backbone):
    """The weights of a backbone by path, in float64."""
    return {
        variable.path: np.asarray(value, dtype="float64")
        for variable, value in zip(
            backbone.weights, backbone.get_weights(), strict=True
        )
    }


def forward(weights, config, token_ids, segment_ids, padding_mask):
    """All that ALBERT computes.

    Args:
        weights: dictionary of path and array.
        config: dictionary of the backbone's arguments.
        token_ids: `(batch, sequence)` int.
        segment_ids: `(batch, sequence)` int.
        padding_mask: `(batch, sequence)` int.

    Returns:
        dictionary of `sequence_output`, `pooled_output`, `hidden_states`
        (embeddings first) and `probabilities` (one an application).
    """
    epsilon = config.get("layer_norm_epsilon", 1e-12)
    activation = ACTIVATIONS[config.get("activation", "gelu_approximate")]
    heads = config["num_heads"]
    batch, length = token_ids.shape

    def dense(x, name):
        return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    def layer_norm(x, name):
        mean = x.mean(axis=-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
        x = (x - mean) / np.sqrt(variance + epsilon)
        return x * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    def split(x):  # (batch, heads, sequence, head_dim)
        return x.reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)

    x = (
        weights["embeddings/token_embedding/embeddings"][token_ids]
        + weights["embeddings/position_embedding/embeddings"][:length]
        + weights["embeddings/segment_embedding/embeddings"][segment_ids]
    )
    x = layer_norm(x, "embeddings/layer_norm")
    if "embeddings/projection/kernel" in weights:
        x = dense(x, "embeddings/projection")

    hidden_states, probabilities = [x], []
    layers, groups = config["num_layers"], config.get("num_groups", 1)
    bias = np.where(padding_mask[:, None, None, :] == 1, 0.0, -10000.0)
    for layer in range(layers):
        group = layer * groups // layers
        for inner in range(config.get("num_inner_repetitions", 1)):
            name = f"group_{group}_inner_layer_{inner}"
            query = split(dense(x, f"{name}/query"))
            key = split(dense(x, f"{name}/key"))
            value = split(dense(x, f"{name}/value"))
            scores = query @ key.transpose(0, 1, 3, 2)
            scores = scores / math.sqrt(query.shape[-1]) + bias
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            attention = scores / scores.sum(axis=-1, keepdims=True)
            probabilities.append(attention)
            context = (attention @ value).transpose(0, 2, 1, 3)
            context = context.reshape(batch, length, -1)
            x = layer_norm(
                x + dense(context, f"{name}/attention_output"),
                f"{name}/attention_layer_norm",
            )
            inside = activation(dense(x, f"{name}/intermediate"))
            x = layer_norm(
                x + dense(inside, f"{name}/output_dense"),
                f"{name}/output_layer_norm",
            )
        hidden_states.append(x)
    return {
        "sequence_output": x,
        "pooled_output": np.tanh(dense(x[:, 0], "pooled_dense")),
        "hidden_states": hidden_states,
        "probabilities": probabilities,
    }
