"""What a bundle and a page hold, and what is refused."""

import hashlib
import json
import os
import pathlib
import shutil

import pytest

import contracts
import keras_albert as ka
from keras_albert import export
from keras_albert.cli import main
from keras_albert.export import to_bundle, to_litert, to_onnx, to_web, web_page
from keras_albert.export.device_vocabulary import device_vocabulary

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.once

LABELS = ["alarm", "météo", "smart home"]
RUNTIME_FILES = {"rolled": "litert", "unrolled": "mediapipe"}


@pytest.fixture(scope="module")
def classifier(make_classifier):
    classifier = make_classifier(labels=LABELS, compiled=True)
    contracts.randomize(classifier, scale=0.1)
    return classifier


@pytest.fixture(scope="module")
def artifacts(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    return {
        layout: to_litert(
            classifier, folder / f"{layout}.tflite", layout=layout
        )
        for layout in ("rolled", "unrolled")
    }


@pytest.fixture(scope="module")
def report(classifier, artifacts):
    return export.verify(classifier, artifacts["rolled"])


@pytest.fixture
def page_with_packages(tmp_path, monkeypatch):
    """The page beside packages of npm: their names and versions alone."""
    page = tmp_path / "page"
    page.mkdir()
    for name in (*web_page.PAGE_FILES, "package.json"):
        shutil.copy(pathlib.Path(web_page.page_folder()) / name, page)
    pinned = json.loads((page / "package.json").read_text())["dependencies"]
    for files in web_page._RUNTIME_FILES.values():
        for package, name, _ in files:
            root = page / "node_modules" / package
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
            version = {"version": pinned[package]}
            (root / "package.json").write_text(json.dumps(version))
    monkeypatch.setattr(web_page, "page_folder", lambda: str(page))
    return page


def test_bundle_holds_what_a_device_needs(classifier, artifacts, tmp_path):
    folder = tmp_path / "bundle"
    manifest = to_bundle(classifier, artifacts["rolled"], folder)
    assert sorted(os.listdir(folder)) == [
        "labels.txt",
        "manifest.json",
        "model.tflite",
        "vocabulary.bin",
    ]
    stored = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert stored == manifest
    for name, facts in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert facts == {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    assert set(manifest["files"]) == {*os.listdir(folder)} - {"manifest.json"}
    model = pathlib.Path(artifacts["rolled"]).read_bytes()
    assert (folder / "model.tflite").read_bytes() == model
    assert (folder / "labels.txt").read_text("utf-8") == "\n".join(
        [*LABELS, ""]
    )
    tokenizer = classifier.preprocessor.tokenizer
    assert (folder / "vocabulary.bin").read_bytes() == device_vocabulary(
        tokenizer.proto
    )
    open_shape = {"dtype": "int32", "shape": [-1, -1]}
    assert manifest["artifact"] == {
        "file": "model.tflite",
        "format": "litert",
        "layout": "rolled",
        "inputs": dict.fromkeys(
            ("token_ids", "segment_ids", "padding_mask"), open_shape
        ),
        "outputs": {"probabilities": {"dtype": "float32", "shape": [-1, 3]}},
    }
    assert manifest["tokenizer"]["max_length"] == 32
    assert manifest["num_classes"] == 3 and not manifest["multi_label"]
    assert manifest["report"]["passed"]
    assert manifest["report"]["artifact"] == "model.tflite"


def test_bundle_replaces_a_bundle_and_keeps_other_files(
    report, make_classifier, tmp_path
):
    (tmp_path / "labels.txt").write_text("old")
    (tmp_path / "model.onnx").write_text("old")
    (tmp_path / "notes.md").write_text("mine")
    regression = make_classifier(num_classes=1)
    path = to_litert(regression, tmp_path / "score.tflite", sequence_length=16)
    manifest = to_bundle(regression, path, tmp_path, report=report)
    assert sorted(os.listdir(tmp_path)) == [
        "manifest.json",
        "model.tflite",
        "notes.md",
        "score.tflite",
        "vocabulary.bin",
    ]
    assert manifest["labels"] is None and manifest["num_classes"] == 1
    assert manifest["tokenizer"]["max_length"] == 16


def test_onnx_bundle(classifier, report, tmp_path):
    pytest.importorskip("onnxruntime")
    path = to_onnx(classifier, tmp_path / "some.onnx", layout="rolled")
    manifest = to_bundle(classifier, path, tmp_path / "bundle", report=report)
    assert (tmp_path / "bundle" / "model.onnx").is_file()
    artifact = manifest["artifact"]
    assert artifact["format"] == "onnx"
    assert set(artifact["inputs"]) == {
        "token_ids",
        "segment_ids",
        "padding_mask",
    }
    assert artifact["outputs"]["probabilities"]["shape"][-1] == 3


def test_a_wrong_model_leaves_no_bundle(
    classifier, artifacts, make_classifier, tmp_path
):
    other = make_classifier(labels=LABELS)
    with pytest.raises(ValueError, match="does not compute"):
        to_bundle(other, artifacts["rolled"], tmp_path / "bundle")
    headless = ka.AlbertBackbone.from_config(classifier.backbone.get_config())
    with pytest.raises(ValueError, match="has none"):
        to_bundle(headless, artifacts["rolled"], tmp_path / "bundle")
    classifier.labels = ["a\nb", "c", "d"]
    try:
        with pytest.raises(ValueError, match="one line"):
            to_bundle(classifier, artifacts["rolled"], tmp_path / "bundle")
    finally:
        classifier.labels = LABELS
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    with pytest.raises(ValueError, match="tokenizer inside"):
        to_bundle(classifier, tmp_path / "saved", tmp_path / "bundle")
    assert os.listdir(tmp_path) == ["saved"]


@pytest.mark.parametrize("layout", ["rolled", "unrolled"])
def test_page_holds_its_runtime(
    classifier, artifacts, report, page_with_packages, tmp_path, layout
):
    folder = tmp_path / "page-out"
    manifest = to_web(classifier, artifacts[layout], folder, report=report)
    assert manifest["artifact"]["layout"] == layout
    names = set(os.listdir(folder))
    assert {*web_page.PAGE_FILES, "manifest.json", "vendor"} < names
    assert os.listdir(folder / "vendor") == [RUNTIME_FILES[layout]]
    # The other runtime goes when the model is replaced.
    other = {"rolled": "unrolled", "unrolled": "rolled"}[layout]
    to_web(classifier, artifacts[other], folder, report=report)
    assert os.listdir(folder / "vendor") == [RUNTIME_FILES[other]]


def test_page_without_packages_says_what_to_run(
    classifier, artifacts, page_with_packages, tmp_path
):
    package = page_with_packages / "node_modules" / "@litertjs" / "core"
    (package / "package.json").write_text('{"version": "0.0.1"}')
    with pytest.raises(FileNotFoundError, match=r"0\.0\.1.*Run `npm ci`"):
        to_web(classifier, artifacts["rolled"], tmp_path / "out")
    shutil.rmtree(page_with_packages / "node_modules")
    with pytest.raises(FileNotFoundError, match="none.*Run `npm ci`"):
        to_web(classifier, artifacts["unrolled"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_page_is_for_text_classifiers(classifier, artifacts, tmp_path):
    with pytest.raises(ValueError, match="text classifier"):
        to_web(classifier.backbone, artifacts["rolled"], tmp_path / "out")


def test_command_line(
    classifier,
    artifacts,
    report,
    page_with_packages,
    tmp_path,
    capsys,
    monkeypatch,
):
    def export_model(model, path, **options):
        shutil.copy(artifacts["rolled"], path)
        return report

    monkeypatch.setattr(export, "export_model", export_model)
    monkeypatch.chdir(tmp_path)
    classifier.save_to_preset("model")
    command = "export model --to litert -o a.tflite --bundle b --web w"
    assert main(command.split()) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split("\t")[0] for line in lines] == ["a.tflite", "b", "w"]
    manifests = [
        json.loads(pathlib.Path(folder, "manifest.json").read_text("utf-8"))
        for folder in "bw"
    ]
    assert manifests[0] == manifests[1]
    assert manifests[0]["labels"] == "labels.txt"
    shutil.rmtree(page_with_packages / "node_modules")
    assert main(command.split()) == 2
    assert "npm ci" in capsys.readouterr().err.splitlines()[-1]
    command = "export model --to litert -o b.tflite --bundle b --no-verify"
    assert main(command.split()) == 2
    assert "--no-verify must come without" in capsys.readouterr().err
