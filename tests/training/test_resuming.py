"""An interrupted run ends as if it had not been interrupted."""

import json

import keras
import numpy as np
import pytest

import keras_albert as ka
from keras_albert.training.batches import LengthBatches, tokenize_texts
from keras_albert.training.fine_tune import fine_tune
from keras_albert.training.run_folder import RunFolder

TEXTS = [
    f"{words} {place}"
    for words in ("wake me up", "will it rain", "snooze", "how warm is it in")
    for place in ("Rome", "the small hours of the morning", "Oslo", "bed now")
]
TARGETS = np.array([0] * 4 + [1] * 4 + [0] * 4 + [1] * 4, "int32")
DATA = (TEXTS, TARGETS)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset") / "start"
    tokenizer = ka.AlbertTokenizer.from_preset("albert_tiny_en")
    backbone = ka.AlbertBackbone(
        tokenizer.vocabulary_size(), 2, 2, 16, 16, 32, dropout=0.1
    )
    ka.AlbertTextClassifier(
        backbone,
        labels=["alarm", "weather"],
        preprocessor=ka.AlbertTextClassifierPreprocessor(tokenizer, 32),
    ).save_to_preset(folder)
    return folder


def train(preset, folder, arguments=None, **kwargs):
    task = ka.AlbertTextClassifier.from_preset(preset, **(arguments or {}))
    options = {"epochs": 3, "batch_size": 4, "learning_rate": 1e-2, **kwargs}
    metrics = fine_tune(task, DATA, DATA, folder, **options)
    return task, metrics


def test_resumed_run_equals_the_uninterrupted(
    preset, tmp_path, interrupt, assert_same_weights
):
    whole, expected = train(preset, tmp_path / "whole")
    interrupt(lambda: train(preset, tmp_path / "parts"))
    resumed, metrics = train(preset, tmp_path / "parts", resume=True)

    assert_same_weights(resumed, whole)
    timed = ("seconds", "examples_per_second")
    for name in set(expected) - set(timed):
        assert metrics[name] == expected[name], name


def test_files_of_a_run(preset, tmp_path):
    _, metrics = train(preset, tmp_path, epochs=2)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    history = (tmp_path / "history.csv").read_text().splitlines()
    assert len(history) == 3
    assert (tmp_path / "training.png").stat().st_size > 5000
    assert list((tmp_path / "logs").rglob("events.*"))
    best = ka.AlbertTextClassifier.from_preset(tmp_path / "model")
    results = best.classify(TEXTS)
    right = [
        result["label"] == ["alarm", "weather"][target]
        for result, target in zip(results, TARGETS, strict=True)
    ]
    assert np.mean(right) == pytest.approx(metrics["accuracy"])


@pytest.mark.once
def test_a_folder_with_a_run_is_not_written_over(preset, tmp_path):
    train(preset, tmp_path, epochs=1)
    with pytest.raises(ValueError, match="resume"):
        train(preset, tmp_path, epochs=1)
    # Finished: nothing is trained, the same metrics come back.
    _, again = train(preset, tmp_path, epochs=1, resume=True)
    assert again == json.loads((tmp_path / "metrics.json").read_text())
    with pytest.raises(ValueError, match="seed"):
        train(preset, tmp_path, epochs=1, resume=True, seed=7)
    with (
        pytest.warns(UserWarning, match="random weights"),
        pytest.raises(ValueError, match="pooling cls, this is pooling mean"),
    ):
        train(preset, tmp_path, {"pooling": "mean"}, epochs=1, resume=True)


@pytest.mark.once
def test_a_run_begun_when_there_was_one_pooling(preset, tmp_path, monkeypatch):
    train(preset, tmp_path, epochs=1)
    load = RunFolder.load_progress

    def former(folder):
        progress = load(folder)
        del progress["settings"]["pooling"]
        return progress

    monkeypatch.setattr(RunFolder, "load_progress", former)
    _, again = train(preset, tmp_path, epochs=1, resume=True)
    assert again == json.loads((tmp_path / "metrics.json").read_text())
    # What it was begun with is in the digest of its architecture.
    config = ka.AlbertTextClassifier.from_preset(preset).get_config()
    assert "pooling" not in config


def test_a_second_run_on_the_folder_refuses(preset, tmp_path):
    with (
        RunFolder(tmp_path).locked(),
        pytest.raises(OSError, match="One run at a time"),
    ):
        train(preset, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(preset, tmp_path):
    with pytest.raises(ValueError, match="finite"):
        train(preset, tmp_path, learning_rate=1e38)
    assert not (tmp_path / "model").exists()


def test_logs_that_cannot_be_written(preset, tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(OSError, match=f"Could not write '{tmp_path}/logs'"):
        train(preset, tmp_path, epochs=1)
    (tmp_path / "logs").unlink()
    _, metrics = train(preset, tmp_path, epochs=1, resume=True)
    assert metrics["epochs"] == 1


def test_a_last_step_that_breaks_the_weights_stops_the_run(preset, tmp_path):
    """Its own loss is still a number."""

    def evaluate(task, data, batch_size):
        return {"accuracy": 1.0, "loss": float("nan")}

    with pytest.raises(ValueError, match="dev loss must be finite"):
        train(preset, tmp_path, evaluate=evaluate)
    assert not (tmp_path / "model").exists()


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state/progress.json", b"{"),
        ("state/progress.json", b"[]"),
        ("state/variables.npz", b"PK\x03\x04 and no more"),
        ("state/variables.npz", None),
        ("metrics.json", None),
    ],
    ids=str,
)
def test_a_damaged_state_is_named(tmp_path, name, content):
    folder = RunFolder(tmp_path)
    progress = {"settings": {}, "finished": False, "history": [], "curve": []}
    folder.save_state(progress, [keras.Variable(np.zeros(3))])
    folder.write_metrics({})
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}.*Remove {tmp_path}"):
        folder.load_progress()
        folder.load_variables([keras.Variable(np.ones(3))])
        folder.read_metrics()


def test_batches_hold_each_text_once_at_its_length():
    preprocessor = ka.AlbertTextClassifierPreprocessor.from_preset(
        "albert_tiny_en", sequence_length=64
    )
    texts = ["wake me " * repeats for repeats in range(40)]
    targets = np.arange(40)
    batches = LengthBatches(
        tokenize_texts(preprocessor, texts), targets, batch_size=8, seed=3
    )
    orders = []
    for epoch in (0, 1, 0):
        seen, partial = [], 0
        for features, rows in batches.dataset(epoch):
            expected = {
                name: keras.ops.convert_to_numpy(value)
                for name, value in preprocessor(
                    [texts[row] for row in rows.numpy()]
                ).items()
            }
            for name, value in features.items():
                length = value.shape[1]
                np.testing.assert_array_equal(
                    value.numpy(), expected[name][:, :length]
                )
                assert not expected["padding_mask"][:, length:].any()
            seen.extend(rows.numpy().tolist())
            partial += len(rows) < 8
        assert sorted(seen) == list(range(40))
        assert partial <= 1
        orders.append(seen)
    assert orders[0] != orders[1]
    assert orders[0] == orders[2]
