"""The gate: no file gets its name before it has passed."""

import os
import shutil
import signal

import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert.export import (
    VerificationError,
    artifacts,
    export_model,
    gate,
    inspection,
    litert,
    runtime_process,
    to_litert,
    to_onnx,
    verify,
)
from keras_albert.export.examples import AWKWARD_TEXTS

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.once

TEXTS = [
    *["Wake me at seven", "Will it rain?", "Hm.", "Snooze", "How warm is it?"],
    *["What a day", "Turn it off", "Never", "Good morning", "Play a song"],
]


def calm(model):
    contracts.randomize(model, scale=0.1)
    return model


def targets_of(model, texts=TEXTS, wrong=0):
    """What a model gives, but for some."""
    outputs = model.predict_by_length(texts)
    values = np.asarray(model.probabilities(outputs))
    if model.num_classes == 1:
        return values[:, 0] + np.linspace(0, 1, len(texts))
    if model.multi_label:
        return (values >= 0.5).astype("float32")
    classes = values.argmax(axis=-1)
    classes[:wrong] = (classes[:wrong] + 1) % model.num_classes
    return classes


@pytest.fixture(scope="module")
def model(make_classifier):
    model = make_classifier(labels=["a", "b"], backbone={"num_layers": 1})
    # Labels that do not hang on a rounding error, of both classes.
    kernel, bias = model.output_dense.get_weights()
    model.output_dense.set_weights([20 * kernel, 20 * bias])
    return model


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    return {
        "litert": to_litert(model, folder / "model.tflite"),
        "text": to_litert(model, folder / "text.tflite", inputs="text"),
        "onnx": to_onnx(model, folder / "model.onnx"),
    }


@pytest.fixture(scope="module")
def wrong_file(model, tmp_path_factory):
    """Gives each text the other label."""
    path = tmp_path_factory.mktemp("wrong") / "wrong.tflite"
    kernel, bias = model.output_dense.get_weights()
    model.output_dense.set_weights([-kernel, -bias])
    to_litert(model, path)
    model.output_dense.set_weights([kernel, bias])
    return str(path)


@pytest.fixture
def writers(monkeypatch, files, wrong_file):
    """Chooses which quantizations come out as another model."""

    def choose(wrong):
        def write(model, path, quantization=None):
            is_wrong = quantization in wrong
            shutil.copy(wrong_file if is_wrong else files["litert"], path)
            return path

        monkeypatch.setitem(gate.WRITERS, "litert", write)

    return choose


# === Metrics ===


def test_the_metric_is_that_of_the_runtime(model, files):
    targets = targets_of(model, wrong=3)
    report = verify(model, files["litert"], TEXTS, targets=targets)
    assert report.metric == {
        "name": "accuracy",
        "model": 0.7,
        "artifact": 0.7,
        "drop": 0.0,
        "rows": 10,
    }
    assert "accuracy" in str(report) and "0.7000" in str(report)


def test_a_metric_that_drops_fails(model, wrong_file):
    with pytest.raises(VerificationError, match="drops by 100.00") as caught:
        verify(model, wrong_file, TEXTS, targets=targets_of(model))
    assert caught.value.report.metric["artifact"] == 0.0
    assert caught.value.report.label_agreement == 0.0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"num_classes": 1}, "pearson"),
        ({"labels": ["x", "y", "z"], "multi_label": True}, "micro_f1"),
    ],
)
def test_metrics_of_other_classifiers(
    make_classifier, tmp_path, arguments, name
):
    model = make_classifier(backbone={"num_layers": 1}, **arguments)
    targets = targets_of(model)
    report = export_model(
        model, tmp_path / "m.tflite", examples=TEXTS, targets=targets
    )
    assert report.metric["name"] == name
    expected = 1.0
    if name == "pearson":
        values = np.asarray(model.predict_by_length(TEXTS))[:, 0]
        expected = np.corrcoef(values, targets)[0, 1]
    assert report.metric["artifact"] == pytest.approx(expected, abs=1e-4)


def test_targets_that_do_not_fit(model, files, shared):
    path = files["litert"]
    with pytest.raises(ValueError, match="10 examples and 9 targets"):
        verify(model, path, TEXTS, targets=np.zeros(9, "int32"))
    with pytest.raises(ValueError, match="AlbertTextClassifier"):
        backbone = ka.AlbertBackbone(**shared)
        verify(backbone, path, targets=np.zeros(9, "int32"))


# === Names ===


def test_a_file_that_passes_gets_its_name(model, writers, tmp_path):
    writers(wrong=())
    report = export_model(model, tmp_path / "m.tflite", examples=TEXTS)
    assert report.passed and report.artifact == str(tmp_path / "m.tflite")
    assert os.listdir(tmp_path) == ["m.tflite"]


@pytest.mark.parametrize("kind", ["wrong", "damaged"])
def test_a_file_that_fails_does_not(
    model, writers, tmp_path, monkeypatch, kind
):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"before")
    writers(wrong=(None,))
    if kind == "damaged":

        def write(model, path):
            with open(path, "wb") as file:
                file.write(b"\0\0\0\0TFL3" + bytes(range(200)))

        monkeypatch.setitem(gate.WRITERS, "litert", write)
    with pytest.raises(VerificationError, match=str(path)) as caught:
        export_model(model, path, examples=TEXTS)
    assert "partial" not in str(caught.value)
    assert os.listdir(tmp_path) == ["m.tflite"]
    assert path.read_bytes() == b"before"


def test_auto_keeps_the_smallest_that_holds(model, writers, tmp_path):
    writers(wrong=("int4", "int8"))
    path = tmp_path / "m.tflite"
    targets = targets_of(model)
    report = export_model(
        model,
        path,
        quantization="auto",
        examples=TEXTS,
        targets=targets,
        max_drop=0.5,
    )
    tried = [row["quantization"] for row in report.tried]
    available = set(litert.QUANTIZATIONS)
    order = [q for q in ("int4", "int8", "float16") if q in available]
    assert tried == order
    assert [row["passed"] for row in report.tried[-2:]] == [False, True]
    assert report.tried[-1]["metric"]["artifact"] == 1.0
    assert report.tried[-2]["metric"]["drop"] == 100.0
    table = str(report).splitlines()
    assert table[0].split()[:3] == ["quantization", "MB", "metric"]
    assert "no: " in table[len(order) - 1] and "yes" in table[len(order)]
    assert verify(model, path, TEXTS, targets=targets).passed


def test_auto_that_nothing_holds(model, writers, tmp_path):
    writers(wrong=litert.QUANTIZATIONS)
    with pytest.raises(VerificationError, match="No quantization") as caught:
        export_model(
            model,
            tmp_path / "m.tflite",
            quantization="auto",
            examples=TEXTS,
            targets=targets_of(model),
        )
    assert str(caught.value).count("no: ") == len(litert.QUANTIZATIONS)
    assert not os.listdir(tmp_path)


def test_auto_must_measure(model, tmp_path):
    for options, words in (
        ({"examples": TEXTS}, "labelled examples"),
        ({"to": "saved_model"}, "format that has several"),
        ({"to": "pickle"}, "`to` must be one of"),
    ):
        with pytest.raises(ValueError, match=words):
            export_model(
                model, tmp_path / "m.tflite", quantization="auto", **options
            )
    assert not os.listdir(tmp_path)


# === What is in a file ===


@pytest.mark.parametrize("kind", ["litert", "text", "onnx"])
def test_awkward_texts_in_each_runtime(model, files, kind):
    report = verify(model, files[kind], list(AWKWARD_TEXTS))
    assert report.passed and report.examples == len(AWKWARD_TEXTS)
    if kind == "text":
        assert report.custom_operators
        assert all(x.startswith("TFText>") for x in report.custom_operators)


def test_latency_at_several_lengths(model, files):
    report = verify(model, files["litert"], ["Hm."])
    lengths = [entry["tokens"] for entry in report.latency["by_length"]]
    assert lengths == [16, 32, 48]
    assert report.latency["tokens"] == 48
    for entry in report.latency["by_length"]:
        assert entry["first_ms"] > 0 and entry["median_ms"] > 0


def test_weights_that_are_there_twice_fail(model, files, tmp_path):
    onnx = pytest.importorskip("onnx")
    proto = onnx.load(files["onnx"])
    matrix = max(proto.graph.initializer, key=lambda x: len(x.raw_data))
    value = onnx.numpy_helper.to_array(matrix)
    copy = onnx.numpy_helper.from_array(value.T.copy(), "copy")
    proto.graph.initializer.append(copy)
    path = tmp_path / "twice.onnx"
    onnx.save(proto, path)
    with pytest.raises(VerificationError, match="stored once") as caught:
        verify(model, path, ["Hm."])
    assert caught.value.report.weights["repeated_bytes"] == value.nbytes


def test_operators_that_stock_runtimes_lack_fail(model, tmp_path):
    import tensorflow as tf

    function = tf.function(
        lambda token_ids, segment_ids, padding_mask: {
            "probabilities": tf.math.asinh(tf.cast(token_ids, "float32")[:, :2])
        },
        input_signature=[
            tf.TensorSpec([1, 8], "int32", name=name)
            for name in ("token_ids", "segment_ids", "padding_mask")
        ],
    )
    module = tf.Module()
    module.function = function
    tf.saved_model.save(module, tmp_path / "saved", signatures=function)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(tmp_path / "saved")
    )
    converter.allow_custom_ops = True
    path = tmp_path / "custom.tflite"
    path.write_bytes(converter.convert())
    with pytest.raises(VerificationError, match="Asinh"):
        verify(model, path, ["Hm."])


def test_operators_that_only_this_runtime_has_fail(model, files, monkeypatch):
    monkeypatch.setattr(
        inspection, "custom_operators", lambda path, format_: ["FlexErf"]
    )
    with pytest.raises(VerificationError, match="lack.*FlexErf"):
        verify(model, files["litert"], ["Hm."])


def test_inputs_of_other_names_fail(model, files, tmp_path):
    onnx = pytest.importorskip("onnx")
    proto = onnx.load(files["onnx"])
    for index, value in enumerate(proto.graph.input):
        for node in proto.graph.node:
            for place, name in enumerate(node.input):
                if name == value.name:
                    node.input[place] = f"args_{index}"
        value.name = f"args_{index}"
    path = tmp_path / "nameless.onnx"
    onnx.save(proto, path)
    with pytest.raises(VerificationError, match=r"token_ids.*It has.*args_0"):
        verify(model, path, ["Hm."])


def test_files_with_fixed_lengths(model, tmp_path):
    path = to_litert(
        model, tmp_path / "fixed.tflite", layout="unrolled", sequence_length=9
    )
    texts = ["Hm.", "", "a long text that is cut off somewhere " * 3]
    report = verify(model, path, texts, targets=targets_of(model, texts))
    assert report.passed
    # The model reads the whole text: its metric is not that of the cut one.
    assert report.metric["model"] == 1.0
    assert [x["tokens"] for x in report.latency["by_length"]] == [9]
    assert model.preprocessor.sequence_length == 32


def test_files_of_texts_that_are_cut(model, tmp_path):
    """The model is compared on what the file's tokenizer keeps."""
    path = tmp_path / "cut.tflite"
    texts = ["Hm.", "", "a long text that is cut off somewhere " * 3]
    options = {"inputs": "text", "sequence_length": 6}
    report = export_model(model, path, examples=texts, **options)
    assert report.passed and report.examples == len(texts)


@pytest.mark.parametrize(
    ("texts", "targets", "words"),
    [
        ([], None, "list of at least one"),
        ("a text", None, "list of at least one"),
        ([1, 2], None, "must be strings"),
        ([("a", "b", "c")], None, "2-tuples"),
        (["a", "b"], [0, 2], "class indices.*Received: 2"),
        (["a", "b"], ["a", "b"], "not its name"),
        (["a", "b"], [0, float("nan")], "finite"),
        (["a", "b"], [[0, 1], [1, 0]], "class indices"),
    ],
)
def test_examples_that_cannot_be_meant(model, files, texts, targets, words):
    with pytest.raises(ValueError, match=words):
        verify(model, files["litert"], texts, targets=targets)


@pytest.mark.parametrize("length", [1, 3])
def test_lengths_that_hold_no_pair(model, tmp_path, length):
    path = tmp_path / "m.tflite"
    with pytest.raises(ValueError, match="at least 4"):
        export_model(model, path, sequence_length=length)
    with pytest.raises(ValueError, match="at least 4"):
        verify(model, path, sequence_length=length)
    assert not os.listdir(tmp_path)


# === Damaged files ===


@pytest.mark.parametrize("kind", ["litert", "text", "onnx"])
@pytest.mark.parametrize("kept", [0.9, 0.1])
def test_truncated_files(model, files, tmp_path, kind, kept):
    with open(files[kind], "rb") as file:
        content = file.read()
    path = tmp_path / f"cut{os.path.splitext(files[kind])[1]}"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(VerificationError, match="cut"):
        verify(model, path, TEXTS)


def test_a_runtime_that_crashes_takes_nothing_along(
    model, files, tmp_path, monkeypatch
):
    script = tmp_path / "crash.py"
    script.write_text(f"import os\nos.kill(os.getpid(), {signal.SIGSEGV})\n")
    monkeypatch.setitem(
        artifacts.RUNTIMES, "litert", (str(script), "ai_edge_litert", "")
    )
    with pytest.raises(VerificationError, match="crashed .signal 11."):
        verify(model, files["litert"])
    assert runtime_process.RUNTIMES is artifacts.RUNTIMES


# === Models that cannot be exported ===


def test_heads_that_are_not_the_packages(make_classifier, shared, tmp_path):
    import keras

    path = tmp_path / "m.tflite"
    model = make_classifier(num_classes=2, backbone={"num_layers": 1})
    model.output_dense = keras.layers.Dense(2, name="mine")
    with pytest.raises(ValueError, match="must be built.*mine"):
        to_litert(model, path)

    backbone = ka.AlbertBackbone(**shared)
    outputs = keras.layers.Dense(2)(backbone(backbone.input)["pooled_output"])
    custom = keras.Model(backbone.input, outputs)
    custom.backbone = backbone
    with pytest.raises(ValueError, match="export its backbone"):
        to_litert(custom, path)
    with pytest.raises(ValueError, match="export its backbone"):
        to_onnx(custom, path)

    model = make_classifier(labels=["a", "b"], backbone={"num_layers": 1})
    model.labels = ["a", "b", "c"]
    with pytest.raises(ValueError, match="3 labels for 2 classes"):
        to_litert(model, path)
    assert not os.listdir(tmp_path)


def test_a_head_that_the_model_does_not_use_fails(make_classifier, tmp_path):
    """What is exported is compared with what the model predicts."""
    import keras

    model = make_classifier(num_classes=2, backbone={"num_layers": 1})
    model.output_dense = keras.layers.Dense(2, name="mine")
    model.output_dense.build((None, model.backbone.hidden_dim))
    with pytest.raises(ValueError, match="custom head"):
        export_model(model, tmp_path / "m.tflite", examples=TEXTS)
    assert not os.listdir(tmp_path)
