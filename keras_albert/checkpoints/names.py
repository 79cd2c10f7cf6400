"""One table of weight names: ours, Hugging Face's, the original's, KerasHub's.

A row is a module. `PARTS` says which weights a module of its kind has, and
what they are called and how they lie in each format. `weight_names` multiplies
both out for a number of groups and inner layers.

Layouts: our kernels are `(inputs, outputs)`, as the original's and KerasHub's;
torch's are transposed, and so are the original's `output_weights`. KerasHub
splits attention kernels by head, which is a reshape.
"""

import dataclasses

# kind: our weight, Hugging Face's, the original's (each joined to the name of
# the module), and where it is transposed.
PARTS = {
    "embedding": (("embeddings", "weight", "", ()),),
    "dense": (
        ("kernel", "weight", "kernel", ("huggingface",)),
        ("bias", "bias", "bias", ()),
    ),
    "norm": (("gamma", "weight", "gamma", ()), ("beta", "bias", "beta", ())),
    "head": (
        ("kernel", "weight", "output_weights", ("huggingface", "original")),
        ("bias", "bias", "output_bias", ()),
    ),
    "bias": (("output_bias", "bias", "output_bias", ()),),
}

_LAYER = "group_{g}_inner_layer_{i}"
_HF = "encoder.albert_layer_groups.{g}.albert_layers.{i}"
_TF = "bert/encoder/transformer/group_{g}/inner_group_{i}"
_KH = f"{_LAYER}/self_attention_layer"

# part of the model, kind, shape; ours, Hugging Face's (without `albert.`), the
# original's, KerasHub's. Shapes: V vocabulary, P positions, S segments,
# E embedding, H hidden, I intermediate, C classes; a bias has the last one's.
# fmt: off
TABLE = (
    ("embeddings", "embedding", "V E", "embeddings/token_embedding", "embeddings.word_embeddings", "bert/embeddings/word_embeddings", "token_embedding"),  # noqa: E501
    ("embeddings", "embedding", "P E", "embeddings/position_embedding", "embeddings.position_embeddings", "bert/embeddings/position_embeddings", "position_embedding"),  # noqa: E501
    ("embeddings", "embedding", "S E", "embeddings/segment_embedding", "embeddings.token_type_embeddings", "bert/embeddings/token_type_embeddings", "segment_embedding"),  # noqa: E501
    ("embeddings", "norm", "E", "embeddings/layer_norm", "embeddings.LayerNorm", "bert/embeddings/LayerNorm", "embeddings_layer_norm"),  # noqa: E501
    ("projection", "dense", "E H", "embeddings/projection", "encoder.embedding_hidden_mapping_in", "bert/encoder/embedding_hidden_mapping_in", "embedding_projection"),  # noqa: E501
    ("encoder", "dense", "H H", f"{_LAYER}/query", f"{_HF}.attention.query", f"{_TF}/attention_1/self/query", f"{_KH}/query"),  # noqa: E501
    ("encoder", "dense", "H H", f"{_LAYER}/key", f"{_HF}.attention.key", f"{_TF}/attention_1/self/key", f"{_KH}/key"),  # noqa: E501
    ("encoder", "dense", "H H", f"{_LAYER}/value", f"{_HF}.attention.value", f"{_TF}/attention_1/self/value", f"{_KH}/value"),  # noqa: E501
    ("encoder", "dense", "H H", f"{_LAYER}/attention_output", f"{_HF}.attention.dense", f"{_TF}/attention_1/output/dense", f"{_KH}/attention_output"),  # noqa: E501
    ("encoder", "norm", "H", f"{_LAYER}/attention_layer_norm", f"{_HF}.attention.LayerNorm", f"{_TF}/LayerNorm", f"{_LAYER}/self_attention_layer_norm"),  # noqa: E501
    ("encoder", "dense", "H I", f"{_LAYER}/intermediate", f"{_HF}.ffn", f"{_TF}/ffn_1/intermediate/dense", f"{_LAYER}/feedforward_intermediate_dense"),  # noqa: E501
    ("encoder", "dense", "I H", f"{_LAYER}/output_dense", f"{_HF}.ffn_output", f"{_TF}/ffn_1/intermediate/output/dense", f"{_LAYER}/feedforward_output_dense"),  # noqa: E501
    ("encoder", "norm", "H", f"{_LAYER}/output_layer_norm", f"{_HF}.full_layer_layer_norm", f"{_TF}/LayerNorm_1", f"{_LAYER}/feedforward_layer_norm"),  # noqa: E501
    ("pooler", "dense", "H H", "pooled_dense", "pooler", "bert/pooler/dense", "pooled_dense"),  # noqa: E501
    ("mlm_head", "dense", "H E", "mlm_head/dense", "predictions.dense", "cls/predictions/transform/dense", "mlm_head/intermediate_dense"),  # noqa: E501
    ("mlm_head", "norm", "E", "mlm_head/layer_norm", "predictions.LayerNorm", "cls/predictions/transform/LayerNorm", "mlm_head/intermediate_layer_norm"),  # noqa: E501
    ("mlm_head", "bias", "V", "mlm_head", "predictions", "cls/predictions", "mlm_head"),  # noqa: E501
    ("sop_head", "head", "H 2", "sop_logits", "sop_classifier.classifier", "cls/seq_relationship", None),  # noqa: E501
    ("span_logits", "head", "H 2", "span_logits", "qa_outputs", "cls/squad", None),  # noqa: E501
    ("logits", "head", "H C", "logits", "classifier", "", "logits"),
)
# fmt: on

BACKBONE_PARTS = ("embeddings", "projection", "encoder", "pooler")
# The heads of each task. `logits` is a head of its own in each of its tasks,
# the other heads are the same wherever they occur.
TASK_PARTS = {
    "AlbertMaskedLM": ("mlm_head",),
    "AlbertPretrainer": ("mlm_head", "sop_head"),
    "AlbertTextClassifier": ("logits",),
    "AlbertTextEmbedder": (),
    "AlbertTokenClassifier": ("logits",),
    "AlbertQuestionAnswerer": ("span_logits",),
    "AlbertMultipleChoice": ("logits",),
    "AlbertSentenceExtractor": ("logits",),
}


# Tasks that leave the pooled output alone; `transformers` builds these
# without a pooler.
TASKS_WITHOUT_POOLER = (
    "AlbertMaskedLM",
    "AlbertTextEmbedder",
    "AlbertTokenClassifier",
    "AlbertQuestionAnswerer",
    "AlbertSentenceExtractor",
)

# A deeper model is a damaged configuration: nobody could wait for it to be
# built. The deepest that was published has 48 layers.
MOST_LAYERS = 1024

# Argument of `AlbertBackbone`: the key of Hugging Face's `config.json` and of
# the original's `albert_config.json`, and its default in both libraries.
CONFIG_SIZES = {
    "vocabulary_size": ("vocab_size", 30000),
    "num_layers": ("num_hidden_layers", 12),
    "num_heads": ("num_attention_heads", 64),
    "embedding_dim": ("embedding_size", 128),
    "hidden_dim": ("hidden_size", 4096),
    "intermediate_dim": ("intermediate_size", 16384),
    "num_groups": ("num_hidden_groups", 1),
    "num_inner_repetitions": ("inner_group_num", 1),
    "max_sequence_length": ("max_position_embeddings", 512),
    "num_segments": ("type_vocab_size", 2),
}
CONFIG_RATES = {
    "dropout": ("hidden_dropout_prob", 0.0),
    "attention_dropout": ("attention_probs_dropout_prob", 0.0),
    "layer_norm_epsilon": ("layer_norm_eps", 1e-12),
}


@dataclasses.dataclass(frozen=True)
class WeightName:
    """A weight and its names in each format; `None` where it has none."""

    part: str
    shape: tuple[str, ...]
    ours: str
    huggingface: str
    original: str
    keras_hub: str | None
    transposed: tuple[str, ...]

    def in_format(self, format_name):
        """The name of the weight in a format, a field of this class."""
        return getattr(self, format_name)

    def sizes(self, dimensions):
        """The shape in our layout as a tuple of int, from its letters."""
        return tuple(
            dimensions[letter] if letter in dimensions else int(letter)
            for letter in self.shape
        )


def weight_names(num_groups, num_inner_repetitions):
    """All the names that a model of these sizes can have.

    Args:
        num_groups: int.
        num_inner_repetitions: int.

    Returns:
        list of `WeightName`, in the order of the table.
    """
    names = []
    for row in TABLE:
        groups = num_groups if row[0] == "encoder" else 1
        inner_layers = num_inner_repetitions if row[0] == "encoder" else 1
        for group in range(groups):
            for inner in range(inner_layers):
                names.extend(_names_of_row(row, group, inner))
    return names


def _names_of_row(row, group, inner):
    part, kind, shape, *modules = row
    ours, huggingface, original, keras_hub = [
        None if module is None else module.format(g=group, i=inner)
        for module in modules
    ]
    for weight, torch_weight, original_weight, transposed in PARTS[kind]:
        is_vector = weight not in ("kernel", "embeddings")
        letters = shape.split()
        yield WeightName(
            part=part,
            shape=tuple(letters[-1:] if is_vector else letters),
            ours=f"{ours}/{weight}",
            huggingface=f"{huggingface}.{torch_weight}",
            original=_join(original, original_weight),
            keras_hub=None if keras_hub is None else f"{keras_hub}/{weight}",
            transposed=transposed,
        )


def _join(module, weight):
    return "/".join(part for part in (module, weight) if part)


def check_pooling(model, library):
    """Raises ValueError for a head on what no other library gives its head.

    Args:
        model: a backbone or task.
        library: string, which one is to have it.
    """
    is_classifier = type(model).__name__ == "AlbertTextClassifier"
    if is_classifier and model.pooling != "cls":
        raise ValueError(
            f"A text classifier of {library} must have `pooling='cls'`. This "
            f"one has {model.pooling!r}; train one with 'cls', or save its "
            "`AlbertBackbone` to a folder of its own and convert that."
        )
