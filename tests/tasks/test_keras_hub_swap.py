"""Code written for KerasHub's ALBERT runs unchanged with ours swapped in."""

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf
from keras import tree

import keras_albert

TEXTS = ["wake me at seven", "is it going to rain", "hm", "play some music"]
OTHERS = ["yes", "no", "set an alarm", "in rome"]
LABELS = [0, 1, 2, 0]
BACKEND = keras.backend.backend()


def shapes(outputs):
    return tree.map_structure(lambda x: tuple(np.shape(x)), outputs)


def kinds(outputs):
    return tree.map_structure(
        lambda x: (tuple(x.shape), keras.backend.standardize_dtype(x.dtype)),
        outputs,
    )


def lists(rows):
    if hasattr(rows, "to_list"):
        return rows.to_list()
    return [np.asarray(row).tolist() for row in rows]


# === A user's code: each gives what both libraries must agree on ===


def make_backbone(models, **kwargs):
    # Positional arguments as KerasHub has them.
    return models.AlbertBackbone(
        8000, 2, 2, 8, 16, 32, dropout=0.1, max_sequence_length=32, **kwargs
    )


def make_classifier(models, proto, **kwargs):
    tokenizer = models.AlbertTokenizer(proto=proto)
    preprocessor = models.AlbertTextClassifierPreprocessor(
        tokenizer, sequence_length=12
    )
    classifier = models.AlbertTextClassifier(
        make_backbone(models), 3, preprocessor, **kwargs
    )
    classifier.run_eagerly = BACKEND == "tensorflow"
    return classifier


def use_backbone(models, proto, folder):
    backbone = make_backbone(models, num_groups=2)
    batch = {
        "token_ids": np.ones((2, 7), "int32"),
        "segment_ids": np.zeros((2, 7), "int32"),
        "padding_mask": np.ones((2, 7), "int32"),
    }
    outputs = backbone(batch)
    summary = []
    backbone.summary(print_fn=lambda line, **kwargs: summary.append(line))
    backbone.save_to_preset(folder / "preset")
    loaded = models.AlbertBackbone.from_preset(str(folder / "preset"))
    backbone.save(folder / "backbone.keras")
    again = keras.models.load_model(folder / "backbone.keras")
    results = [m(batch)["pooled_output"] for m in (backbone, loaded, again)]
    results = [keras.ops.convert_to_numpy(x) for x in results]
    backbone.token_embedding.trainable = False
    tied = backbone.token_embedding(np.ones((2, 7, 8), "float32"), reverse=True)
    arguments = set(inspect_config(models.AlbertBackbone, backbone))
    return {
        "inputs": kinds(backbone.input),
        "symbols": shapes(backbone.output),
        "outputs": kinds(outputs),
        "reloaded": [np.allclose(x, results[0], atol=1e-6) for x in results],
        "summary": bool("".join(summary).strip()),
        "tied": shapes(tied),
        "config": arguments,
        "attributes": (backbone.hidden_dim, backbone.cls_token_index),
    }


def inspect_config(class_, model):
    """The arguments of KerasHub that a model of either library keeps."""
    config = model.get_config()
    class_.from_config(config)
    theirs = keras_nlp.models.AlbertBackbone(8, 1, 1, 4, 4, 4).get_config()
    return {name: config[name] for name in theirs if name not in ("dtype",)}


def use_tokenizer(models, proto, folder):
    tokenizer = models.AlbertTokenizer(proto)
    ids = tokenizer(TEXTS)
    # KerasHub loads it only from beside a model.
    make_backbone(models).save_to_preset(folder / "preset")
    tokenizer.save_to_preset(folder / "preset")
    loaded = models.AlbertTokenizer.from_preset(str(folder / "preset"))
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS).map(tokenizer)
    return {
        "ids": lists(ids),
        "single": lists([tokenizer(TEXTS[0])]),
        "dataset": lists(dataset),
        "loaded": lists(loaded(TEXTS)),
        "text": list(tokenizer.detokenize(ids)),
        "one text": str(tokenizer.detokenize(lists(ids)[0])),
        "vocabulary": tokenizer.get_vocabulary(),
        "size": tokenizer.vocabulary_size(),
        "pieces": [tokenizer.id_to_token(i) for i in range(10)],
        "indices": [tokenizer.token_to_id(t) for t in ("[CLS]", "▁the", "☃")],
        "special": (
            tokenizer.cls_token_id,
            tokenizer.sep_token_id,
            tokenizer.pad_token_id,
            tokenizer.mask_token_id,
        ),
        "tokens": tokenizer.special_tokens,
    }


def use_preprocessor(models, proto, folder):
    tokenizer = models.AlbertTokenizer(proto)
    preprocessor = models.AlbertTextClassifierPreprocessor(
        tokenizer, sequence_length=12, truncate="waterfall"
    )
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS))
    pairs = tf.data.Dataset.from_tensor_slices(((TEXTS, OTHERS), LABELS))
    (mapped,) = dataset.map(preprocessor).batch(4)
    (batched,) = pairs.batch(4).map(preprocessor)
    results = {
        "single": preprocessor(TEXTS[0]),
        "labelled": preprocessor(TEXTS, LABELS),
        "weighted": preprocessor(TEXTS, LABELS, [1.0, 2.0, 1.0, 1.0]),
        "pairs": preprocessor((TEXTS, OTHERS), y=LABELS),
        "mapped": mapped,
        "batched": batched,
    }
    make_backbone(models).save_to_preset(folder / "preset")
    preprocessor.save_to_preset(folder / "preset")
    loaded = models.AlbertTextClassifierPreprocessor.from_preset(
        str(folder / "preset")
    )
    results["loaded"] = loaded(TEXTS)
    return tree.map_structure(
        lambda x: np.asarray(x).astype("float32").tolist(), results
    )


def use_classifier(models, proto, folder):
    classifier = make_classifier(models, proto)
    results = {"auto": type(classifier.loss).__name__}
    history = classifier.fit(x=TEXTS, y=LABELS, batch_size=2, verbose=0)
    results["history"] = sorted(h for h in history.history if "acc" not in h)
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(2)
    classifier.fit(dataset, epochs=2, validation_data=dataset, verbose=0)
    results["texts"] = shapes(classifier.predict(TEXTS, verbose=0))
    results["pairs"] = shapes(classifier.predict((TEXTS, OTHERS), verbose=0))
    results["measures"] = len(classifier.evaluate(TEXTS, LABELS, verbose=0))

    # Preprocessed elsewhere.
    preprocessor, classifier.preprocessor = classifier.preprocessor, None
    batch = preprocessor(TEXTS)
    results["tensors"] = shapes(classifier.predict(batch, verbose=0))
    results["called"] = kinds(classifier(batch))
    classifier.preprocessor = preprocessor

    # Saved and loaded, whole or with another head.
    before = classifier.predict(TEXTS, verbose=0)
    classifier.save_to_preset(folder / "preset")
    loaded = models.AlbertTextClassifier.from_preset(str(folder / "preset"))
    classifier.save(folder / "model.keras")
    again = keras.models.load_model(folder / "model.keras")
    results["loaded"] = [
        np.allclose(m.predict(TEXTS, verbose=0), before, atol=1e-5)
        for m in (loaded, again)
    ]
    other = models.AlbertTextClassifier.from_preset(
        str(folder / "preset"), num_classes=5, activation="softmax", dropout=0.2
    )
    probabilities = other.predict(TEXTS, verbose=0)
    results["other"] = shapes(probabilities)
    results["sums"] = np.allclose(probabilities.sum(-1), 1.0, atol=1e-5)
    results["config"] = sorted(
        name
        for name in classifier.get_config()
        if name not in ("labels", "multi_label")
    )
    return results


def use_compile_and_lora(models, proto, folder):
    classifier = make_classifier(models, proto, dropout=0.0)

    def compile():
        classifier.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=keras.optimizers.Adam(5e-2),
            metrics=["accuracy"],
            run_eagerly=BACKEND == "tensorflow",
        )

    compile()
    classifier.backbone.trainable = False
    frozen = len(classifier.trainable_variables)
    history = classifier.fit(TEXTS, LABELS, epochs=5, verbose=0).history
    learned = history["loss"][-1] < history["loss"][0]
    classifier.backbone.enable_lora(2)
    adapters = sum(
        "lora" in variable.path for variable in classifier.trainable_variables
    )
    compile()
    classifier.fit(TEXTS, LABELS, batch_size=4, verbose=0)
    summary = []
    classifier.summary(print_fn=lambda line, **kwargs: summary.append(line))
    return {
        "frozen": frozen,
        "learned": learned,
        "history": sorted(history),
        "adapters": adapters,
        "summary": "8,000" in "".join(map(str, summary)),
    }


@pytest.mark.parametrize(
    "use",
    [
        use_backbone,
        use_tokenizer,
        use_preprocessor,
        use_classifier,
        use_compile_and_lora,
    ],
)
@pytest.mark.filterwarnings("ignore:.*random weights.*")
@pytest.mark.filterwarnings("ignore:`compile")
def test_swap(tokenizer, tmp_path, use):
    results = []
    for models in (keras_nlp.models, keras_albert):
        folder = tmp_path / models.__name__
        folder.mkdir()
        results.append(use(models, tokenizer.proto, folder))
    theirs, ours = results
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert ours[name] == value, name


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a TensorFlow format")
@pytest.mark.parametrize("models", [keras_nlp.models, keras_albert])
def test_keras_own_export(tokenizer, tmp_path, models):
    classifier = make_classifier(models, tokenizer.proto)
    batch = {
        name: keras.ops.cast(x, "int32")
        for name, x in classifier.preprocessor(TEXTS).items()
    }
    classifier.export(str(tmp_path / "saved"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(
        np.asarray(loaded.serve(batch)),
        np.asarray(classifier(batch)),
        atol=1e-5,
    )
