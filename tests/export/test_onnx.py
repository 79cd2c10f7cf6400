"""ONNX files: readable names, weights once, and the model's numbers."""

import os

import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert.export import to_onnx, verify

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.once

INPUTS = ["token_ids", "segment_ids", "padding_mask"]
SHARING = {
    "embedding_dim": 16,
    "hidden_dim": 32,
    "intermediate_dim": 64,
    "num_groups": 2,
    "num_inner_repetitions": 2,
    "num_layers": 3,
}
CASES = [("unrolled", None), ("rolled", None), ("rolled", "int8")]


@pytest.fixture(scope="module")
def model(make_classifier):
    model = make_classifier(
        labels=["a", "b", "c"], backbone=SHARING, compiled=True
    )
    contracts.randomize(model, scale=0.1)
    return model


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    made = {}

    def file(layout, quantization=None):
        key = layout, quantization
        if key not in made:
            made[key] = to_onnx(
                model,
                folder / f"{layout}_{quantization}.onnx",
                layout=layout,
                quantization=quantization,
            )
        return made[key]

    return file


def loops(proto):
    return [node for node in proto.graph.node if node.op_type == "Loop"]


def body_of(loop):
    (body,) = [a.g for a in loop.attribute if a.name == "body"]
    return body


def initializers(graph):
    for tensor in graph.initializer:
        yield onnx.numpy_helper.to_array(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from initializers(attribute.g)
            if attribute.HasField("t"):
                yield onnx.numpy_helper.to_array(attribute.t)


@pytest.mark.parametrize(("layout", "quantization"), CASES)
def test_computes_what_the_model_does(model, files, layout, quantization):
    report = verify(model, files(layout, quantization))
    assert report.passed and report.examples >= 200
    assert report.quantization == (quantization or "float32")
    assert report.inputs == {"serving_default": INPUTS}
    limit = 0.05 if quantization else 1e-5
    assert report.max_abs_diff < limit


@pytest.mark.parametrize(("layout", "quantization"), CASES)
def test_dimensions_have_names(files, layout, quantization):
    proto = onnx.load(files(layout, quantization))
    onnx.checker.check_model(proto, full_check=True)
    assert [value.name for value in proto.graph.input] == INPUTS
    for value in proto.graph.input:
        dimensions = [d.dim_param for d in value.type.tensor_type.shape.dim]
        assert dimensions == ["batch", "sequence"]
    (output,) = proto.graph.output
    assert output.name == "probabilities"
    batch, classes = output.type.tensor_type.shape.dim
    assert batch.dim_param == "batch" and classes.dim_value == 3
    assert b"unk__" not in proto.SerializeToString()


@pytest.mark.parametrize("layout", ["unrolled", "rolled"])
def test_each_weight_is_there_once(model, files, layout):
    stored = list(initializers(onnx.load(files(layout)).graph))
    for weight in model.weights:
        value = np.asarray(weight)
        if min(value.shape) < 2 or value.ndim < 2:
            continue
        copies = [
            x
            for x in stored
            if np.array_equal(x, value) or np.array_equal(x, value.T)
        ]
        assert len(copies) == 1, weight.path


def test_a_group_is_one_loop_that_carries_only_the_states(files):
    proto = onnx.load(files("rolled"))
    assert len(loops(proto)) == 2
    for loop in loops(proto):
        # The number of iterations, the condition, the step and the states.
        assert len(loop.input) == 4 and len(loop.output) == 2
        inside = list(initializers(body_of(loop)))
        assert all(x.ndim < 2 for x in inside)
        products = [n for n in body_of(loop).node if n.op_type == "MatMul"]
        # Six matrices and two products of attention, two inner layers.
        assert len(products) == 16


def test_loops_are_quantized_inside(files):
    proto = onnx.load(files("rolled", "int8"))
    for loop in loops(proto):
        kinds = [node.op_type for node in body_of(loop).node]
        assert kinds.count("MatMulInteger") == 12
        assert kinds.count("MatMul") == 4
    matrices = [x for x in initializers(proto.graph) if x.ndim == 2]
    # 6 of each of the 4 layers, projection, pooler, head.
    products = [x for x in matrices if x.dtype == np.int8]
    assert len(products) == 27
    # Seven bits: sums of eight overflow on AVX2 without VNNI.
    assert all(np.abs(x.astype(int)).max() <= 64 for x in products)
    # Of the tables only positions, which are no lookup, are left.
    floats = [x for x in matrices if x.dtype == np.float32]
    assert [x.shape for x in floats if len(x) > 2] == [(48, 16)]
    plain, small = (
        os.path.getsize(files("rolled", quantization))
        for quantization in (None, "int8")
    )
    assert small < 0.5 * plain


def test_more_layers_are_few_bytes(files, make_classifier, tmp_path):
    deep = make_classifier(
        labels=["a", "b", "c"], backbone={**SHARING, "num_layers": 9}
    )
    path = to_onnx(deep, tmp_path / "deep.onnx", layout="rolled")
    assert os.path.getsize(path) < os.path.getsize(files("rolled")) + 500


def test_a_fixed_length(model, tmp_path):
    path = to_onnx(
        model, tmp_path / "fixed.onnx", layout="rolled", sequence_length=12
    )
    for value in onnx.load(path).graph.input:
        batch, sequence = value.type.tensor_type.shape.dim
        assert batch.dim_param == "batch" and sequence.dim_value == 12
    report = verify(model, path, ["Hm.", "one two three four " * 20, ""])
    assert report.passed
    assert [x["tokens"] for x in report.latency["by_length"]] == [12]


@pytest.mark.parametrize("task", ["tags", "answers", "masked", "backbone"])
def test_other_tasks(task, shared, tmp_path):
    backbone = ka.AlbertBackbone(**shared)
    make = {
        "tags": lambda: ka.AlbertTokenClassifier(backbone, num_classes=5),
        "answers": lambda: ka.AlbertQuestionAnswerer(backbone),
        "masked": lambda: ka.AlbertMaskedLM(backbone),
        "backbone": lambda: backbone,
    }[task]
    model = make()
    contracts.randomize(model, scale=0.1)
    path = to_onnx(model, tmp_path / "model.onnx", layout="rolled")
    report = verify(model, path)
    assert report.passed and report.max_abs_diff < 1e-4
    assert (
        set(report.outputs)
        == {
            "tags": {"probabilities"},
            "answers": {"start_logits", "end_logits"},
            "masked": {"logits"},
            "backbone": {"sequence_output", "pooled_output"},
        }[task]
    )
    assert (report.label_agreement is None) == (task == "backbone")
    assert b"unk__" not in onnx.load(path).SerializeToString()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantization": "int4"}, "`quantization` must be one of.*'int4'"),
        ({"layout": "flat"}, "`layout` must be one of.*'flat'"),
        ({"sequence_length": 49}, "48 positions.*Received: 49"),
    ],
    ids=str,
)
def test_arguments(model, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        to_onnx(model, tmp_path / "model.onnx", **arguments)
    assert not os.listdir(tmp_path)
