import json
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka

TEXTS = ["Wake me at seven", "", "What is the weather like in Rome?", "Hm."]
OTHERS = ["a pair of texts", "Yes", "", "no " * 30]
LENGTH = 16


@pytest.fixture(scope="module")
def preprocessor(tokenizer):
    return ka.AlbertTextClassifierPreprocessor(tokenizer, LENGTH)


def arrays(features):
    return {
        name: np.asarray(keras.ops.convert_to_numpy(x)).astype(int)
        for name, x in features.items()
    }


def assert_same(received, expected):
    assert set(received) == set(expected)
    for name, value in arrays(expected).items():
        np.testing.assert_array_equal(arrays(received)[name], value, name)


def pack(first, second, length, policy):
    """The original's packing, a token at a time."""
    first, second = list(first), None if second is None else list(second)
    room = length - (2 if second is None else 3)
    if second is None:
        a, b = first[:room], []
    elif policy == "waterfall":
        a = first[:room]
        b = second[: room - len(a)]
    else:
        a, b = [], []
        while len(a) + len(b) < room and (first or second):
            if first:
                a.append(first.pop(0))
            if second and len(a) + len(b) < room:
                b.append(second.pop(0))
    ids = [2, *a, 3]
    segments = [0] * len(ids)
    if second is not None:
        ids += [*b, 3]
        segments += [1] * (len(b) + 1)
    padding = [0] * (length - len(ids))
    return {
        "token_ids": ids + padding,
        "segment_ids": segments + padding,
        "padding_mask": [1] * len(ids) + padding,
    }


def packed(
    tokenizer, firsts, seconds=None, length=LENGTH, policy="round_robin"
):
    rows = []
    for i, first in enumerate(firsts):
        second = None if seconds is None else np.asarray(tokenizer(seconds[i]))
        rows.append(pack(np.asarray(tokenizer(first)), second, length, policy))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


# === The ids ===


@pytest.mark.inference
def test_texts(tokenizer, preprocessor):
    received = preprocessor(TEXTS)
    assert_same(received, packed(tokenizer, TEXTS))
    assert received["token_ids"].shape == (4, LENGTH)
    # On the NumPy backend Keras takes an array of strings for a tensor, whose
    # dtype it does not know: pass a list there.
    if keras.backend.backend() != "numpy":
        assert_same(preprocessor(np.array(TEXTS)), received)
    assert_same(preprocessor(tf.constant(TEXTS)), received)


@pytest.mark.inference
def test_one_text(tokenizer, preprocessor):
    received = preprocessor(TEXTS[0])
    assert received["token_ids"].shape == (LENGTH,)
    expected = packed(tokenizer, TEXTS[:1])
    assert_same(received, {name: x[0] for name, x in expected.items()})


@pytest.mark.inference
@pytest.mark.parametrize("policy", ["round_robin", "waterfall"])
def test_pairs(tokenizer, policy):
    preprocessor = ka.AlbertTextClassifierPreprocessor(
        tokenizer, LENGTH, truncate=policy
    )
    expected = packed(tokenizer, TEXTS, OTHERS, policy=policy)
    assert_same(preprocessor((TEXTS, OTHERS), y=None), expected)


@pytest.mark.parametrize("policy", ["round_robin", "waterfall"])
def test_truncation_of_any_two_lengths(tokenizer, policy):
    generator = random.Random(0)
    firsts, seconds = (
        [
            "".join(generator.choices("ab ", k=generator.randint(0, 40)))
            for _ in range(60)
        ]
        for _ in range(2)
    )
    for length in (4, 5, 11):
        preprocessor = ka.AlbertTextClassifierPreprocessor(
            tokenizer, length, truncate=policy
        )
        expected = packed(tokenizer, firsts, seconds, length, policy)
        assert_same(preprocessor((firsts, seconds), y=None), expected)
        graph = tf.data.Dataset.from_tensors(
            (tf.constant(firsts), tf.constant(seconds))
        )
        (received,) = graph.map(
            lambda *pair, layer=preprocessor: layer(pair, y=None)
        )
        assert_same(received, expected)


def test_graphs_give_the_same(preprocessor):
    expected = preprocessor((TEXTS, OTHERS), y=None)
    dataset = tf.data.Dataset.from_tensor_slices(
        ((TEXTS, OTHERS), [0, 1, 2, 3])
    )
    # Batched before or afterwards; each row has the full length at once.
    for received in (
        dataset.batch(4).map(preprocessor),
        dataset.map(preprocessor).batch(4),
    ):
        ((features, labels),) = received
        assert_same(features, expected)
        assert labels.numpy().tolist() == [0, 1, 2, 3]
        assert features["token_ids"].shape == (4, LENGTH)


def test_grain_gives_the_same(preprocessor):
    grain = pytest.importorskip("grain")
    expected = preprocessor(TEXTS)
    dataset = grain.MapDataset.source(list(zip(TEXTS, range(4), strict=True)))
    ((features, labels),) = dataset.map(preprocessor).batch(4)
    assert_same(features, expected)
    assert labels.tolist() == [0, 1, 2, 3]


@pytest.mark.inference
def test_labels_and_weights_pass(preprocessor):
    features, y = preprocessor(TEXTS, [3, 1, 0, 2])
    assert_same(features, preprocessor(TEXTS))
    assert keras.ops.convert_to_numpy(y).tolist() == [3, 1, 0, 2]
    features, y, weights = preprocessor(TEXTS, [3, 1, 0, 2], [0.5] * 4)
    assert keras.ops.convert_to_numpy(weights).tolist() == [0.5] * 4


def test_long_and_empty(tokenizer, preprocessor):
    long = "wake me at seven " * 6000
    assert_same(preprocessor([long]), preprocessor([long[:500]]))
    empty = arrays(preprocessor([""]))
    assert empty["token_ids"][0].tolist() == [2, 3] + [0] * 14
    assert empty["padding_mask"].sum() == 2


# === Padding to the batch ===


@pytest.mark.parametrize("kind", ["list", "tf.data"])
def test_models_are_given_no_more_padding_than_they_need(make_classifier, kind):
    """In `fit`, `evaluate` and `predict`; called directly it stays fixed."""
    classifier = make_classifier(num_classes=2, sequence_length=40)
    short = classifier.preprocess_samples(["Hm.", "Wake me at seven"], None)
    if kind == "tf.data":
        dataset = tf.data.Dataset.from_tensors(["Hm.", "Wake me at seven"])
        (short,) = dataset.map(classifier.preprocess_samples)
    tokens = int(arrays(short)["padding_mask"].sum(-1).max())
    length = short["token_ids"].shape[1]
    assert tokens <= length <= max(8, tokens)
    long = classifier.preprocess_samples(["Hm.", "wake me " * 50], None)
    assert long["token_ids"].shape == (2, 40)
    direct = classifier.preprocessor(["Hm."])
    assert direct["token_ids"].shape == (1, 40)


# === Saving ===


@pytest.mark.inference
def test_saving(tokenizer, tmp_path):
    preprocessor = ka.AlbertTextClassifierPreprocessor(
        tokenizer, 9, truncate="waterfall"
    )
    expected = preprocessor((TEXTS, OTHERS), y=None)
    preprocessor.save_to_preset(tmp_path / "preset")
    load = ka.AlbertTextClassifierPreprocessor.from_preset
    loaded = load(tmp_path / "preset")
    assert_same(loaded((TEXTS, OTHERS), y=None), expected)
    assert loaded.get_config() == preprocessor.get_config()
    json.dumps(preprocessor.get_config())
    changed = load(tmp_path / "preset", sequence_length=20)
    assert changed(TEXTS)["token_ids"].shape == (4, 20)
    assert changed.truncate == "waterfall"


def test_the_length_can_be_set_later(tokenizer):
    preprocessor = ka.AlbertTextClassifierPreprocessor(tokenizer, 9)
    assert preprocessor(TEXTS)["token_ids"].shape == (4, 9)
    preprocessor.sequence_length = 12
    assert_same(preprocessor(TEXTS), packed(tokenizer, TEXTS, length=12))


# === Bad input ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequence_length": 3}, "at least 4.*Received: 3"),
        ({"truncate": "middle"}, "'round_robin' or 'waterfall'.*'middle'"),
    ],
    ids=str,
)
def test_arguments(tokenizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        ka.AlbertTextClassifierPreprocessor(tokenizer, **arguments)


def test_a_preset_without_a_tokenizer(tiny, tmp_path):
    ka.AlbertBackbone(**tiny).save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match=r"must hold `tokenizer\.json`"):
        ka.AlbertTextClassifierPreprocessor.from_preset(tmp_path / "preset")
