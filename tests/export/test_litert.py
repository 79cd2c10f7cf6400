"""LiteRT files: the shared layer is in them once, and they compute the same."""

import os
import pathlib

import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert.export import (
    VerificationError,
    litert,
    to_litert,
    verify,
)

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.once

INPUTS = ["token_ids", "segment_ids", "padding_mask"]
# Matrices of fewer than 1024 entries stay in float.
SIZES = {"embedding_dim": 16, "hidden_dim": 32, "intermediate_dim": 64}
SHARING = {
    "one group": {**SIZES, "num_groups": 1, "num_layers": 3},
    "groups and inner": {
        **SIZES,
        "num_groups": 2,
        "num_inner_repetitions": 2,
        "num_layers": 3,
    },
}
QUANTIZATIONS = (None, "float16", "int8")


def calm(model):
    """Weights that do not saturate: that would multiply rounding errors."""
    contracts.randomize(model, scale=0.1)
    return model


@pytest.fixture(scope="module")
def models(make_classifier):
    """A classifier for each kind of sharing, and a backbone alone."""
    models = {
        name: calm(
            make_classifier(
                labels=["a", "b", "c"], backbone=sharing, compiled=True
            )
        )
        for name, sharing in SHARING.items()
    }
    models["backbone"] = calm(
        ka.AlbertBackbone(
            vocabulary_size=90,
            num_heads=4,
            max_sequence_length=24,
            **SHARING["groups and inner"],
        )
    )
    return models


@pytest.fixture(scope="module")
def files(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("litert")
    made = {}

    def file(name, quantization=None):
        key = name, quantization
        if key not in made:
            path = folder / f"{name.replace(' ', '_')}_{quantization}.tflite"
            made[key] = to_litert(models[name], path, quantization=quantization)
        return made[key]

    return file


def operators(path):
    """The operators of all subgraphs, read with TensorFlow's schema."""
    from tensorflow.lite.python import schema_py_generated as schema

    with open(path, "rb") as file:
        model = schema.Model.GetRootAs(file.read())
    names = {
        value: name
        for name, value in vars(schema.BuiltinOperator).items()
        if isinstance(value, int)
    }
    codes = []
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        assert code.CustomCode() is None
        codes.append(names[code.BuiltinCode()])
    used = []
    for index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(index)
        for i in range(graph.OperatorsLength()):
            used.append(codes[graph.Operators(i).OpcodeIndex()])
    return codes, used


def runner(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    # The signature's runner does not keep it alive.
    return interpreter, interpreter.get_signature_runner("serving_default")


# === The files ===


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
@pytest.mark.parametrize("name", [*SHARING, "backbone"])
def test_computes_what_the_model_does(models, files, name, quantization):
    report = verify(models[name], files(name, quantization))
    assert report.passed and report.examples >= 200
    assert report.quantization == (quantization or "float32")
    assert report.bytes == os.path.getsize(files(name, quantization))
    outputs = {"probabilities"}
    if name == "backbone":
        outputs = {"sequence_output", "pooled_output"}
    assert set(report.outputs) == outputs
    assert report.memory["peak"] >= report.memory["resident"] > 0
    assert report.latency["median_ms"] > 0


def test_four_bits(models, files):
    """The matrices of the layers and the table take half of int8's bytes."""
    name = "groups and inner"
    report = verify(models[name], files(name, "int4"))
    assert report.passed and report.quantization == "int4"
    weights = sum(
        matrix.size
        for matrix in models[name].backbone.get_weights()
        if matrix.ndim == 2 and min(matrix.shape) >= 16
    )
    saved = os.path.getsize(files(name, "int8")) - report.bytes
    assert saved > 0.45 * weights
    codes, used = operators(files(name, "int4"))
    assert "CUSTOM" not in codes and used.count("WHILE") == 2
    assert "DEQUANTIZE" not in used  # Or it would be slow.


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
@pytest.mark.parametrize("name", [*SHARING, "backbone"])
def test_only_builtin_operators_and_a_loop_a_group(files, name, quantization):
    codes, used = operators(files(name, quantization))
    assert "CUSTOM" not in codes
    assert used.count("WHILE") == (1 if name == "one group" else 2)
    assert "EMBEDDING_LOOKUP" in used


def test_weights_are_there_once(models, files, make_classifier):
    """The file grows with groups, not with layers."""
    for quantization, bytes_each in ((None, 4), ("float16", 2), ("int8", 1)):
        for name in SHARING:
            parameters = models[name].count_params()
            size = os.path.getsize(files(name, quantization))
            # The graph takes some 50 kB; the int8 table has a scale and a
            # zero point for each row.
            rows = 12 * models[name].backbone.vocabulary_size
            limit = 1.1 * parameters * bytes_each + 60_000
            assert size < limit + (rows if quantization == "int8" else 0)


def test_more_layers_are_no_more_bytes(files, make_classifier, tmp_path):
    deep = make_classifier(
        labels=["a", "b", "c"],
        backbone={**SHARING["one group"], "num_layers": 9},
    )
    path = to_litert(deep, tmp_path / "deep.tflite")
    assert os.path.getsize(path) < os.path.getsize(files("one group")) + 500


def test_inputs_are_named_and_in_order(files):
    interpreter, run = runner(files("groups and inner"))
    assert set(run.get_input_details()) == set(INPUTS)
    assert list(run.get_output_details()) == ["probabilities"]
    by_position = [
        detail["index"] for detail in interpreter.get_input_details()
    ]
    by_name = run.get_input_details()
    assert by_position == [by_name[name]["index"] for name in INPUTS]
    assert {d["dtype"] for d in by_name.values()} == {np.int32}


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_any_length_and_any_batch(models, files, quantization):
    model = models["groups and inner"]
    _, run = runner(files("groups and inner", quantization))
    config = {"vocabulary_size": model.backbone.vocabulary_size}
    positions = model.backbone.max_sequence_length
    tolerance = {None: 1e-5, "float16": 1e-2, "int8": 0.25}[quantization]
    for rows, length in ((1, 2), (3, 7), (1, positions), (5, 20), (1, 3)):
        batch = contracts.random_batch(config, rows, length, seed=length)
        received = run(**batch)["probabilities"]
        expected = model.probabilities(
            contracts.predict(model, batch)["outputs"]
        )
        np.testing.assert_allclose(received, expected, atol=tolerance)


def test_a_fixed_length(models, tmp_path):
    model = models["one group"]
    path = to_litert(model, tmp_path / "fixed.tflite", sequence_length=12)
    _, run = runner(path)
    shapes = {
        d["shape"].tolist() == [1, 12] for d in run.get_input_details().values()
    }
    assert shapes == {True}
    batch = contracts.random_batch({"vocabulary_size": 8000}, 1, 12)
    expected = model.probabilities(contracts.predict(model, batch)["outputs"])
    np.testing.assert_allclose(
        run(**batch)["probabilities"], expected, atol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "convert"),
    [
        ({"num_classes": 1}, lambda x: x),
        (
            {"labels": ["a", "b"], "multi_label": True},
            lambda x: 1 / (1 + np.exp(-x)),
        ),
        ({"num_classes": 2, "activation": "softmax"}, lambda x: x),
    ],
    ids=["regression", "several labels", "softmax inside"],
)
def test_outputs_of_other_classifiers(
    make_classifier, tmp_path, arguments, convert
):
    model = make_classifier(**arguments)
    path = to_litert(model, tmp_path / "model.tflite")
    batch = contracts.random_batch({"vocabulary_size": 8000}, 3, 9)
    _, run = runner(path)
    np.testing.assert_allclose(
        run(**batch)["probabilities"],
        convert(contracts.predict(model, batch)["outputs"]),
        atol=1e-5,
    )


@pytest.mark.filterwarnings("ignore:Layer .* `quantize`")
def test_models_that_are_not_plain(models, make_classifier, tmp_path):
    """One with adapters is exported merged, a quantized one is refused."""
    model = make_classifier(labels=["a", "b"], backbone={"num_layers": 1})
    model.backbone.enable_lora(2)
    for weight in model.backbone.trainable_variables:
        weight.assign(np.full(weight.shape, 0.3))
    path = to_litert(model, tmp_path / "adapted.tflite")
    batch = contracts.random_batch({"vocabulary_size": 8000}, 3, 9)
    _, run = runner(path)
    np.testing.assert_allclose(
        run(**batch)["probabilities"],
        model.probabilities(contracts.predict(model, batch)["outputs"]),
        atol=1e-5,
    )
    quantized = make_classifier(num_classes=2, backbone={"num_layers": 1})
    quantized.quantize("int8")
    with pytest.raises(ValueError, match="export the float model"):
        to_litert(quantized, tmp_path / "quantized.tflite")
    assert os.listdir(tmp_path) == ["adapted.tflite"]


def test_many_exports_take_no_more_memory_than_a_few(make_classifier, tmp_path):
    """TensorFlow's converter has been seen to keep each model's weights."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        pytest.skip("memory is read from /proc")

    def resident_bytes():
        (line,) = [
            line
            for line in status.read_text().splitlines()
            if line.startswith("VmRSS")
        ]
        return 1024 * int(line.split()[1])

    model = make_classifier(
        num_classes=2, backbone={"num_layers": 1, "embedding_dim": 256}
    )
    path = tmp_path / "model.tflite"
    resident = []
    for _ in range(10):
        to_litert(model, path)
        resident.append(resident_bytes())
    # What the first few take is kept for the next.
    assert resident[-1] - resident[3] < 3 * os.path.getsize(path)


# === verify ===


def test_texts_of_the_users_own(models, files):
    texts = ["Wake me at seven", "", "Hm."]
    report = verify(models["one group"], files("one group"), texts)
    assert report.examples == 3 and report.label_agreement == 1.0
    assert report.max_abs_diff < 1e-5
    assert "passed" in str(report)
    assert report.to_dict()["outputs"]["probabilities"]["max_abs_diff"] < 1e-5


def test_verify_takes_presets(models, files, tmp_path):
    models["one group"].save_to_preset(tmp_path / "preset")
    assert verify(tmp_path / "preset", files("one group"), ["a"]).passed


def test_other_weights_fail(models, files, make_classifier):
    other = calm(
        make_classifier(
            labels=["a", "b", "c"], backbone=SHARING["one group"], compiled=True
        )
    )
    kernel, bias = other.output_dense.get_weights()
    other.output_dense.set_weights([kernel, np.add(bias, [0.01, 0.0, 0.0])])
    with pytest.raises(VerificationError, match="`probabilities`") as caught:
        verify(other, files("one group"))
    assert not caught.value.report.passed
    # Within what int8 is allowed, but not exact.
    assert 1e-4 < caught.value.report.max_abs_diff < 0.01


def test_weights_that_are_not_numbers_fail(files, make_classifier):
    broken = make_classifier(
        labels=["a", "b", "c"], backbone=SHARING["one group"], compiled=True
    )
    kernel, bias = broken.output_dense.get_weights()
    broken.output_dense.set_weights([kernel, bias * np.nan])
    with pytest.raises(VerificationError, match="differs by nan"):
        verify(broken, files("one group"))


@pytest.mark.parametrize("kept", [0.5, 0.0])
def test_truncated_files_fail(models, files, tmp_path, kept):
    with open(files("one group"), "rb") as file:
        content = file.read()
    path = tmp_path / "truncated.tflite"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(VerificationError, match="truncated.tflite"):
        verify(models["one group"], path)


def test_files_of_another_shape_fail(models, files, make_classifier):
    two = make_classifier(num_classes=2, compiled=True)
    with pytest.raises(VerificationError, match=r"shape \(1, 2\).*\(1, 3\)"):
        verify(two, files("one group"))
    with pytest.raises(VerificationError, match="must have the outputs"):
        verify(models["one group"].backbone, files("one group"))
    # Its table has other ids.
    with pytest.raises(VerificationError, match="does not run"):
        verify(two, files("backbone"))


def test_files_that_are_not_there(models, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.tflite"):
        verify(models["one group"], tmp_path / "none.tflite")
    (tmp_path / "model.bin").write_bytes(b"TFL3")
    with pytest.raises(ValueError, match=r"model\.bin"):
        verify(models["one group"], tmp_path / "model.bin")


# === Bad input ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantization": "int2"}, "`quantization` must be one of.*'int2'"),
        ({"layout": "flat"}, "`layout` must be one of.*'flat'"),
        ({"inputs": "speech"}, "`inputs` must be one of.*'speech'"),
        ({"sequence_length": 0}, "between 1 and the model's 48.*Received: 0"),
        ({"sequence_length": 49}, "48 positions.*Received: 49"),
    ],
    ids=str,
)
def test_arguments(models, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        to_litert(models["one group"], tmp_path / "model.tflite", **arguments)
    assert not os.listdir(tmp_path)


def test_models_of_others(tmp_path):
    import keras

    with pytest.raises(ValueError, match="AlbertBackbone or a task"):
        to_litert(keras.Sequential(), tmp_path / "model.tflite")
    with pytest.raises(ValueError, match="albert_huge"):
        to_litert("albert_huge", tmp_path / "model.tflite")


def test_heads_that_a_file_would_not_have(make_classifier, tmp_path):
    import keras

    model = make_classifier(num_classes=2)
    model.output_dense = keras.layers.Dense(2, name="mine")
    with pytest.raises(ValueError, match="must be built.*mine"):
        to_litert(model, tmp_path / "model.tflite")
    model.output_dense.build((None, 16))
    with pytest.raises(ValueError, match="must have the head of AlbertText"):
        to_litert(model, tmp_path / "model.tflite")
    assert not os.listdir(tmp_path)


def test_paths_that_cannot_be_written(models, tmp_path):
    (tmp_path / "file").write_text("mine")
    model = models["one group"]
    for path in (
        tmp_path,
        tmp_path / "missing" / "model.tflite",
        tmp_path / "file" / "model.tflite",
    ):
        with pytest.raises(OSError, match=str(tmp_path)):
            to_litert(model, path)
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_what_was_there(models, tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"before")

    def no_room(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", no_room)
    with pytest.raises(OSError, match="No space left"):
        to_litert(models["one group"], path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.tflite"]

    monkeypatch.undo()
    monkeypatch.setattr(litert, "convert", no_room)
    with pytest.raises(OSError, match="No space left"):
        to_litert(models["one group"], path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.tflite"]
