"""Several processes, and several devices of one: same losses as one has.

What is said on a backend depends on settings that it reads once, so it runs
in processes of its own: `cluster_program.py`.
"""

import csv
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import keras_albert as ka
from keras_albert.cli import main
from keras_albert.pretraining.checkpoint import Checkpoint
from keras_albert.pretraining.cluster import join_cluster

pytestmark = pytest.mark.once

PROGRAM = pathlib.Path(__file__).parent / "cluster_program.py"
TIME_LIMIT = 1200  # Seconds. Only what hangs takes that long.
PREFIX = "KERAS_DISTRIBUTION_"


@pytest.fixture(scope="module")
def start(prepared, tokenizer, tmp_path_factory):
    """Starts a role of the program."""
    folder = tmp_path_factory.mktemp("vocabulary")
    vocabulary = folder / "vocabulary.spm"
    vocabulary.write_bytes(tokenizer.proto)

    def start(role, output, backend, **environment):
        return subprocess.Popen(
            [
                *(sys.executable, str(PROGRAM), role),
                *(prepared.folder, str(vocabulary), str(output)),
            ],
            env={
                **os.environ,
                **environment,
                "KERAS_BACKEND": backend,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finish(*processes):
    """The results of processes, which all end within the time limit."""
    deadline = time.monotonic() + TIME_LIMIT
    try:
        outputs = [
            process.communicate(timeout=max(deadline - time.monotonic(), 1))
            for process in processes
        ]
    finally:
        for process in processes:
            process.kill()
    return [
        (process.returncode, json.loads(out.splitlines()[-1]), error)
        for process, (out, error) in zip(processes, outputs, strict=True)
    ]


@pytest.fixture(scope="module")
def one(start, tmp_path_factory):
    """Runs of one process on JAX."""
    folder = tmp_path_factory.mktemp("one")
    flags = "--xla_force_host_platform_device_count=4"
    ((code, _, error),) = finish(
        start("one_process", folder, "jax", XLA_FLAGS=flags)
    )
    assert code == 0, error
    return folder


@pytest.fixture(scope="module")
def two(start, tmp_path_factory):
    """Runs of two processes on JAX, and how the processes ended."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        f"{PREFIX}JOB_ADDRESSES": f"127.0.0.1:{port}",
        f"{PREFIX}NUM_PROCESSES": "2",
    }
    processes = [
        start(
            "one_of_two",
            folder,
            "jax",
            **environment,
            **{f"{PREFIX}PROCESS_ID": str(process)},
        )
        for process in (0, 1)
    ]
    return folder, finish(*processes)


def rows(folder):
    with open(folder / "history.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_same_losses(folder, expected, tolerance=1e-4):
    ours, theirs = rows(folder), rows(expected)
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for our, their in zip(ours, theirs, strict=True):
        assert our["tokens"] == their["tokens"]
        for name in their:
            if "loss" in name or "accuracy" in name:
                assert float(our[name]) == pytest.approx(
                    float(their[name]), abs=tolerance
                ), name


def test_two_processes_train_as_one_does(one, two):
    folder, _ = two
    assert_same_losses(folder / "whole", one / "of_two_readers")
    # One that trained, on other batches than one process draws alone.
    losses = [float(row["loss"]) for row in rows(folder / "whole")]
    assert losses[1] < losses[0]
    alone = float(rows(one / "one_device")[0]["loss"])
    assert abs(losses[0] - alone) > 1e-3


def test_only_process_0_writes(two):
    folder, ((_, _, first), (_, _, second)) = two
    assert not (folder / "nothing").exists()
    assert "step 3/6" in first and "step" not in second
    pretrainer = ka.AlbertPretrainer.from_preset(folder / "whole" / "model")
    saved = np.load(folder / "whole" / "checkpoint.npz")
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(pretrainer.variables[0]), saved["0"]
    )


def test_resumed_two_processes_equal_the_uninterrupted(two):
    folder, _ = two
    checkpoints = [
        np.load(folder / name / "checkpoint.npz")
        for name in ("interrupted", "whole")
    ]
    assert set(checkpoints[0]) == set(checkpoints[1])
    for name in set(checkpoints[0]) - {"progress"}:
        np.testing.assert_array_equal(
            checkpoints[0][name], checkpoints[1][name]
        )
    progress = [json.loads(x["progress"].tobytes()) for x in checkpoints]
    # Each of the two is somewhere else in its own data.
    assert progress[0]["position"] == progress[1]["position"]
    assert progress[0]["position"][0] != progress[0]["position"][1]


def test_a_divided_model_trains_as_a_whole_one(one, two):
    # Two copies of halves in one process; halves in two, who read the same.
    assert_same_losses(one / "divided", one / "one_device")
    folder, _ = two
    assert_same_losses(folder / "whole_divided", one / "one_device")
    pretrainer = ka.AlbertPretrainer.from_preset(
        folder / "whole_divided" / "model"
    )
    saved = np.load(folder / "whole_divided" / "checkpoint.npz")
    for index, variable in enumerate(pretrainer.variables):
        if "seed_generator" not in variable.path:  # No part of a preset.
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(variable), saved[str(index)]
            )


def test_processes_that_disagree_are_all_refused(two):
    _, results = two
    for _, failures, _ in results:
        assert "multiple of `accumulate`" in failures["batch size"]
        assert "process 1 has seed 1" in failures["seed"]


def test_the_death_of_a_process_ends_the_others(two):
    folder, ((first, _, error), (second, _, _)) = two
    assert second == 9
    assert first == 2
    assert "Process 0 of 2 cannot go on" in error
    # What was written before is whole, and nothing was written after.
    progress = Checkpoint(str(folder / "dying")).load_progress()
    assert [row["step"] for row in progress["history"]] == [3]
    assert [row["step"] for row in rows(folder / "dying")] == ["3"]
    ka.AlbertPretrainer.from_preset(folder / "dying" / "model")
    names = {path.name for path in (folder / "dying").iterdir()}
    assert names == {".lock", "checkpoint.npz", "history.csv", "logs", "model"}


def test_mirrored_devices_train_as_one_does(start, tmp_path):
    ((code, failures, error),) = finish(
        start("mirrored", tmp_path, "tensorflow")
    )
    assert code == 0, error
    assert_same_losses(tmp_path / "two_devices", tmp_path / "one_device")
    assert_same_losses(tmp_path / "interrupted", tmp_path / "two_devices")
    assert "at most those of this process, 2" in failures["devices"]
    assert "`accumulate` must be 1" in failures["accumulate"]
    assert "'devices': 2}, this is distribution None" in failures["resume"]


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        ({"devices": 0}, {}, "`devices` must be at least 1"),
        ({"model_parallel": 2}, {}, "`model_parallel` needs JAX"),
        ({}, {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "node",
              "MASTER_PORT": "1"}, "process 1 of 2, on tensorflow"),
    ],
)  # fmt: skip
def test_what_a_backend_cannot_do_is_refused(
    options, environment, message, monkeypatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        join_cluster(**options)


def test_command_line_refuses_in_one_line(
    prepared, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv(f"{PREFIX}NUM_PROCESSES", "2")
    monkeypatch.setenv(f"{PREFIX}PROCESS_ID", "2")
    command = ["pretrain", prepared.folder, "-o", str(tmp_path / "o")]
    assert main([*command, "--vocabulary", "any"]) == 2
    error = capsys.readouterr().err
    assert f"{PREFIX}PROCESS_ID=2" in error and error.count("\n") == 1
    assert not (tmp_path / "o").exists()
