"""The inputs that model and artifact are compared on."""

import contextlib

import keras
import numpy as np

from keras_albert.export.litert_conversion import (
    input_names,
    model_inputs,
    named_outputs,
)
from keras_albert.preprocessing.packer import pack_texts
from keras_albert.tasks.task import batches_by_length

MINIMUM_EXAMPLES = 200
# Texts on which tokenizers and packers have gone wrong before.
AWKWARD_TEXTS = ("", " ", " \t\r\n ", "NUL \0 inside", "CAFÉ naïve — ﬁn 😀")
# Outputs with an entry for each token.
_PER_TOKEN = (
    "sequence_output",
    "start_logits",
    "end_logits",
    "sentence_logits",
)


def default_texts(preprocessor, seed=0):
    """200 texts and pairs of random pieces, extremes among them.

    Args:
        preprocessor: a preprocessor with a tokenizer.
        seed: int.

    Returns:
        list of strings and of pairs of strings as 2-tuples; of one of these
        alone where the preprocessor takes no other.
    """
    generator = np.random.default_rng(seed)
    longest = preprocessor.sequence_length
    text = _text_of_pieces(preprocessor, generator)
    texts = [
        *AWKWARD_TEXTS,
        text(1),
        text(longest),
        (text(longest), text(longest)),
        ("", ""),
    ]
    missing = MINIMUM_EXAMPLES - len(texts)
    lengths = generator.integers(2, max(3, min(48, longest)), size=missing)
    for index, pieces in enumerate(lengths):
        texts.append(
            (text(pieces), text(4)) if index % 4 == 0 else text(pieces)
        )
    if not takes_pairs(preprocessor):
        texts = [" ".join(x) if isinstance(x, tuple) else x for x in texts]
    if not takes_single_texts(preprocessor):
        texts = [x if isinstance(x, tuple) else (text(4), x) for x in texts]
    return texts


def takes_pairs(preprocessor):
    """Whether a preprocessor takes pairs of texts, too."""
    return getattr(preprocessor, "takes_pairs", True)


def takes_single_texts(preprocessor):
    """Whether a preprocessor takes texts that are in no pair, too."""
    return getattr(preprocessor, "takes_single_texts", True)


def takes_texts(model):
    """Whether a model is compared on texts, rather than on random tokens.

    It has a preprocessor, and one of texts: not of questions with choices,
    and none that draws masks.
    """
    preprocessor = getattr(model, "preprocessor", None)
    return preprocessor is not None and getattr(
        preprocessor, "takes_texts", True
    )


def text_of(tokens, preprocessor, seed=0):
    """A random text that packs to about a number of tokens."""
    generator = np.random.default_rng(seed)
    return _text_of_pieces(preprocessor, generator)(max(tokens - 2, 0))


def _text_of_pieces(preprocessor, generator):
    tokenizer = preprocessor.tokenizer
    size = tokenizer.vocabulary_size()

    def text(pieces):
        ids = generator.integers(5, size, size=pieces)
        return tokenizer.detokenize(ids.tolist())

    return text


def text_features(model, texts, longest=None):
    """Packs texts as the model does, each to its own length.

    Args:
        model: a task with a preprocessor.
        texts: list of strings or pairs of strings as 2-tuples.
        longest: int or `None`, the longest that a packed text may be.

    Returns:
        list of dictionaries of `(1, tokens)` int32 arrays, one a text.
    """
    preprocessor = model.preprocessor
    features = [None] * len(texts)
    with _at_most(preprocessor, longest):
        for pairs in (False, True):
            rows = [i for i, x in enumerate(texts) if type(x) is tuple]
            rows = rows if pairs else sorted(set(range(len(texts))) - {*rows})
            if not rows:
                continue
            chosen = [texts[row] for row in rows]
            if pairs:
                chosen = tuple(list(part) for part in zip(*chosen, strict=True))
            packed = {
                name: value
                for name, value in pack_texts(preprocessor, chosen).items()
                if name in input_names(model)
            }
            for place, row in enumerate(rows):
                tokens = int(packed["padding_mask"][place].sum())
                features[row] = {
                    name: value[place : place + 1, :tokens].astype("int32")
                    for name, value in packed.items()
                }
    return features


@contextlib.contextmanager
def _at_most(preprocessor, longest):
    own = preprocessor.sequence_length
    if longest is None or longest >= own:
        yield
        return
    preprocessor.sequence_length = longest
    try:
        yield
    finally:
        preprocessor.sequence_length = own


def random_features(model, longest=None, seed=0):
    """Random tokens of many lengths, for models that take no texts.

    Args:
        model: a task or an `AlbertBackbone`.
        longest: int or `None`, the longest that an example may be.
        seed: int.

    Returns:
        list of dictionaries of `(1, tokens)` int32 arrays.
    """
    backbone = getattr(model, "backbone", model)
    generator = np.random.default_rng(seed)
    longest = min(longest or np.inf, backbone.max_sequence_length)
    highest = max(2, min(48, longest))
    lengths = generator.integers(2, highest + 1, MINIMUM_EXAMPLES)
    lengths[:2] = 2, longest
    return [
        tokens_of_length(model, min(tokens, longest), generator)
        for tokens in lengths
    ]


def tokens_of_length(model, tokens, generator):
    """One row of random tokens with two segments, `(1, tokens)` int32."""
    backbone = getattr(model, "backbone", model)
    second = generator.integers(1, tokens + 1)
    features = {
        "token_ids": generator.integers(
            0, backbone.vocabulary_size, (1, tokens)
        ),
        "segment_ids": (np.arange(tokens) >= second)[None]
        * (backbone.num_segments > 1),
        "padding_mask": np.ones((1, tokens)),
        "mask_positions": np.arange(tokens)[None],
    }
    return {name: features[name].astype("int32") for name in input_names(model)}


def cut(features, shapes):
    """Cuts the positions to predict to as many as a file takes.

    Args:
        features: dictionary of `(1, tokens)` arrays.
        shapes: dictionary of the file's shapes, `None` where any size goes.

    Returns:
        dictionary of arrays.
    """
    return {
        name: x[:, : shapes[name][-1]] if name == "mask_positions" else x
        for name, x in features.items()
    }


def padded(features, shapes):
    """Pads an example to the shapes that a file has.

    Args:
        features: dictionary of `(1, tokens)` arrays.
        shapes: dictionary of the file's shapes, `None` where any size goes.

    Returns:
        dictionary of arrays.
    """
    return {
        name: np.pad(
            x, ((0, 0), (0, (shapes[name][-1] or x.shape[1]) - x.shape[1]))
        )
        for name, x in features.items()
    }


def model_outputs(model, features):
    """What the model computes, example by example.

    It goes through the model's own `predict`, not through what exporters
    trace.

    Args:
        model: a task or an `AlbertBackbone`.
        features: list of dictionaries of `(1, tokens)` arrays.

    Returns:
        list of dictionaries of float32 arrays, each with a first dimension
        of 1, outputs of tokens cut to the tokens.
    """
    names = input_names(model)
    sizes = {n: max(x[n].shape[1] for x in features) for n in names}
    shapes = {name: [1, size] for name, size in sizes.items()}
    rows = [padded(example, shapes) for example in features]
    batch = {
        name: np.concatenate([row[name] for row in rows]) for name in names
    }
    results = [{} for _ in features]
    for rows, part in batches_by_length(batch, 32):
        outputs = keras.Model.predict_on_batch(model, model_inputs(model, part))
        for name, values in named_outputs(model, outputs).items():
            values = keras.ops.convert_to_numpy(values)
            for row, value in zip(rows, values, strict=False):
                value = np.asarray(value, dtype="float32")[None]
                results[row][name] = cut_to_tokens(name, value, features[row])
    return results


def cut_to_tokens(name, value, features):
    """Cuts what an output says of padding.

    Args:
        name: string, of the output.
        value: array with a first dimension of 1.
        features: dictionary of `(1, tokens)` arrays, as before padding.

    Returns:
        array.
    """
    if name in _PER_TOKEN or (name == "probabilities" and value.ndim == 3):
        return value[:, : features["token_ids"].shape[1]]
    if value.ndim == 3 and "mask_positions" in features:
        return value[:, : features["mask_positions"].shape[1]]
    return value
