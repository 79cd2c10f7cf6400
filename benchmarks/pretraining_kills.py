r"""Kills a pretraining run at random moments, and resumes it each time.

    KERAS_BACKEND=jax python benchmarks/pretraining_kills.py \
        [--kills 5] [--seed 0]

A tiny model is pretrained twice with `keras-albert pretrain`, on documents
made of the bundled sample: once uninterrupted, and once killed with SIGKILL.
Each moment is drawn (`--seed`) from the time that a few intervals take, after
the process's first checkpoint. With checkpoints every few steps most of that
time goes into writing files. After each kill every file of the run folder
must be readable; at the end history, weights and optimizer must equal those
of the uninterrupted run to the bit.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

import keras_albert as ka
from keras_albert.presets.registry import BUNDLED_PRESETS
from keras_albert.pretraining.preparation import (
    PreparationSettings,
    prepare_pretraining,
)

SAMPLE = pathlib.Path(__file__).parent.parent / "examples" / "data"
OPTIONS = {
    "--hidden-dim": 16,
    "--num-layers": 2,
    "--num-heads": 2,
    "--embedding-dim": 8,
    "--intermediate-dim": 32,
    "--dropout": 0.1,
    "--sequence-length": 32,
    "--batch-size": 8,
    "--learning-rate": 0.01,
}
# Of steps; and intervals that a process works for before it is killed.
INTERVAL, LONGEST = 3, 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = compare(pathlib.Path(folder), args.kills, args.seed)
    print(json.dumps(report, indent=1))
    return 0 if report["equal"] else 1


def compare(folder, kills, seed):
    vocabulary = os.path.join(
        BUNDLED_PRESETS["albert_tiny_en"]["path"],
        "assets/tokenizer/vocabulary.spm",
    )
    data = write_data(folder, vocabulary)
    # One interval more for each process than it can work for.
    steps = INTERVAL * (LONGEST + 1) * (kills + 1)

    def start(run):
        command = [sys.executable, "-m", "keras_albert", "pretrain", data]
        command += ["--vocabulary", vocabulary, "-o", run, "--resume"]
        command += ["--steps", steps, "--checkpoint-every", INTERVAL]
        command += [part for option in OPTIONS.items() for part in option]
        return subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL
        )

    whole, killed = folder / "whole", folder / "killed"
    process = start(whole)
    wait_for_checkpoint(process, whole)
    began = time.monotonic()
    finish(process)
    span = (time.monotonic() - began) * LONGEST * INTERVAL / steps
    generator = random.Random(seed)
    report = {
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "seed": seed,
        "steps": steps,
        "checkpoint_every": INTERVAL,
        "kills": [],
    }
    for _ in range(kills):
        process = start(killed)
        wait_for_checkpoint(process, killed)
        time.sleep(generator.random() * span)
        if process.poll() is not None:
            raise RuntimeError("The run ended before it could be killed.")
        process.send_signal(signal.SIGKILL)
        process.wait()
        report["kills"].append(look_into(killed))
    finish(start(killed))
    look_into(killed)
    report["leftovers"] = unfinished(killed)
    report["differences"] = differences(whole, killed)
    report["equal"] = not report["differences"] and not report["leftovers"]
    return report


def write_data(folder, vocabulary):
    with open(SAMPLE / "intents_train.csv", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    generator = random.Random(0)
    documents = ["\n".join(generator.sample(texts, 8)) for _ in range(200)]
    (folder / "text.txt").write_text("\n\n".join(documents), encoding="utf-8")
    dataset = prepare_pretraining(
        [folder / "text.txt"],
        vocabulary,
        folder / "data",
        settings=PreparationSettings(dev_fraction=0.05, shards=3),
        workers=1,
    )
    return dataset.folder


def wait_for_checkpoint(process, run):
    path = run / "checkpoint.npz"
    former = path.stat().st_ino if path.exists() else None
    while not path.exists() or path.stat().st_ino == former:
        if process.poll() is not None:
            raise RuntimeError("The run ended before its first checkpoint.")
        time.sleep(0.002)


def finish(process):
    if process.wait():
        raise RuntimeError(f"The run failed with {process.returncode}.")


def look_into(run):
    """Reads every file as whoever uses it would; a damaged one raises."""
    step = read_progress(run)["history"][-1]["step"]
    left = unfinished(run)
    model = run / "model"
    if not model.exists():
        # Between the renaming of the former one and of the new one.
        (model,) = run.glob(".model.*.former")
    pretrainer = ka.AlbertPretrainer.from_preset(model)
    assert all(np.isfinite(array).all() for array in pretrainer.get_weights())
    steps = [int(row["step"]) for row in history(run)]
    assert steps in (
        list(range(INTERVAL, end + 1, INTERVAL))
        for end in (step - INTERVAL, step)
    )
    if (run / "metrics.json").exists():
        json.loads((run / "metrics.json").read_text())
    # Logs are written before the checkpoint: no step is missing from them.
    assert set(range(INTERVAL, step + 1, INTERVAL)) <= logged_steps(run)
    return {"step": step, "was_writing": left}


def read_progress(run):
    with np.load(run / "checkpoint.npz") as arrays:
        # Reads, and so checks, all of them.
        return json.loads(dict(arrays)["progress"].tobytes())


def unfinished(run):
    return sorted(
        path.name
        for path in run.iterdir()
        if path.name.endswith((".partial", ".former"))
    )


def history(run):
    path = run / "history.csv"
    if not path.exists():  # Killed after the very first checkpoint.
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def logged_steps(run):
    """Steps with a loss, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_file_loader import (
        EventFileLoader,
    )

    return {
        event.step
        for path in (run / "logs" / "train").iterdir()
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag == "loss"
    }


def differences(whole, killed):
    """Names of what differs, to the bit; wall-clock time does not count."""
    found = []
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in history(r)]
        for r in (whole, killed)
    ]
    if rows[0] != rows[1]:
        found.append("history.csv")
    states = [dict(np.load(run / "checkpoint.npz")) for run in (whole, killed)]
    for state in states:
        del state["progress"]
    models = [weights(run / "model") for run in (whole, killed)]
    for name, (one, other) in (
        ("checkpoint.npz", states),
        ("model", models),
    ):
        if one.keys() != other.keys():
            found.append(name)
        found += [
            f"{name} {key}"
            for key in one.keys() & other.keys()
            if one[key].dtype != other[key].dtype
            or one[key].tobytes() != other[key].tobytes()
        ]
    return found


def weights(model):
    arrays = {}
    for path in model.glob("*.h5"):
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item, path=path: (
                    arrays.update({f"{path.name}/{name}": item[()]})
                    if isinstance(item, h5py.Dataset)
                    else None
                )
            )
    assert arrays
    return arrays


if __name__ == "__main__":
    sys.exit(main())
