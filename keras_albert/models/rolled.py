"""The stack of a backbone as loops, for inference.

`AlbertBackbone` writes out each application of a shared layer, and so does
whatever is traced from it: every exporter and runtime then sees `num_layers`
layers, and packs the one layer's weights `num_layers` times. Here each group
of parameters is the body of one loop. The body, and its weights, exist once.
"""

from keras import ops

from keras_albert.layers.encoder import attention_bias
from keras_albert.models.backbone import group_of_layer


def group_applications(backbone):
    """How often each group is applied, in order.

    Args:
        backbone: an `AlbertBackbone`.

    Returns:
        list of int, one a group; they sum to `num_layers`.
    """
    groups = [
        group_of_layer(layer, backbone.num_layers, backbone.num_groups)
        for layer in range(backbone.num_layers)
    ]
    return [groups.count(group) for group in range(backbone.num_groups)]


def rolled_outputs(backbone, inputs, embed_tokens=None):
    """A backbone's outputs, computed with one loop a group of parameters.

    Args:
        backbone: an `AlbertBackbone`.
        inputs: dictionary of `"token_ids"`, `"segment_ids"` and
            `"padding_mask"`, each `(batch, sequence)` int.
        embed_tokens: optional function from `(batch, sequence)` token ids to
            `(batch, sequence, embedding_dim)` embeddings, instead of the
            backbone's own lookup.

    Returns:
        dictionary of `"sequence_output"`, `(batch, sequence, hidden_dim)`,
        and `"pooled_output"`, `(batch, hidden_dim)`.
    """
    return _stack_outputs(backbone, inputs, embed_tokens, _loop)


def unrolled_outputs(backbone, inputs, embed_tokens=None):
    """The same with each application written out, as the backbone has it.

    Args:
        backbone: see `rolled_outputs`.
        inputs: see `rolled_outputs`.
        embed_tokens: see `rolled_outputs`.

    Returns:
        See `rolled_outputs`.
    """
    return _stack_outputs(backbone, inputs, embed_tokens, _repeat)


def _stack_outputs(backbone, inputs, embed_tokens, apply_group):
    token_ids = inputs["token_ids"]
    embed_tokens = embed_tokens or backbone.token_embedding
    x = backbone.embeddings.combine(
        embed_tokens(token_ids), inputs["segment_ids"]
    )
    shape = ops.shape(x)
    bias = attention_bias(inputs["padding_mask"])
    # The state of the loops is flat, (batch * sequence, hidden_dim).
    x = ops.reshape(x, (-1, backbone.hidden_dim))
    for layers, times in zip(
        backbone.transformer_layers, group_applications(backbone), strict=True
    ):
        x = apply_group(layers, times, x, shape[1], bias)
    x = ops.reshape(x, (shape[0], shape[1], backbone.hidden_dim))
    first = ops.reshape(
        ops.slice(x, (0, 0, 0), (shape[0], 1, backbone.hidden_dim)),
        (-1, backbone.hidden_dim),
    )
    return {
        "sequence_output": x,
        "pooled_output": backbone.pooled_dense(first),
    }


def _repeat(layers, times, x, length, bias):
    for _ in range(times):
        for layer in layers:
            x = layer.transform(x, length, bias)
    return x


def _loop(layers, times, x, length, bias):
    def body(step, x):
        return step + 1, _repeat(layers, 1, x, length, bias)

    _, x = ops.while_loop(
        lambda step, x: step < times,
        body,
        (ops.convert_to_tensor(0, dtype="int32"), x),
        maximum_iterations=times,
    )
    return x
