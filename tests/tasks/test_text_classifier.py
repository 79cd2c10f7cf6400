import json
import os
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import contracts
import keras_albert as ka
from contracts import predict

TEXTS = [
    "Wake me at seven",
    "What is the weather like in Rome tomorrow?",
    "Hm.",
    "Play some music, please",
    "Set an alarm for half past six",
    "Will it rain?",
]
PAIRS = list(zip(TEXTS, reversed(TEXTS), strict=True))
LABELS = ["alarm", "weather", "music"]
TARGETS = np.array([0, 1, 2, 2, 0, 1])


@pytest.fixture(scope="module")
def classifier(make_classifier):
    return make_classifier(labels=LABELS, compiled=True)


@pytest.fixture(scope="module")
def preset(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "classifier"
    classifier.save_to_preset(folder)
    return folder


def features(classifier, texts):
    return {
        name: keras.ops.convert_to_numpy(x)
        for name, x in classifier.preprocessor(texts, y=None).items()
    }


def assert_same_results(received, expected):
    assert [r["label"] for r in received] == [r["label"] for r in expected]
    assert [r["score"] for r in received] == pytest.approx(
        [r["score"] for r in expected], abs=1e-5
    )


def columns(pairs):
    return tuple(list(part) for part in zip(*pairs, strict=True))


# === fit ===


def data_of(kind, classifier):
    """The same rows in each form that `fit` takes."""
    if kind == "list":
        return {"x": TEXTS, "y": TARGETS.tolist()}
    if kind == "array":
        return {"x": np.array(TEXTS), "y": TARGETS}
    if kind == "pairs":
        return {"x": columns(PAIRS), "y": TARGETS}
    if kind == "tensors":
        return {"x": features(classifier, TEXTS), "y": TARGETS}
    x = columns(PAIRS) if kind == "tf.data of pairs" else TEXTS
    return {"x": tf.data.Dataset.from_tensor_slices((x, TARGETS)).batch(6)}


KINDS = ("list", "array", "pairs", "tensors", "tf.data", "tf.data of pairs")


@pytest.mark.parametrize("kind", KINDS)
def test_fit_takes(make_classifier, kind):
    learner = make_classifier(labels=LABELS, compiled=kind == "tf.data")
    data = data_of(kind, learner)
    before = learner.get_weights()
    learner.fit(**data, verbose=0)
    moved = [
        np.abs(a - b).max() > 0
        for a, b in zip(before, learner.get_weights(), strict=True)
    ]
    assert all(moved)  # Also the embeddings, also the shared layer.
    loss, accuracy = learner.evaluate(**data, verbose=0)
    assert np.isfinite(loss) and 0.0 <= accuracy <= 1.0
    if kind in ("list", "array", "tensors", "tf.data"):
        logits = learner.predict(TEXTS, verbose=0)
        assert accuracy == pytest.approx(np.mean(logits.argmax(-1) == TARGETS))


def test_every_form_of_the_same_data_is_the_same_data(classifier):
    expected = classifier.evaluate(**data_of("list", classifier), verbose=0)
    for kind in ("array", "tensors", "tf.data"):
        received = classifier.evaluate(**data_of(kind, classifier), verbose=0)
        assert received == pytest.approx(expected, abs=1e-5), kind
    pairs = [
        classifier.evaluate(**data_of(kind, classifier), verbose=0)
        for kind in ("pairs", "tf.data of pairs")
    ]
    assert pairs[0] == pytest.approx(pairs[1], abs=1e-5)
    assert pairs[0] != pytest.approx(expected, abs=1e-5)


# === What it is trained for ===

BINARY = np.array([0, 1, 1, 1, 0, 1])
SCORES = np.array([0.1, 2.0, -1.0, 1.5, 0.3, 2.5], "float32")
SEVERAL = np.array(
    [[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 1]]
)


def cross_entropy(logits, y):
    logits = logits - logits.max(-1, keepdims=True)
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -log[np.arange(len(y)), y].mean()


def binary_cross_entropy(logits, y):
    return np.mean(np.logaddexp(0, logits) - y * logits)


OBJECTIVES = {
    "binary": (
        {"num_classes": 2},
        BINARY,
        cross_entropy,
        {"accuracy": lambda o, y: np.mean(o.argmax(-1) == y)},
    ),
    "multi-class": (
        {"labels": LABELS},
        TARGETS,
        cross_entropy,
        {"accuracy": lambda o, y: np.mean(o.argmax(-1) == y)},
    ),
    "multi-label": (
        {"labels": LABELS, "multi_label": True},
        SEVERAL,
        binary_cross_entropy,
        {"binary_accuracy": lambda o, y: np.mean((o > 0) == y)},
    ),
    "regression": (
        {"num_classes": 1},
        SCORES,
        lambda o, y: np.mean((o[:, 0] - y) ** 2),
        {
            "rmse": lambda o, y: np.sqrt(np.mean((o[:, 0] - y) ** 2)),
            "pearson": lambda o, y: np.corrcoef(o[:, 0], y)[0, 1],
        },
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_default_losses_and_metrics(make_classifier, name):
    arguments, y, loss, metrics = OBJECTIVES[name]
    classifier = make_classifier(dropout=0.0, **arguments)
    outputs = classifier.predict(TEXTS, verbose=0)
    received = classifier.evaluate(TEXTS, y, verbose=0, return_dict=True)
    expected = {"loss": loss(outputs, y)}
    expected.update({n: metric(outputs, y) for n, metric in metrics.items()})
    assert received == pytest.approx(expected, abs=1e-4)
    assert received["loss"] > 0.01
    classifier.optimizer.learning_rate = 5e-3
    classifier.fit(TEXTS, y, epochs=5, batch_size=6, verbose=0)
    after = classifier.evaluate(TEXTS, y, verbose=0, return_dict=True)
    assert after["loss"] < 0.9 * received["loss"]


def test_losses_of_probabilities(make_classifier):
    """With an activation the same loss comes from what is then the output."""
    for arguments, y, activation in (
        ({"labels": LABELS}, TARGETS, "softmax"),
        ({"labels": LABELS, "multi_label": True}, SEVERAL, "sigmoid"),
    ):
        losses = [
            make_classifier(activation=a, **arguments).evaluate(
                TEXTS, y, verbose=0
            )[0]
            for a in (None, activation)
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_default_learning_rate_is_the_backbones(make_classifier, tmp_path):
    classifier = make_classifier(num_classes=2)
    classifier.backbone.learning_rate = 3e-5
    classifier.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertTextClassifier.from_preset(tmp_path / "preset")
    assert loaded.backbone.learning_rate == 3e-5
    assert float(loaded.optimizer.learning_rate) == pytest.approx(3e-5)
    bundled = ka.AlbertTextClassifier.from_preset(
        "albert_tiny_en", num_classes=2, load_weights=False
    )
    assert float(bundled.optimizer.learning_rate) > 1e-4


# === classify ===


@pytest.mark.inference
def test_classify_gives_label_and_score(classifier):
    logits = classifier.predict(TEXTS, verbose=0)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    results = classifier.classify(TEXTS)
    assert [set(result) for result in results] == [{"label", "score"}] * 6
    best = probabilities.argmax(-1)
    assert [r["label"] for r in results] == [LABELS[i] for i in best]
    assert len(set(best)) > 1
    scores = [result["score"] for result in results]
    assert all(type(score) is float for score in scores)
    assert scores == pytest.approx(probabilities.max(-1).tolist(), abs=1e-5)
    json.dumps(results)


@pytest.mark.inference
def test_one_item_gives_one_result(classifier):
    results = classifier.classify([TEXTS[0]])
    assert classifier.classify(TEXTS[0]) == results[0]
    pair = classifier.classify(PAIRS[0])
    assert pair == classifier.classify([PAIRS[0]])[0]
    assert pair != results[0]
    assert classifier.classify([]) == []


@pytest.mark.inference
def test_classify_equals_predict_in_any_company(classifier):
    """Whatever else is in the batch, and however far it is padded."""
    texts = [*TEXTS, "a " * 100, ""]
    logits = classifier.predict(texts, batch_size=3, verbose=0)
    padded = predict(classifier, features(classifier, texts))["outputs"]
    np.testing.assert_allclose(logits, padded, atol=1e-5)
    for batch_size in (1, 5):
        order = np.random.default_rng(batch_size).permutation(len(texts))
        outputs = classifier.predict_by_length(
            [texts[i] for i in order], batch_size=batch_size
        )
        np.testing.assert_allclose(outputs, padded[order], atol=1e-5)
    pairs = classifier.predict(columns(PAIRS), verbose=0)
    np.testing.assert_allclose(
        classifier.predict_by_length(PAIRS, batch_size=4), pairs, atol=1e-5
    )


def test_classify_regression(make_classifier):
    classifier = make_classifier(num_classes=1)
    outputs = classifier.predict(TEXTS, verbose=0)
    results = classifier.classify(TEXTS)
    assert results == [
        {"score": pytest.approx(float(x), abs=1e-5)} for x in outputs[:, 0]
    ]


def test_classify_several_labels(make_classifier):
    classifier = make_classifier(labels=LABELS, multi_label=True)
    probabilities = 1 / (1 + np.exp(-classifier.predict(TEXTS, verbose=0)))
    for threshold in (0.0, 0.5):
        results = classifier.classify(TEXTS, threshold=threshold)
        for row, result in zip(probabilities, results, strict=True):
            expected = {
                label: pytest.approx(p, abs=1e-5)
                for label, p in zip(LABELS, row, strict=True)
                if p >= threshold
            }
            assert {r["label"]: r["score"] for r in result} == expected
            scores = [r["score"] for r in result]
            assert scores == sorted(scores, reverse=True)
    assert 0 < sum(map(len, results)) < len(LABELS) * len(TEXTS)


def test_classify_without_labels_gives_indices(make_classifier):
    classifier = make_classifier(num_classes=3)
    outputs = classifier.predict(TEXTS, verbose=0)
    labels = [result["label"] for result in classifier.classify(TEXTS)]
    assert labels == outputs.argmax(-1).tolist()
    json.dumps(labels)


def test_classify_of_probabilities(make_classifier):
    """An activation is not applied a second time."""
    results = [
        make_classifier(labels=LABELS, activation=activation).classify(TEXTS)
        for activation in (None, "softmax")
    ]
    for a, b in zip(*results, strict=True):
        assert a["label"] == b["label"]
        assert a["score"] == pytest.approx(b["score"], abs=1e-5)


@pytest.mark.parametrize(
    "texts",
    [[1], ["a", ("a", "b")], [("a", "b"), "a"], [("a", "b", "c")], [None]],
    ids=str,
)
def test_what_is_neither_text_nor_pair(classifier, texts):
    with pytest.raises(ValueError, match="Received at index"):
        classifier.classify(texts)


def test_a_classifier_of_tensors(classifier, make_classifier):
    bare = ka.AlbertTextClassifier(classifier.backbone, labels=LABELS)
    batch = features(classifier, TEXTS)
    assert bare.predict(batch, verbose=0).shape == (6, 3)
    with pytest.raises(ValueError, match="needs a `preprocessor`"):
        bare.classify("a text")


# === Saving ===


@pytest.mark.inference
def test_saving(classifier, tmp_path):
    batch = features(classifier, TEXTS)
    contracts.check_saving(classifier, batch, tmp_path / "model.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.labels == LABELS
    assert_same_results(loaded.classify(TEXTS), classifier.classify(TEXTS))


def test_saving_keeps_what_it_was_compiled_with(make_classifier, tmp_path):
    classifier = make_classifier(num_classes=3)
    classifier.compile(
        keras.optimizers.SGD(0.25, momentum=0.5),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=0
        ),
        metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")],
        run_eagerly=classifier.run_eagerly,
    )
    classifier.train_on_batch(TEXTS, TARGETS)
    classifier.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    # A subclass on some backends.
    assert isinstance(loaded.optimizer, keras.optimizers.SGD)
    state, expected = (
        [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables]
        for model in (loaded, classifier)
    )
    assert len(expected) > 10
    contracts.assert_same(state, expected, tolerance=0.0)
    results = [
        model.evaluate(TEXTS, TARGETS, verbose=0, return_dict=True)
        for model in (loaded, classifier)
    ]
    assert set(results[0]) == {"loss", "top"}
    assert results[0] == pytest.approx(results[1], abs=1e-5)


@pytest.mark.inference
def test_presets_keep_the_whole_task(classifier, preset):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        loaded = ka.AlbertTextClassifier.from_preset(preset)
    assert loaded.labels == LABELS
    assert loaded.preprocessor.sequence_length == 32
    assert_same_results(loaded.classify(TEXTS), classifier.classify(TEXTS))
    assert loaded.get_config() == classifier.get_config()


def test_config_round_trip(classifier):
    batch = features(classifier, TEXTS)
    twin = ka.AlbertTextClassifier.from_config(classifier.get_config())
    twin.set_weights(classifier.get_weights())
    contracts.assert_same(predict(twin, batch), predict(classifier, batch))
    assert json.dumps(twin.get_config()) == json.dumps(classifier.get_config())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(classifier, tiny, policy):
    batch = features(classifier, TEXTS)
    contracts.check_mixed_precision(
        lambda dtype: ka.AlbertTextClassifier(
            ka.AlbertBackbone(**tiny, dtype=dtype), labels=LABELS
        ),
        lambda model: model(batch),
        policy,
    )


def test_trains_in_mixed_precision(make_classifier):
    classifier = make_classifier(
        labels=LABELS, backbone={"dtype": "mixed_float16"}, dropout=0.0
    )
    classifier.optimizer.learning_rate = 5e-3
    history = classifier.fit(TEXTS, TARGETS, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_same_head_of_other_labels_is_kept(classifier, preset):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        loaded = ka.AlbertTextClassifier.from_preset(
            preset, labels=["a", "b", "c"]
        )
    assert loaded.labels == ["a", "b", "c"]
    batch = features(classifier, TEXTS)
    contracts.assert_same(
        predict(loaded, batch), predict(classifier, batch), tolerance=0.0
    )


@pytest.mark.parametrize(
    ("arguments", "size", "labels"),
    [
        ({"num_classes": 5}, 5, None),
        ({"labels": ["yes", "no"]}, 2, ["yes", "no"]),
        ({"num_classes": 1}, 1, None),
    ],
    ids=str,
)
def test_another_head_is_fresh_and_says_so(
    classifier, preset, arguments, size, labels
):
    with pytest.warns(UserWarning, match="random weights") as caught:
        loaded = ka.AlbertTextClassifier.from_preset(preset, **arguments)
    messages = [str(warning.message) for warning in caught]
    (message,) = [text for text in messages if "random weights" in text]
    assert "logits/kernel" in message and "logits/bias" in message
    assert f"3 outputs, this one {size}" in message
    assert loaded.num_classes == size and loaded.labels == labels
    batch = features(classifier, TEXTS)
    contracts.assert_same(
        predict(loaded.backbone, batch),
        predict(classifier.backbone, batch),
        tolerance=0.0,
    )


def test_a_backbones_preset_has_no_head(classifier, tmp_path):
    classifier.backbone.save_to_preset(tmp_path / "preset")
    with pytest.warns(UserWarning, match="logits/kernel.*holds none"):
        loaded = ka.AlbertTextClassifier.from_preset(
            tmp_path / "preset", num_classes=2
        )
    assert loaded.preprocessor is None
    with pytest.raises(ValueError, match="`num_classes` or `labels`"):
        ka.AlbertTextClassifier.from_preset(tmp_path / "preset")


def test_the_bundled_preset_is_the_same_everywhere():
    """It has a seed in place of weights."""
    models = [ka.AlbertBackbone.from_preset("albert_tiny_en") for _ in range(2)]
    contracts.assert_same(
        models[0].get_weights(), models[1].get_weights(), tolerance=0.0
    )
    assert models[0].count_params() <= 2_200_000


def test_lora(make_classifier, tmp_path):
    classifier = make_classifier(labels=LABELS)
    before = classifier.predict(TEXTS, verbose=0)
    classifier.backbone.enable_lora(2)
    np.testing.assert_allclose(
        classifier.predict(TEXTS, verbose=0), before, atol=1e-6
    )
    frozen = [
        (weight, keras.ops.convert_to_numpy(weight))
        for weight in classifier.backbone.non_trainable_variables
        if weight.path.endswith(("kernel", "bias", "embeddings", "gamma"))
    ]
    classifier.compile(
        keras.optimizers.Adam(1e-2), run_eagerly=classifier.run_eagerly
    )
    classifier.fit(TEXTS, TARGETS, epochs=2, verbose=0)
    after = classifier.predict(TEXTS, verbose=0)
    assert np.abs(after - before).max() > 1e-3
    assert len(frozen) > 20
    for weight, value in frozen:
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)
    classifier.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertTextClassifier.from_preset(tmp_path / "preset")
    np.testing.assert_allclose(
        loaded.predict(TEXTS, verbose=0), after, atol=1e-5
    )


def test_adapters_are_not_lost_on_what_was_traced(make_classifier):
    classifier = make_classifier(labels=LABELS, compiled=True)
    before = classifier.predict(TEXTS, verbose=0)
    classifier.backbone.enable_lora(2)
    for weight in classifier.backbone.trainable_variables:
        weight.assign(np.ones(weight.shape))
    after = classifier.predict(TEXTS, verbose=0)
    assert np.abs(after - before).max() > 1e-3
    result = classifier.classify(TEXTS[0])
    assert result["label"] == LABELS[after[0].argmax()]


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:Layer .* `quantize`")
def test_loaded_classifiers_can_be_quantized(make_classifier, tmp_path):
    make_classifier(num_classes=2).save_to_preset(tmp_path)
    loaded = ka.AlbertTextClassifier.from_preset(tmp_path)
    loaded.quantize("int8")
    assert loaded.output_dense.quantization_mode == "int8"


@pytest.mark.filterwarnings("ignore:Layer .* `quantize`")
def test_quantized_classifiers_survive_saving(make_classifier, tmp_path):
    classifier = make_classifier(labels=LABELS, backbone={"num_layers": 1})
    batch = features(classifier, TEXTS)
    exact = predict(classifier, batch)["outputs"]
    classifier.quantize("int8")
    quantized = predict(classifier, batch)
    assert 0.0 < np.abs(quantized["outputs"] - exact).max() < 0.5
    classifier.save_to_preset(tmp_path / "preset")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        loaded = ka.AlbertTextClassifier.from_preset(tmp_path / "preset")
    contracts.assert_same(predict(loaded, batch), quantized, tolerance=0.0)
    contracts.check_saving(classifier, batch, tmp_path / "model.keras")


# === Writing, whole or not at all ===


def files_in(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("error", [OSError, RuntimeError])
@pytest.mark.parametrize("exists", [True, False], ids=["over", "new"])
def test_a_full_disk_leaves_what_was_there(
    classifier, tmp_path, monkeypatch, error, exists
):
    """HDF5 reports a full disk as a RuntimeError or as an OSError."""
    folder = tmp_path / "preset"
    if exists:
        classifier.save_to_preset(folder)
        (folder / "notes.txt").write_text("mine")
    before = files_in(tmp_path)

    def no_room(*args, **kwargs):
        raise error("No space left on device")

    monkeypatch.setattr(type(classifier), "save_task_weights", no_room)
    with pytest.raises(OSError, match="No space left.*") as caught:
        classifier.save_to_preset(folder)
    assert str(folder) in str(caught.value)
    assert files_in(tmp_path) == before
    assert folder.exists() == exists


def test_saving_over_a_preset(classifier, make_classifier, tmp_path):
    folder = tmp_path / "preset"
    classifier.save_to_preset(folder)
    (folder / "notes.txt").write_text("mine")
    other = make_classifier(num_classes=2)
    other.save_to_preset(folder)
    loaded = ka.AlbertTextClassifier.from_preset(folder)
    assert loaded.num_classes == 2 and loaded.labels is None
    assert (folder / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["preset"]


def test_folders_that_cannot_be_written(classifier, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file", tmp_path / "file" / "preset"):
        with pytest.raises(OSError, match="file"):
            classifier.save_to_preset(path)
    assert (tmp_path / "file").read_text() == "not a folder"
    assert os.listdir(tmp_path) == ["file"]


# === Reading what others wrote ===


@pytest.fixture
def copy(preset, tmp_path):
    """A copy of the preset, one JSON file of it changed."""
    import shutil

    def make(name=None, change=None):
        folder = tmp_path / "copy"
        shutil.copytree(preset, folder)
        if name is not None:
            config = json.loads((folder / name).read_text())
            change(config)
            (folder / name).write_text(json.dumps(config))
        return folder

    return make


def test_unknown_presets(tmp_path):
    with pytest.raises(ValueError, match="'albert_huge'.*albert_tiny_en"):
        ka.AlbertTextClassifier.from_preset("albert_huge", num_classes=2)
    with pytest.raises(ValueError, match=r"must hold a `config\.json`"):
        ka.AlbertBackbone.from_preset(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("module", "os.path"),
        ("registered_name", "evil>AlbertBackbone"),
        ("registered_name", "keras_albert>AlbertTokenizer"),
    ],
)
def test_presets_that_name_other_classes(copy, key, value):
    folder = copy("config.json", lambda config: config.update({key: value}))
    with pytest.raises(ValueError, match="config.json"):
        ka.AlbertBackbone.from_preset(folder)


def test_presets_that_name_a_module(copy, tmp_path, monkeypatch):
    """A module is not even imported."""
    (tmp_path / "trap.py").write_text(
        f"open({str(tmp_path / 'sprung')!r}, 'w')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    folder = copy(
        "config.json",
        lambda config: config["config"].update(
            activation={
                "module": "trap",
                "class_name": "Trap",
                "config": {},
                "registered_name": "Trap",
            }
        ),
    )
    with pytest.raises((ValueError, TypeError)):
        ka.AlbertBackbone.from_preset(folder)
    assert not (tmp_path / "sprung").exists()


def test_presets_with_code(copy):
    """A lambda layer carries pickled code; none is ever unpickled."""
    folder = copy(
        "config.json",
        lambda config: config["config"].update(
            activation={
                "class_name": "__lambda__",
                "config": {
                    "value": "4wEAAAA=",
                    "defaults": None,
                    "closure": None,
                },
            }
        ),
    )
    with pytest.raises(ValueError):
        ka.AlbertBackbone.from_preset(folder)


def test_presets_that_are_damaged(copy):
    folder = copy()
    (folder / "task.json").write_text("{")
    with pytest.raises(ValueError, match="task.json' must be JSON"):
        ka.AlbertTextClassifier.from_preset(folder)


def test_presets_without_weights(copy):
    folder = copy()
    (folder / "model.weights.h5").unlink()
    with pytest.raises(ValueError, match=r"model\.weights\.h5.*holds neither"):
        ka.AlbertBackbone.from_preset(folder)


@pytest.fixture(scope="module")
def wide(make_classifier):
    """Large enough to be saved in more than one file."""
    return make_classifier(num_classes=2, backbone={"hidden_dim": 64})


def test_presets_in_shards(wide, tmp_path):
    backbone = wide.backbone
    backbone.save_to_preset(tmp_path / "preset", max_shard_size=2.6e-4)
    names = os.listdir(tmp_path / "preset")
    assert sum(name.endswith(".weights.h5") for name in names) > 1
    batch = features(wide, TEXTS)
    loaded = ka.AlbertBackbone.from_preset(tmp_path / "preset")
    contracts.assert_same(
        predict(loaded, batch), predict(backbone, batch), tolerance=0.0
    )


@pytest.mark.parametrize("escape", ["../outside.weights.h5", "/outside.h5"])
def test_shards_outside_of_the_preset(wide, tmp_path, escape):
    folder = tmp_path / "preset"
    wide.backbone.save_to_preset(folder, max_shard_size=2.6e-4)
    index = json.loads((folder / "model.weights.json").read_text())
    first = next(iter(index["weight_map"]))
    index["weight_map"][first] = escape
    (folder / "model.weights.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="must lie in its folder"):
        ka.AlbertBackbone.from_preset(folder)


# === Bad input ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "`num_classes` or `labels` must be given"),
        ({"num_classes": 0}, "Received: 0"),
        (
            {"num_classes": 3, "labels": ["a", "b"]},
            "num_classes=3 and 2 labels",
        ),
        ({"labels": ["a", "a"]}, "must differ"),
        ({"num_classes": 1, "multi_label": True}, "at least 2 classes"),
    ],
    ids=str,
)
def test_arguments_that_contradict(classifier, arguments, message):
    with pytest.raises(ValueError, match=message):
        ka.AlbertTextClassifier(classifier.backbone, **arguments)


def test_parts_that_do_not_fit(tokenizer, tiny):
    preprocessor = ka.AlbertTextClassifierPreprocessor(tokenizer, 64)
    with pytest.raises(ValueError, match="sequence_length=64.*length=48"):
        ka.AlbertTextClassifier(
            ka.AlbertBackbone(**tiny), 2, preprocessor=preprocessor
        )
    small = ka.AlbertBackbone(**{**tiny, "vocabulary_size": 100})
    preprocessor = ka.AlbertTextClassifierPreprocessor(tokenizer, 32)
    with pytest.raises(ValueError, match="vocabulary_size=100.*8000 pieces"):
        ka.AlbertTextClassifier(small, 2, preprocessor=preprocessor)


@pytest.mark.inference
@pytest.mark.parametrize("wrong", [-1, 8000])
def test_ids_outside_of_the_vocabulary(classifier, wrong):
    batch = features(classifier, TEXTS)
    batch["token_ids"] = np.where(
        batch["padding_mask"], batch["token_ids"], wrong
    )
    message = f"between 0 and `vocabulary_size - 1 = 7999`. Received: {wrong}"
    for call in (
        lambda: classifier.predict(batch, verbose=0),
        lambda: classifier.predict_on_batch(batch),
        lambda: classifier.evaluate(batch, TARGETS, verbose=0),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_training_on_what_cannot_be_learned(classifier):
    batch = features(classifier, TEXTS)
    wrong = {**batch, "token_ids": batch["token_ids"] + 8000}
    for data in (
        {"x": wrong, "y": TARGETS},
        {"x": batch, "y": TARGETS, "validation_data": (wrong, TARGETS)},
    ):
        with pytest.raises(ValueError, match="vocabulary_size"):
            classifier.fit(**data, verbose=0)
    for y in (TARGETS + 1, TARGETS - 1, (TARGETS + 1).tolist()):
        with pytest.raises(ValueError, match="class indices between 0 and"):
            classifier.fit(TEXTS, y, verbose=0)


@pytest.mark.inference
def test_tensors_longer_than_the_positions(classifier):
    batch = {
        name: np.ones((2, 49), "int32")
        for name in ("token_ids", "segment_ids", "padding_mask")
    }
    with pytest.raises(ValueError, match="max_sequence_length=48.*49 tokens"):
        classifier.predict(batch, verbose=0)


@pytest.mark.inference
def test_long_and_empty_texts(classifier):
    long = "wake me at seven " * 6000
    assert len(long) > 100_000
    results = classifier.classify([long, "", long[:1000]])
    # Cut at the sequence length, both are the same text.
    assert results[0]["score"] == pytest.approx(results[2]["score"], abs=1e-6)
    assert all(np.isfinite(result["score"]) for result in results)


def test_batches_may_be_of_any_length(make_classifier):
    """The first ones of one length say nothing of those that follow."""
    classifier = make_classifier(num_classes=2, compiled=True)
    texts = ["wake me"] * 4 + ["wake me at seven"] * 2
    classifier.fit(
        texts,
        [0] * 6,
        batch_size=2,
        verbose=0,
        validation_data=(texts, [0] * 6),
    )
    outputs = classifier.predict(texts, batch_size=2, verbose=0)
    assert outputs.shape == (6, 2)
    np.testing.assert_allclose(outputs[0], outputs[3], atol=1e-6)
    assert not np.allclose(outputs[0], outputs[5], atol=1e-6)
