"""What a classifier is given wrongly gives one error that says what."""

import errno
import json
import os
import shutil

import numpy as np
import pytest

import keras_albert as ka
from keras_albert.presets import saving
from keras_albert.presets.loading import bytes_of

TEXTS = ["Wake me at seven", "Hm.", "Play some music", "Will it rain?"]


@pytest.fixture(scope="module")
def classifier(make_classifier):
    return make_classifier(labels=["alarm", "weather"])


@pytest.fixture(scope="module")
def preset(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "classifier"
    classifier.save_to_preset(folder)
    return folder


# === Texts and targets ===


@pytest.mark.parametrize(
    "texts",
    [None, 3, b"text", [b"text"], {"text": 1}, [["a", "b"]], [1.5], ("a",)],
    ids=repr,
)
def test_classify_what_is_no_text(classifier, texts):
    with pytest.raises(ValueError, match=r"must be .*strings?.*Received"):
        classifier.classify(texts)


def test_classify_what_is_no_unicode(classifier):
    with pytest.raises(ValueError, match="Unicode.*at index 1"):
        classifier.classify(["fine", "half a pair \ud800"])
    with pytest.raises(ValueError, match="`batch_size` must be positive"):
        classifier.classify("text", batch_size=0)


@pytest.mark.parametrize(
    "texts",
    [[], ["a", None], [1, 2], [("a", "b"), ("c", "d")], (["a"], [["b"]])],
    ids=repr,
)
def test_fit_and_predict_on_what_is_no_text(classifier, texts):
    for call in (
        lambda: classifier.fit(texts, np.zeros(2), verbose=0),
        lambda: classifier.predict(texts, verbose=0),
    ):
        with pytest.raises(ValueError, match=r"(strings|at least one text)"):
            call()


KINDS = {
    "classes": {"labels": ["a", "b"]},
    "scores": {"num_classes": 1},
    "several": {"labels": ["a", "b", "c"], "multi_label": True},
}


@pytest.mark.parametrize(
    ("kind", "targets", "message"),
    [
        ("classes", [0, 1, 2, 1], "class indices.*Received: 2"),
        ("classes", [0.0, 0.5, 1.0, 1.0], "class indices.*Received: 0.5"),
        ("classes", [0.0, np.nan, 1.0, 1.0], "finite"),
        ("classes", ["a", "b", "a", "b"], "numbers.*'a'"),
        ("classes", [0, None, 1, 1], "numbers"),
        ("classes", np.eye(2)[[0, 1, 0, 1]], r"class indices, of shape"),
        ("classes", [[0], [0, 1], [1], [0]], "different lengths"),
        ("scores", [0.5, np.inf, 1.0, 2.0], "finite"),
        ("scores", np.zeros((4, 3)), r"shape \(texts,\)"),
        ("several", [0, 1, 2, 1], r"shape \(texts, 3\)"),
        ("several", np.full((4, 3), 2.0), "between 0 and 1"),
    ],
)
def test_targets_that_cannot_be_learned(classifier, kind, targets, message):
    """Some losses make a number of them all the same."""
    task = ka.AlbertTextClassifier(
        classifier.backbone,
        preprocessor=classifier.preprocessor,
        **KINDS[kind],
    )
    good = np.zeros((4, 3) if kind == "several" else 4, "int32")
    for call in (
        lambda: task.fit(TEXTS, targets, verbose=0),
        lambda: task.evaluate(TEXTS, targets, verbose=0),
        lambda: task.fit(
            TEXTS, good, validation_data=(TEXTS, targets), verbose=0
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("segment_ids", 7, "`segment_ids`.*num_segments"),
        ("token_ids", 2.5, "`token_ids` must be integers.*2.5"),
    ],
)
def test_ready_tensors_of_wrong_numbers(classifier, name, value, message):
    batch = {
        key: np.ones((1, 3), "int32")
        for key in ("token_ids", "segment_ids", "padding_mask")
    }
    batch[name] = np.full((1, 3), value)
    with pytest.raises(ValueError, match=message):
        classifier.predict(batch, verbose=0)


def test_arguments_that_there_are_not(classifier, tiny, preset):
    for make in (
        lambda: ka.AlbertBackbone(**tiny, dropuot=0.1),
        lambda: ka.AlbertTextClassifier(classifier.backbone, 2, dropuot=0.1),
        lambda: ka.AlbertBackbone.from_preset(preset, dropuot=0.1),
        lambda: ka.AlbertTextClassifier.from_preset(preset, dropuot=0.1),
    ):
        with pytest.raises(ValueError, match="'dropuot'"):
            make()


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), "0.1"])
def test_dropout_rates(tiny, rate):
    with pytest.raises(ValueError, match="below 1"):
        ka.AlbertBackbone(**tiny, attention_dropout=rate)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 2.5}, "positive integer. Received: 2.5"),
        ({"labels": []}, "at least 2 classes"),
        ({"labels": ["a"]}, "at least 2 classes"),
        ({"num_classes": 2, "dropout": 1.0}, "below 1"),
    ],
    ids=str,
)
def test_heads_that_nothing_fits(classifier, arguments, message):
    with pytest.raises(ValueError, match=message):
        ka.AlbertTextClassifier(classifier.backbone, **arguments)


def test_weights_that_are_no_numbers_give_no_label(preset):
    broken = ka.AlbertTextClassifier.from_preset(preset)
    kernel, bias = broken.output_dense.get_weights()
    broken.output_dense.set_weights([kernel * np.nan, bias])
    with pytest.raises(ValueError, match="outputs must be finite"):
        broken.classify("text")


def test_ranks_of_adapters(tiny):
    with pytest.raises(ValueError, match="positive integer. Received: 0"):
        ka.AlbertBackbone(**tiny).enable_lora(0)


# === Presets ===


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def change(key, value):
    def write(path):
        config = json.loads(path.read_text())
        config["config"][key] = value
        path.write_text(json.dumps(config))

    return write


VOCABULARY = "assets/tokenizer/vocabulary.spm"


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("model.weights.h5", cut, "truncated"),
        ("model.weights.h5", lambda p: p.write_bytes(b"x"), "signature"),
        ("task.weights.h5", cut, "truncated"),
        ("task.weights.h5", os.remove, "task.weights.h5"),
        ("config.json", os.remove, "must hold"),
        ("config.json", lambda p: p.write_text("[]"), "a JSON object"),
        (
            "config.json",
            lambda p: p.write_text('{"registered_name": []}'),
            "class",
        ),
        ("config.json", change("hidden_dim", "a"), "positive integer"),
        ("config.json", change("hidden_dim", 32), "model.weights.h5"),
        ("config.json", change("activation", "nonsense"), "nonsense"),
        ("config.json", change("dtype", {"a": 1}), "dtype policy"),
        ("task.json", lambda p: p.write_text("[]"), "a JSON object"),
        ("task.json", change("labels", "ab"), "list of strings"),
        ("task.json", change("num_classes", 3), "num_classes=3"),
        ("preprocessor.json", change("sequence_length", "a"), "'str'"),
        ("preprocessor.json", change("sequence_length", 900), "900"),
        (VOCABULARY, cut, "SentencePiece"),
        (VOCABULARY, os.remove, "vocabulary"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_presets(preset, tmp_path, name, damage, message):
    folder = tmp_path / "damaged"
    shutil.copytree(preset, folder)
    damage(folder / name)
    with pytest.raises(ValueError, match=message) as caught:
        ka.AlbertTextClassifier.from_preset(folder)
    assert str(folder) in str(caught.value)


def test_weights_of_a_head_that_nothing_describes(preset, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(preset, folder)
    (folder / "task.json").unlink()
    with pytest.raises(ValueError, match=r"must hold `task\.json`"):
        ka.AlbertTextClassifier.from_preset(folder, num_classes=2)


def test_learning_rate_of_a_preset(preset, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(preset, folder)
    (folder / "metadata.json").write_text('{"learning_rate": "fast"}')
    with pytest.raises(ValueError, match="metadata.json' says 'fast'"):
        ka.AlbertBackbone.from_preset(folder)


def test_a_preset_that_is_replaced_while_it_is_read(
    classifier, tmp_path, monkeypatch
):
    folder = tmp_path / "preset"
    classifier.save_to_preset(folder)
    load = ka.AlbertTextClassifier.load_task_weights

    def replace_and_load(self, path):
        classifier.save_to_preset(folder)
        load(self, path)

    monkeypatch.setattr(
        ka.AlbertTextClassifier, "load_task_weights", replace_and_load
    )
    with pytest.raises(ValueError, match="replaced while it is read"):
        ka.AlbertTextClassifier.from_preset(folder)


# === Full disks, links and what killed processes leave ===


def test_room_for_a_preset_is_asked_for(classifier, tmp_path, monkeypatch):
    """HDF5 ends the process when it runs out of room while it writes."""
    classifier.save_to_preset(tmp_path / "preset")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    taken = sum(path.stat().st_size for path in files)
    assert taken < bytes_of(classifier) < 2 * taken + 1e6

    def no_room(file, offset, size):
        assert size == bytes_of(classifier)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saving.os, "posix_fallocate", no_room)
    with pytest.raises(OSError, match="No space left"):
        classifier.save_to_preset(tmp_path / "other")
    assert os.listdir(tmp_path) == ["preset"]


def test_what_a_link_leads_to_is_written(classifier, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    classifier.save_to_preset(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "config.json").exists()
    for save in (saving.whole_folder, saving.whole_file):
        with pytest.raises(ValueError, match="empty"), save(""):
            pass


def test_what_killed_processes_leave(tmp_path):
    """Killed between two renames, the folder is there under another name."""
    for leftover in (".run.a1.former", ".run.b2.partial", ".runs.c3.former"):
        (tmp_path / leftover).mkdir()
    (tmp_path / ".run.a1.former" / "state").write_text("whole")
    (tmp_path / "run.12.partial").write_text("half")
    saving.clear_leftovers(tmp_path / "run")
    assert sorted(os.listdir(tmp_path)) == [".runs.c3.former", "run"]
    assert (tmp_path / "run" / "state").read_text() == "whole"
    (tmp_path / ".run.d4.former").mkdir()
    saving.clear_leftovers(tmp_path / "run")
    assert (tmp_path / "run" / "state").read_text() == "whole"
    assert not (tmp_path / ".run.d4.former").exists()
