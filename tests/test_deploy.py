"""docs/deploy.md: its Python runs, and every name in it is in the files."""

import importlib
import json
import pathlib
import re
import shlex

import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert import export
from keras_albert.cli import _Parser, main
from keras_albert.export.inspection import describe_litert

pytest.importorskip("ai_edge_litert")
onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.once

REPOSITORY = pathlib.Path(__file__).parent.parent
TEXT = "Wake me at six"
INPUTS = ["token_ids", "segment_ids", "padding_mask"]


def document():
    return (REPOSITORY / "docs" / "deploy.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", document(), re.M | re.S)


@pytest.fixture(scope="module")
def model(make_classifier):
    return make_classifier(
        labels=["alarm", "weather"], backbone={"num_layers": 1}
    )


@pytest.fixture(scope="module")
def deployed(model, tmp_path_factory):
    """The folder in which the document's commands would have been run."""
    folder = tmp_path_factory.mktemp("deploy")
    runs = folder / "runs" / "deploy"
    runs.mkdir(parents=True)
    model.save_to_preset(runs / "model")
    export.to_litert(model, runs / "intents.tflite")
    export.to_onnx(model, runs / "intents.onnx", layout="rolled")
    export.to_saved_model(model, runs / "saved_model")
    return folder


@pytest.fixture(scope="module")
def names(deployed):
    """Signatures, inputs and outputs of each file."""
    import tensorflow as tf

    runs = deployed / "runs" / "deploy"
    litert = describe_litert(runs / "intents.tflite")
    graph = onnx.load(runs / "intents.onnx").graph
    served = tf.saved_model.load(str(runs / "saved_model")).signatures
    return {
        "litert": (set(litert["inputs"]), set(litert["outputs"])),
        "onnx": (
            {value.name for value in graph.input},
            {value.name for value in graph.output},
        ),
        "saved_model": {
            name: (
                set(function.structured_input_signature[1]),
                set(function.structured_outputs),
            )
            for name, function in served.items()
        },
    }


def test_python_runs_and_all_runtimes_agree(model, deployed, monkeypatch):
    monkeypatch.chdir(deployed)
    namespace = {}
    assert len(blocks("python")) == 4
    for block in blocks("python"):
        exec(compile(block, "deploy.md", "exec"), namespace)
    expected = np.asarray(model.probabilities(model.predict_by_length([TEXT])))
    ids = model.preprocessor([TEXT])["token_ids"][0, : len(namespace["ids"])]
    assert np.asarray(ids).tolist() == namespace["ids"]
    for name, tolerance in (("litert", 0.05), ("onnx", 1e-5), ("served", 1e-5)):
        np.testing.assert_allclose(
            namespace[f"{name}_probabilities"], expected[0], atol=tolerance
        )
    assert namespace["served_label"] == model.classify(TEXT)["label"]


def test_commands_are_ones_that_there_are():
    commands = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    commands = [shlex.split(command) for command in commands if command.strip()]
    assert len(commands) == 4
    for program, verb, *arguments in commands:
        assert program == "keras-albert"
        module = importlib.import_module(f"keras_albert.cli.{verb}")
        parser = _Parser(prog=verb)
        module.add_arguments(parser)
        parser.parse_args(arguments)


def test_names_in_the_code_for_devices_are_those_of_the_files(names):
    inputs, outputs = names["litert"]
    assert inputs == set(INPUTS) and outputs == {"probabilities"}
    rolled = blocks("kotlin")[0], blocks("swift")[1]
    for block in rolled:
        mapped = re.findall(
            r'"(\w+)"(?: to|:) (?:arrayOf|tokenIds|\[Int)', block
        )
        assert mapped == INPUTS
        quoted = set(re.findall(r'"([a-z]+(?:_[a-z]+)*)"', block))
        assert quoted == {*inputs, *outputs, "serving_default"}


def test_names_in_the_tables_are_those_of_the_files(names, tokenizer, tiny):
    (table,) = re.findall(
        r"^\| model \| outputs \|\n\|---\|---\|\n((?:\|.*\n)+)",
        document(),
        re.M,
    )
    backbone = ka.AlbertBackbone(**{**tiny, "num_layers": 1})
    models = {
        "text classifier": ka.AlbertTextClassifier(backbone, 2),
        "token classifier": ka.AlbertTokenClassifier(backbone, 2),
        "question answerer": ka.AlbertQuestionAnswerer(backbone),
        "embedder": ka.AlbertTextEmbedder(backbone),
        "sentence extractor": ka.AlbertSentenceExtractor(backbone),
        "masked LM": ka.AlbertMaskedLM(backbone),
        "multiple choice": ka.AlbertMultipleChoice(backbone),
        "backbone": backbone,
    }
    batch = contracts.random_batch({"vocabulary_size": 100}, 1, 4)
    batch["mask_positions"] = np.zeros((1, 1), "int32")
    encoded = backbone({name: batch[name] for name in INPUTS})
    for line in table.splitlines():
        name, outputs = [cell.strip() for cell in line.split("|")[1:3]]
        model = models.pop(name)
        given = encoded
        if model is not backbone:
            given = model.inference_outputs(encoded, batch)
        assert set(re.findall(r"`(\w+)`", outputs)) == set(given), name
    assert not models
    assert names["onnx"] == names["litert"]


def test_signatures_of_texts(names, model, tmp_path):
    served = names["saved_model"]
    labelled = {"probabilities", "labels"}
    assert served == {
        "serving_default": (set(INPUTS), {"probabilities"}),
        "text": ({"text"}, labelled),
        "pair": ({"text", "pair"}, labelled),
    }
    (request,) = re.findall(r"curl -d '(.*?)'", document())
    request = json.loads(request)
    assert set(request["inputs"]) == served[request["signature_name"]][0]
    path = export.to_litert(model, tmp_path / "text.tflite", inputs="text")
    assert set(describe_litert(path)["inputs"]) == {
        "serving_default:text",
        "pair:text",
        "pair:pair",
    }


def test_the_javas_names_are_those_of_the_class():
    source = REPOSITORY / "export/android/kerasalbert/AlbertTokenizer.java"
    java = source.read_text(encoding="utf-8")
    kotlin = blocks("kotlin")[0]
    for name in re.findall(r"packed\.(\w+)", kotlin):
        assert f"public final int[] {name};" in java
    assert "public Inputs pack(String text, String pair, int maxLength" in java
    assert "ROUND_ROBIN" in java and "public static String[] readLabels" in java


def test_bad_input_gives_one_line(model, deployed, capsys):
    """What the last table says of the command line."""
    runs = deployed / "runs" / "deploy"
    path = runs / "garbage.tflite"
    path.write_bytes(b"\0\0\0\0TFL3" + bytes(range(256)) * 8)
    assert main(["verify", str(runs / "model"), str(path)]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "garbage.tflite" in lines[0]
