"""A pretraining run: what it writes, how it stops, how it continues."""

import csv
import json
import math
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert.cli import main
from keras_albert.presets.locking import locked_folder
from keras_albert.pretraining.checkpoint import Checkpoint
from keras_albert.pretraining.optimization import make_optimizer
from keras_albert.pretraining.recipe import pretrain

SIZES = {
    "hidden_dim": 16,
    "num_layers": 2,
    "num_heads": 2,
    "embedding_dim": 8,
    "intermediate_dim": 32,
}
RUN = {
    "sizes": SIZES,
    "dropout": 0.1,
    "sequence_length": 32,
    "batch_size": 8,
    "steps": 9,
    "checkpoint_every": 4,
    "learning_rate": 1e-2,
}


class InterruptionError(Exception):
    pass


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory, tokenizer):
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.spm"
    path.write_bytes(tokenizer.proto)
    return path


@pytest.fixture(scope="module")
def run(prepared, vocabulary):
    def run(folder, **kwargs):
        return pretrain(
            prepared.folder, vocabulary, folder, **{**RUN, **kwargs}
        )

    return run


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """An uninterrupted run, over several epochs."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


def rows(folder):
    with open(folder / "history.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_same_run(folder, expected):
    """Same losses, same weights and optimizer, to the last bit."""
    for one, other in zip(rows(folder), rows(expected), strict=True):
        assert one.pop("seconds")
        other.pop("seconds")
        assert one == other
    ours, theirs = (
        np.load(path / "checkpoint.npz") for path in (folder, expected)
    )
    assert set(ours) == set(theirs)
    for name in set(ours) - {"progress"}:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_files_of_a_run(whole, prepared):
    folder, metrics = whole
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert [row["step"] for row in rows(folder)] == ["4", "8", "9"]
    for name in ("val_mlm_accuracy", "val_sop_accuracy", "val_loss", "tokens"):
        assert metrics[name] > 0
    assert metrics["epoch"] >= 1
    # It began with guessing among 8,000 pieces and two orders.
    losses = [float(row["mlm_loss"]) for row in rows(folder)]
    assert losses[0] == pytest.approx(np.log(8000), rel=0.05)
    assert losses[-1] < losses[0]
    assert list((folder / "logs").rglob("events.*"))
    pretrainer = ka.AlbertPretrainer.from_preset(folder / "model")
    assert pretrainer.preprocessor.sequence_length == 32
    backbone = ka.AlbertBackbone.from_preset(folder / "model")
    assert backbone.learning_rate < 1e-4  # That of pretrained weights.


def test_weights_of_a_preset_are_the_start(run, whole, tmp_path, prepared):
    folder, _ = whole
    # Nothing moves at a rate of 1e-30: all weights are the preset's.
    still = {"learning_rate": 1e-30, "steps": 1, "dropout": 0.0}
    preset = folder / "model"
    longer = run(
        tmp_path / "longer",
        **{**still, "preset": preset, "sizes": None, "sequence_length": 64},
    )
    assert longer["hidden_dim"] == SIZES["hidden_dim"]
    ours, theirs = (
        ka.AlbertPretrainer.from_preset(path)
        for path in (tmp_path / "longer" / "model", preset)
    )
    assert ours.preprocessor.sequence_length == 64
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(one, other)

    with pytest.raises(ValueError, match="hidden_dim"):
        run(tmp_path / "sizes", preset=preset)
    with pytest.raises(ValueError, match="positions.*512"):
        run(tmp_path / "long", preset=preset, sizes=None, sequence_length=600)


def test_resumed_run_equals_the_uninterrupted(
    run, whole, tmp_path, monkeypatch
):
    keep = Checkpoint.save

    def interrupt(self, progress, variables):
        if progress["history"][-1]["step"] == 4:
            progress = as_formerly(progress)
        keep(self, progress, variables)
        raise InterruptionError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", interrupt)
        for resume in (False, True):
            with pytest.raises(InterruptionError):
                run(tmp_path, resume=resume)
    run(tmp_path, resume=True)
    assert_same_run(tmp_path, whole[0])
    # Finished: nothing is trained again.
    again = run(tmp_path, resume=True)
    assert again == json.loads((tmp_path / "metrics.json").read_text())


def as_formerly(progress):
    """As it was written before there were presets and several readers."""
    (position,) = progress["position"]
    settings = dict(progress["settings"])
    del settings["preset"], settings["distribution"]
    return {**progress, "settings": settings, "position": position}


@pytest.mark.once
def test_killed_at_any_moment_and_resumed(
    whole, prepared, vocabulary, tmp_path
):
    arguments = [
        *("pretrain", prepared.folder, "--vocabulary", vocabulary),
        *("-o", tmp_path, "--resume"),
    ]
    for name in ("sequence_length", "batch_size", "steps", "checkpoint_every",
                 "learning_rate", "dropout"):  # fmt: skip
        arguments += ["--" + name.replace("_", "-"), RUN[name]]
    for name, size in SIZES.items():
        arguments += ["--" + name.replace("_", "-"), size]
    command = list(map(str, arguments))
    # While it writes what comes after its first checkpoint, and its second.
    for step in (4, 8):
        process = subprocess.Popen(
            [sys.executable, "-m", "keras_albert", *command],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        while saved_step(tmp_path) < step:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert main(command) == 0
    assert_same_run(tmp_path, whole[0])
    assert not [
        path
        for path in tmp_path.iterdir()
        if path.suffix in (".partial", ".former")
    ]


def saved_step(folder):
    progress = Checkpoint(str(folder)).load_progress()
    return progress["history"][-1]["step"] if progress else 0


def test_accumulated_gradients_equal_one_batch():
    """Of batches with equally many masks: their means are means of all."""
    generator = np.random.default_rng(0)
    inputs = {
        "token_ids": generator.integers(10, 60, (8, 16)).astype("int32"),
        "segment_ids": np.zeros((8, 16), "int32"),
        "padding_mask": np.ones((8, 16), "int32"),
        "mask_positions": np.tile(np.array([[3, 7]], "int32"), (8, 1)),
    }
    targets = {
        "mlm": generator.integers(10, 60, (8, 2)),
        "sop": np.arange(8) % 2,
    }
    weights = {}
    for parts in (1, 2):
        settings = {"optimizer": "lamb", "dtype": "float32", "steps": 3,
                    "learning_rate": 0.01, "warmup": 0.0,
                    "accumulate": parts}  # fmt: skip
        keras.utils.set_random_seed(0)
        model = ka.AlbertPretrainer(ka.AlbertBackbone(60, **SIZES))
        # Gradients well above the optimizer's epsilon.
        contracts.randomize(model, seed=3)
        before = model.get_weights()
        model.compile(
            make_optimizer(settings, 0.01),
            run_eagerly=keras.backend.backend() == "tensorflow",
        )
        for _ in range(2):
            for part in range(parts):
                rows_ = slice(part * 8 // parts, (part + 1) * 8 // parts)
                keras.Model.train_on_batch(
                    model,
                    {name: value[rows_] for name, value in inputs.items()},
                    {name: value[rows_] for name, value in targets.items()},
                )
        weights[parts] = model.get_weights()
    largest = max(
        np.abs(x - y).max() for x, y in zip(before, weights[1], strict=True)
    )
    assert largest > 1e-3
    # LAMB divides small gradients by small roots: rounding shows, but next to
    # the step that was taken it is nothing.
    for one, two in zip(*weights.values(), strict=True):
        np.testing.assert_allclose(one, two, atol=0.01 * largest, rtol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "mixed_bfloat16", "optimizer": "lamb", "accumulate": 2},
        {"dtype": "mixed_float16"},
    ],
)
def test_options(run, tmp_path, options):
    metrics = run(tmp_path, steps=2, checkpoint_every=2, **options)
    assert np.isfinite(metrics["loss"])
    assert metrics["dtype"] == options["dtype"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("weight", "masked", "order"), [(20.0, 0.05, 1.0), (0.5, 1.0, 0.5)]
)
def test_order_weight(run, tmp_path, weight, masked, order):
    metrics = run(tmp_path, steps=2, checkpoint_every=2, order_weight=weight)
    assert metrics["loss"] == pytest.approx(
        masked * metrics["mlm_loss"] + order * metrics["sop_loss"], rel=1e-4
    )
    with pytest.raises(ValueError, match="order_weight"):
        run(tmp_path / "none", order_weight=0.0)


def test_other_ways_compute_the_same(run, tmp_path):
    """Layers computed again for the gradient; XLA."""
    ways = [{}, {"rematerialize": True}]
    if keras.backend.backend() == "tensorflow":
        ways.append({"jit_compile": True})  # On JAX it always is.
    plain, *others = (
        run(
            tmp_path / "-".join(way),
            steps=2,
            checkpoint_every=2,
            dropout=0.0,
            **way,
        )
        for way in ways
    )
    for way, other in zip(ways[1:], others, strict=True):
        assert other["val_loss"] == pytest.approx(
            plain["val_loss"], rel=1e-6 if "rematerialize" in way else 1e-5
        )
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(ValueError, match="dropout"):
            run(tmp_path / "dropout", rematerialize=True)


def test_a_lost_run_stops_and_keeps_its_checkpoint(run, vocabulary, tmp_path):
    with pytest.raises(ValueError, match="finite"):
        run(tmp_path / "nan", learning_rate=1e38, warmup=0.0)
    assert not (tmp_path / "nan" / "model").exists()
    with pytest.raises(ValueError, match=r"diverged.*smaller learning rate"):
        run(tmp_path / "large", learning_rate=300.0, warmup=0.0)
    pieces = ka.AlbertTokenizer(str(vocabulary)).vocabulary_size()
    guessing = math.log(pieces) / 20 + math.log(2)
    with pytest.raises(ValueError, match=f"guessing costs {guessing:.3g}"):
        run(
            tmp_path / "order",
            learning_rate=300.0,
            warmup=0.0,
            order_weight=20.0,
        )


@pytest.mark.once
def test_bad_input(run, whole, prepared, vocabulary, tmp_path, capsys):
    folder, _ = whole
    with pytest.raises(ValueError, match="no other run"):
        run(folder)
    with pytest.raises(ValueError, match="seed 0, this is seed 7"):
        run(folder, resume=True, seed=7)
    with pytest.raises(ValueError, match="sizes"):
        run(folder, resume=True, sizes={**SIZES, "hidden_dim": 32})
    with pytest.raises(ValueError, match="multiple of `accumulate`"):
        run(tmp_path, accumulate=3)
    with (
        locked_folder(tmp_path),
        pytest.raises(OSError, match="One run at a time"),
    ):
        run(tmp_path)
    (tmp_path / "checkpoint.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match="damaged"):
        run(tmp_path, resume=True)
    command = ["pretrain", prepared.folder, "-o", str(tmp_path / "o")]
    assert main([*command, "--vocabulary", "nothing.spm"]) == 2
    assert "nothing.spm" in capsys.readouterr().err
    command[1] = str(tmp_path)
    assert main([*command, "--vocabulary", str(vocabulary)]) == 2
    assert "dataset.json" in capsys.readouterr().err


@pytest.mark.once
def test_a_full_disk_harms_no_checkpoint(tmp_path, monkeypatch):
    variables = [keras.Variable(np.arange(4.0))]
    checkpoint = Checkpoint(str(tmp_path))
    checkpoint.save({"step": 1}, variables)
    before = (tmp_path / "checkpoint.npz").read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save({"step": 2}, variables)
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]
