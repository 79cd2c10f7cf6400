"""From a model to the bytes of a LiteRT file, on TensorFlow."""

import tempfile

from keras_albert.models.rolled import rolled_outputs, unrolled_outputs

# The order of the inputs in a file.
INPUT_NAMES = ("token_ids", "segment_ids", "padding_mask")
# Beside these, of a model that predicts tokens at positions.
POSITIONS_NAME = "mask_positions"
# What the Task Library's question answerer has.
QUESTION_ANSWERER_LENGTH = 384
UNROLLED_LENGTH = 128
# The order of the outputs where there are several.
OUTPUT_NAMES = (
    "sequence_output",
    "pooled_output",
    "mlm",
    "sop",
    "end_logits",
    "start_logits",
)
SIGNATURE = "serving_default"
_STACKS = {"rolled": rolled_outputs, "unrolled": unrolled_outputs}


def input_names(model):
    """The names of a model's inputs, in the order of a file.

    Args:
        model: a task or an `AlbertBackbone`.

    Returns:
        tuple of strings.
    """
    if POSITIONS_NAME in model.input:
        return (*INPUT_NAMES, POSITIONS_NAME)
    return INPUT_NAMES


def model_inputs(model, rows):
    """Rows of a file as the model itself takes them.

    Args:
        model: a task or an `AlbertBackbone`.
        rows: dictionary of `(rows, …)` arrays.

    Returns:
        The same; where a model takes several choices a question, each row is
        a question of one choice.
    """
    if len(model.input["token_ids"].shape) == 2:
        return rows
    return {name: x[:, None] for name, x in rows.items()}


def named_outputs(model, outputs):
    """What a model computes, under the names that its file gives it.

    Args:
        model: a task or an `AlbertBackbone`.
        outputs: what it returns.

    Returns:
        dictionary of tensors.
    """
    if isinstance(outputs, dict):
        return outputs
    if hasattr(model, "probabilities"):
        return {"probabilities": model.probabilities(outputs)}
    return {model.output_name: outputs}


def unrolled_length(model):
    """The length of an unrolled file when none is asked for, in tokens."""
    length = UNROLLED_LENGTH
    if type(model).__name__ == "AlbertQuestionAnswerer":
        length = QUESTION_ANSWERER_LENGTH
    backbone = getattr(model, "backbone", model)
    # Longer texts are cut off where the model's own preprocessor does it.
    preprocessor = getattr(model, "preprocessor", None)
    longest = getattr(preprocessor, "sequence_length", None) or length
    return min(length, longest, backbone.max_sequence_length)


def ids_signatures(model, layout, sequence_length):
    """The functions of a file that takes ids.

    Args:
        model: a task or an `AlbertBackbone`, in float32.
        layout: see `to_litert`.
        sequence_length: see `to_litert`.

    Returns:
        See `save_for_conversion`.
    """
    import tensorflow as tf

    compute = inference_function(model, layout)
    names = input_names(model)
    shape = [None, None] if sequence_length is None else [1, sequence_length]
    shapes = dict.fromkeys(INPUT_NAMES, shape)
    shapes[POSITIONS_NAME] = [None if n is None else 1 for n in shape]

    function = tf.function(
        lambda *tensors: compute(dict(zip(names, tensors, strict=True))),
        input_signature=[
            tf.TensorSpec(shapes[name], "int32", name=name) for name in names
        ],
    )
    return {SIGNATURE: (function, variables_of(model))}


def convert(signatures, quantization=None):
    """Converts functions on the TensorFlow backend, in this process.

    Args:
        signatures: see `save_for_conversion`.
        quantization: `None`, `"float16"` or `"int8"`, see `to_litert`.

    Returns:
        bytes, the content of a `.tflite` file.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        save_for_conversion(folder, signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        # tensorflow-text's tokenizer; there is no other.
        converter.allow_custom_ops = True
        if quantization is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def save_for_conversion(folder, signatures):
    """Saves functions with the variables that they were traced with.

    Args:
        folder: string, an existing folder.
        signatures: dictionary of names and pairs of a `tf.function` with an
            input signature, and a list of the variables that it reads.
    """
    import tensorflow as tf

    module = tf.Module()
    # Variables alone: a module that tracks a Keras model cannot be saved.
    module.weights = [w for _, weights in signatures.values() for w in weights]
    functions = {name: function for name, (function, _) in signatures.items()}
    module.functions = list(functions.values())
    tf.saved_model.save(module, folder, signatures=functions)


def inference_function(model, layout):
    """The function that a file computes.

    Args:
        model: a task or an `AlbertBackbone`.
        layout: see `to_litert`.

    Returns:
        function from a dictionary of the model's inputs to a dictionary of
        outputs, TensorFlow tensors.
    """
    import tensorflow as tf

    backbone = getattr(model, "backbone", model)

    def compute(inputs):
        outputs = _STACKS[layout](
            backbone, inputs, embed_tokens=_embedding_lookup(backbone)
        )
        if model is not backbone:
            outputs = model.inference_outputs(outputs, inputs)
        return {name: tf.identity(x, name) for name, x in outputs.items()}

    return compute


def variables_of(model):
    """What `save_for_conversion` must track of a model."""
    return [variable.value for variable in model.variables]


def _embedding_lookup(backbone):
    """A lookup that becomes EMBEDDING_LOOKUP, which reads int8 tables."""
    import tensorflow as tf

    table = backbone.token_embedding.embeddings.value

    @tf.function(experimental_implements="embedding_matmul")
    def lookup(table, ids):
        return tf.gather(table, ids)

    def embed_tokens(token_ids):
        rows = lookup(table, tf.reshape(token_ids, [-1]))
        shape = tf.shape(token_ids)
        return tf.reshape(rows, [shape[0], shape[1], backbone.embedding_dim])

    return embed_tokens


def in_documented_order(content):
    """Puts inputs and outputs of a file in the order of their names here.

    The converter leaves them in any order, and runtimes that go by position
    would take segments for tokens without a word.

    Args:
        content: the content of a `.tflite` file.

    Returns:
        bytes, the same with its inputs and outputs in order.
    """
    buffer = bytearray(content)
    for graph, inputs, outputs in _signatures(buffer):
        # Views of the buffer, so that this writes into it.
        _sort(graph.InputsAsNumpy(), inputs, (*INPUT_NAMES, POSITIONS_NAME))
        _sort(graph.OutputsAsNumpy(), outputs, OUTPUT_NAMES)
    return bytes(buffer)


def output_names(content):
    """The names of the outputs of a file with one signature, in order."""
    ((graph, _, outputs),) = _signatures(content)
    by_index = {index: name for name, index in outputs.items()}
    return [by_index[index] for index in graph.OutputsAsNumpy()]


def _signatures(content):
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    for place in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(place)
        inputs, outputs = (
            {
                entry(i).Name().decode(): entry(i).TensorIndex()
                for i in range(length())
            }
            for entry, length in (
                (signature.Inputs, signature.InputsLength),
                (signature.Outputs, signature.OutputsLength),
            )
        )
        yield model.Subgraphs(signature.SubgraphIndex()), inputs, outputs


def _sort(indices, by_name, order):
    names = [name for name in order if name in by_name]
    if len(names) == len(indices):
        indices[:] = [by_name[name] for name in names]
