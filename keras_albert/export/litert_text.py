"""Texts in: tokenizer and packing inside a LiteRT file.

One tensorflow-text operator a text, the rest are builtin operators. Nothing
is padded: a short text costs a short text.
"""

from keras_albert.export.artifacts import PAIR_INPUTS, TEXT_INPUTS
from keras_albert.export.litert_conversion import (
    SIGNATURE,
    inference_function,
    variables_of,
)
from keras_albert.preprocessing.normalizer import splitting_model

PAIR_SIGNATURE = "pair"


def text_signatures(model, sequence_length):
    """The functions of a file that takes texts.

    Args:
        model: a task with a preprocessor, in float32.
        sequence_length: int. Tokens that a text, or a pair, is cut to.

    Returns:
        See `litert_conversion.save_for_conversion`: `serving_default` takes
        one text, `pair` two.
    """
    import tensorflow as tf

    compute = inference_function(model, "rolled")
    tokenize = _tokenize_function(model.preprocessor.tokenizer)
    truncate = model.preprocessor.truncate

    def function(names):
        def from_texts(*texts):
            segments = [tokenize(text) for text in texts]
            segments = _truncated(segments, sequence_length, truncate)
            return compute(_packed(segments, model.preprocessor.tokenizer))

        return tf.function(
            from_texts,
            input_signature=[
                tf.TensorSpec([1], "string", name=name) for name in names
            ],
        )

    variables = variables_of(model)
    return {
        SIGNATURE: (function(TEXT_INPUTS), variables),
        PAIR_SIGNATURE: (function(PAIR_INPUTS), variables),
    }


def _tokenize_function(tokenizer):
    """From a `(1,)` string to its `(tokens,)` ids, as `AlbertTokenizer`."""
    import tensorflow as tf
    import tensorflow_text as tf_text

    proto, split_pieces = splitting_model(tokenizer.proto)
    splits = {
        index: [tokenizer.token_to_id(piece) for piece in pieces]
        for index, pieces in split_pieces.items()
    }
    sentencepiece = tf_text.FastSentencepieceTokenizer(proto)
    # (pieces that are split, parts), filled up with -1.
    most = max(map(len, splits.values()), default=0)
    whole = tf.constant(list(splits), "int32")
    parts = tf.constant(
        [ids + [-1] * (most - len(ids)) for ids in splits.values()], "int32"
    )

    def tokenize(text):
        ids = tf.cast(sentencepiece.tokenize(text).values, "int32")
        if not splits:
            return ids
        same = tf.cast(ids[:, None] == whole[None, :], "int32")
        found = tf.gather(parts, tf.argmax(same, axis=-1, output_type="int32"))
        alone = tf.concat(
            [ids[:, None], tf.fill([tf.size(ids), most - 1], -1)], axis=-1
        )
        is_split = tf.reduce_max(same, axis=-1, keepdims=True) > 0
        rows = tf.reshape(tf.where(is_split, found, alone), [-1])
        return tf.gather(rows, tf.where(rows >= 0)[:, 0])

    return tokenize


def _truncated(segments, sequence_length, truncate):
    """Cuts segments as `keras_nlp.layers.MultiSegmentPacker` does."""
    import tensorflow as tf

    room = sequence_length - len(segments) - 1
    if len(segments) == 1:
        return [segments[0][:room]]
    first, second = segments
    at_least = room  # of the first, however long the second is
    if truncate == "round_robin":
        at_least = tf.maximum((room + 1) // 2, room - tf.size(second))
    first = first[:at_least]
    return [first, second[: room - tf.size(first)]]


def _packed(segments, tokenizer):
    """`[CLS] A [SEP] B [SEP]` as the inputs of the model, `(1, tokens)`."""
    import tensorflow as tf

    end = tf.constant([tokenizer.end_token_id], "int32")
    token_ids = [tf.constant([tokenizer.start_token_id], "int32")]
    segment_ids = [tf.zeros([1], "int32")]
    for place, segment in enumerate(segments):
        token_ids += [segment, end]
        segment_ids.append(tf.fill([tf.size(segment) + 1], place))
    token_ids = tf.concat(token_ids, axis=0)[None]
    return {
        "token_ids": token_ids,
        "segment_ids": tf.concat(segment_ids, axis=0)[None],
        "padding_mask": tf.ones_like(token_ids),
    }
