"""Text classifiers on the mean of the tokens' states."""

import keras
import numpy as np
import pytest
import scipy.special

import contracts
import keras_albert as ka
from keras_albert import export
from keras_albert.cli import main

TEXTS = ["Wake me at seven", "Hm.", "Will it rain in Paris tomorrow?", ""]
PAIRS = [("Wake me", "at seven"), ("Will it", "rain in Paris tomorrow?")]
LABELS = ["alarm", "weather"]


@pytest.fixture(scope="module")
def classifier(make_classifier):
    return make_classifier(labels=LABELS, pooling="mean")


@pytest.fixture(scope="module")
def preset(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pooling") / "preset"
    classifier.save_to_preset(folder)
    return str(folder)


def by_hand(classifier, texts):
    """Probabilities from the backbone's states, a text at a time in NumPy."""
    kernel, bias = classifier.output_dense.get_weights()
    tokenizer = classifier.preprocessor.tokenizer
    rows = []
    for text in texts:
        parts = text if isinstance(text, tuple) else (text,)
        columns = tuple([part] for part in parts)
        features = classifier.preprocessor(
            columns if len(parts) == 2 else columns[0], y=None
        )
        states = contracts.predict(classifier.backbone, features)
        tokens = 1 + sum(len(tokenizer(part)) + 1 for part in parts)
        mean = states["sequence_output"][0, :tokens].mean(axis=0)
        rows.append(scipy.special.softmax(mean @ kernel + bias))
    return np.array(rows)


@pytest.mark.inference
@pytest.mark.parametrize("texts", [TEXTS, PAIRS])
def test_the_mean_leaves_padding_out(classifier, texts):
    expected = by_hand(classifier, texts)
    assert np.ptp(expected[:, 0]) > 0.01
    results = classifier.classify(texts, batch_size=4)
    for result, row in zip(results, expected, strict=True):
        assert result["label"] == LABELS[row.argmax()]
        np.testing.assert_allclose(result["score"], row.max(), atol=1e-5)


def test_predict_gives_the_logits(classifier):
    logits = classifier.predict(TEXTS, batch_size=4, verbose=0)
    given = scipy.special.softmax(logits, axis=-1)
    np.testing.assert_allclose(given, by_hand(classifier, TEXTS), atol=1e-5)


def test_training(make_classifier, recwarn):
    classifier = make_classifier(
        labels=LABELS, pooling="mean", compiled=True, dropout=0.0
    )
    pooler = [w.numpy() for w in classifier.backbone.pooled_dense.weights]
    classifier.compile(keras.optimizers.Adam(3e-2))
    texts = ["Wake me at seven", "Will it rain?"] * 2
    history = classifier.fit(texts, [0, 1] * 2, epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert not [w for w in recwarn if "radient" in str(w.message)]
    after = classifier.backbone.pooled_dense.weights
    for weight, before in zip(after, pooler, strict=True):
        np.testing.assert_array_equal(weight.numpy(), before)


@pytest.mark.once
def test_saving(classifier, preset, tmp_path):
    expected = classifier.classify(TEXTS)
    loaded = ka.AlbertTextClassifier.from_preset(preset)
    assert loaded.pooling == "mean"
    loaded.run_eagerly = True
    assert loaded.classify(TEXTS) == expected
    features = classifier.preprocessor(["Hm."], y=None)
    contracts.check_saving(classifier, features, tmp_path / "model.keras")


@pytest.mark.once
def test_a_head_of_the_other_pooling_is_not_loaded(classifier, preset):
    words = "random weights in its head.*`pooling='mean'`, this one 'cls'"
    with pytest.warns(UserWarning, match=words):
        other = ka.AlbertTextClassifier.from_preset(preset, pooling="cls")
    kernels = [x.output_dense.kernel.numpy() for x in (classifier, other)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1
    ours, theirs = [x.backbone.get_weights() for x in (classifier, other)]
    for mine, yours in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, yours)


@pytest.mark.once
@pytest.mark.parametrize("given", [{"pooling": "cls"}, {"num_classes": 3}])
def test_a_fresh_head_of_a_quantized_preset_is_not_quantized(
    make_classifier, tmp_path, given
):
    classifier = make_classifier(labels=LABELS, pooling="mean")
    classifier.quantize("int8")
    classifier.save_to_preset(tmp_path / "preset")
    with pytest.warns(UserWarning, match="random weights in its head"):
        other = ka.AlbertTextClassifier.from_preset(
            tmp_path / "preset", **given
        )
    assert "int8" in {w.dtype for w in other.backbone.weights}
    assert len(other.output_dense.trainable_weights) == 2
    assert np.ptp(other.output_dense.kernel) > 0
    same = ka.AlbertTextClassifier.from_preset(tmp_path / "preset")
    assert same.output_dense.quantization_mode == "int8"


@pytest.mark.once
def test_a_head_of_another_library_is_for_the_pooler(make_classifier, tmp_path):
    classifier = make_classifier(labels=LABELS)
    classifier.save_to_preset(tmp_path / "preset")
    preset, folder = str(tmp_path / "preset"), str(tmp_path / "huggingface")
    convert = ["convert", preset, "--to", "huggingface", "-o", folder]
    assert main(convert) == 0
    with pytest.warns(UserWarning, match="'cls'`, this one 'mean'"):
        ka.AlbertTextClassifier.from_preset(folder, pooling="mean")


@pytest.mark.once
@pytest.mark.parametrize("to", ["huggingface", "keras_hub"])
def test_others_have_no_such_head(preset, to, tmp_path, capsys):
    output = tmp_path / "converted"
    assert main(["convert", preset, "--to", to, "-o", str(output)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "`pooling='cls'`" in line and "'mean'" in line
    assert not output.exists()


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rolled.tflite", {}),
        ("unrolled.tflite", {"layout": "unrolled"}),
        ("rolled.onnx", {"layout": "rolled"}),
        ("saved_model", {}),
    ],
)
def test_exported_files_give_the_same(classifier, tmp_path, name, options):
    path = tmp_path / name
    if name.endswith(".onnx"):
        export.to_onnx(classifier, path, **options)
    elif name.endswith(".tflite"):
        export.to_litert(classifier, path, **options)
    else:
        export.to_saved_model(classifier, path)
    report = export.verify(classifier, path, examples=TEXTS[:2])
    assert report.passed, report.failures


@pytest.mark.once
def test_bad_input(make_classifier):
    with pytest.raises(ValueError, match=r"`pooling`.*'mean', 'cls'.*'max'"):
        make_classifier(labels=LABELS, pooling="max")
