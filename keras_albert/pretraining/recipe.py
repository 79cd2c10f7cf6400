"""The pretraining recipe: from prepared data to a pretrained model."""

import contextlib
import hashlib
import json
import math
import os

import keras

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.models.sizes import DEFAULT_SIZES
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.presets.locking import locked_folder
from keras_albert.presets.saving import clear_leftovers
from keras_albert.pretraining.checkpoint import CHECKPOINT_FILE, Checkpoint
from keras_albert.pretraining.cluster import join_cluster
from keras_albert.pretraining.encoding import read_vocabulary
from keras_albert.pretraining.optimization import (
    OPTIMIZERS,
    default_learning_rate,
)
from keras_albert.pretraining.records import DATASET_FILE, read_dataset
from keras_albert.pretraining.run import (
    HISTORY_FILE,
    METRICS_FILE,
    MODEL_FOLDER,
    PretrainingRun,
)

_LARGEST_SEED = 2**31 - 1  # Of `tf.random.fold_in`.


def pretrain(
    data,
    vocabulary,
    output_dir,
    *,
    preset=None,
    sizes=None,
    dropout=0.0,
    sequence_length=128,
    batch_size=32,
    accumulate=1,
    steps=10_000,
    checkpoint_every=500,
    optimizer="adamw",
    learning_rate=None,
    warmup=0.05,
    mask_rate=0.15,
    order_weight=1.0,
    dtype=None,
    rematerialize=False,
    jit_compile=None,
    seed=0,
    devices=None,
    model_parallel=1,
    resume=False,
    stream=None,
):
    """Pretrains ALBERT on prepared data, from random weights or a preset.

    Masked tokens and sentence order, drawn anew in every epoch; ALBERT's
    LAMB or AdamW, no decay of biases and LayerNorm, gradients clipped to a
    global norm of 1, the original's schedule. Every `checkpoint_every` steps
    the model is measured on the dev data and the run's state saved.
    Interrupted at any moment, it continues from there and ends with the same
    weights, to the bit, as if it had not been (same backend, machine and
    versions).

    The folder then holds `model`, the preset folder of an
    `AlbertPretrainer`; `metrics.json`; `history.csv`, a row a checkpoint;
    TensorBoard logs in `logs`; and `checkpoint.npz`, the last state.

    Several processes, on one host or more, train together on JAX when their
    launcher's environment says so (`keras_albert.pretraining.launch`): each
    calls this function with the same arguments, reads its own part of the
    data, and works off its part of each batch. Process 0 writes; only it
    needs to see `output_dir`.

    Args:
        data: string or path, a folder of `prepare-pretraining`.
        vocabulary: string or path of the SentencePiece model that the data
            was prepared with.
        output_dir: string or path, a folder.
        preset: anything that `AlbertPretrainer.from_preset` takes, to start
            from its weights: for another domain, or after a first part with
            short sequences. Its vocabulary must be that of the data.
        sizes: dictionary of `AlbertBackbone` arguments; `DEFAULT_SIZES` for
            those that are left out. Not with `preset`.
        dropout: float, of the whole backbone.
        sequence_length: int, tokens. The model has 512 positions, or as many
            as this; those beyond `sequence_length` stay untrained.
        batch_size: int, examples of an optimizer's step.
        accumulate: int. The batch is worked off in so many equal parts, and
            their gradients averaged.
        steps: int, of the optimizer.
        checkpoint_every: int, steps.
        optimizer: `"adamw"` or `"lamb"`.
        learning_rate: float, the highest. `None`: `default_learning_rate`.
        warmup: float, the part of all steps that the rate rises for.
        mask_rate: float, the part of tokens that is masked.
        order_weight: float, the loss of sentence order against that of masked
            tokens. The lesser of the two is scaled down, so that the norm
            which gradients are clipped to means the same.
        dtype: dtype policy, such as `"mixed_bfloat16"`, `"mixed_float16"`
            (with loss scaling). Keras's default by default.
        rematerialize: bool. Whether the encoder's layers are computed again
            for the gradient in place of kept: less memory, more arithmetic.
            On TensorFlow only without dropout. On CPUs XLA undoes it.
        jit_compile: bool. Whether XLA compiles the step. `None`: on JAX only.
            On TensorFlow it takes a minute to begin with.
        seed: int, of weights, data and dropout.
        devices: int, those of this process to train on. `None`: one; with
            several processes or a divided model all that JAX sees.
        model_parallel: int, JAX only. Devices that hold a copy of the model
            together: its feed-forward networks and token embedding are
            divided among them. Each copy works off a part of the batch.
        resume: bool. Whether to continue a run that was interrupted. Starts
            afresh when the folder holds none; does nothing when it is done.
        stream: text stream for the progress, stderr by default.

    Returns:
        dictionary, the content of `metrics.json`: the last row of the
        history, and the run's settings and size.

    Raises:
        ValueError: if arguments contradict each other, the data, the
            environment, other processes, or the run in the folder; or the
            loss is not finite, or diverged.
        OSError: if data are missing, the folder cannot be written, or another
            run writes to it.
        RuntimeError: if other processes cannot be reached, or have ended.
    """
    cluster = join_cluster(devices, model_parallel)
    settings = {
        "backend": keras.backend.backend(),
        "seed": seed,
        "steps": steps,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "checkpoint_every": checkpoint_every,
        "sequence_length": sequence_length,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "warmup": warmup,
        "mask_rate": mask_rate,
        "order_weight": order_weight,
        "dropout": dropout,
        "dtype": dtype,
        "rematerialize": rematerialize,
        "jit_compile": jit_compile,
        "distribution": cluster.description,
        "preset": None if preset is None else os.fspath(preset),
        "sizes": sizes or {},
    }
    with cluster.failing_as_one(), contextlib.ExitStack() as stack:
        dataset, tokenizer = cluster.together(
            lambda: _read_inputs(data, vocabulary, settings, cluster)
        )
        cluster.check_same({**settings, "resume": resume})

        def open_folder():
            if not cluster.is_first:
                return None
            folder = stack.enter_context(locked_folder(output_dir))
            return _open_folder(folder, settings, resume)

        folder = os.path.abspath(output_dir)
        progress, metrics = cluster.gather(cluster.together(open_folder))[0]
        if metrics is not None:
            return metrics
        return PretrainingRun(
            folder, Checkpoint(folder), dataset, tokenizer, settings, cluster
        ).run(progress, stream)


def _read_inputs(data, vocabulary, settings, cluster):
    """Dataset and tokenizer; checks and completes the settings."""
    preset = settings["preset"]
    settings["dtype"] = _policy(settings["dtype"])
    settings["sizes"] = (
        {**DEFAULT_SIZES, **settings["sizes"]}
        if preset is None
        else _sizes_of(preset, settings["sizes"], settings["sequence_length"])
    )
    _check(settings, cluster)
    if settings["jit_compile"] is None:
        settings["jit_compile"] = settings["backend"] == "jax"
    if settings["learning_rate"] is None:
        settings["learning_rate"] = default_learning_rate(
            settings["optimizer"], settings["batch_size"]
        )
    read_vocabulary(vocabulary)  # Raises for what the tokenizer does not.
    dataset = read_dataset(data)
    tokenizer = AlbertTokenizer(os.fspath(vocabulary))
    dataset.check_vocabulary(tokenizer.proto)
    if preset is not None:
        _check_vocabulary_of(preset, tokenizer)
    settings["data"] = _fingerprint(dataset)
    cluster.lay_out(
        settings["sizes"]["intermediate_dim"], tokenizer.vocabulary_size()
    )
    return dataset, tokenizer


def _open_folder(folder, settings, resume):
    """The progress of the run in it, and its metrics if it is finished."""
    progress = Checkpoint(folder).load_progress() if resume else None
    _check_folder(folder, resume, progress, settings)
    _remove_leftovers(folder)
    if progress is None or not _is_finished(folder, progress):
        return progress, None
    with open(os.path.join(folder, METRICS_FILE), encoding="utf-8") as file:
        return progress, json.load(file)


def _policy(dtype):
    try:
        return keras.dtype_policies.get(
            dtype or keras.config.dtype_policy()
        ).name
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`dtype` must be a dtype policy of Keras, such as float32 or "
            f"mixed_bfloat16. Received: dtype={dtype!r}."
        ) from error


def _sizes_of(preset, sizes, sequence_length):
    if sizes:
        raise ValueError(
            "The sizes must be those of the `preset`. Received: "
            f"{', '.join(sizes)} beside it; leave them out."
        )
    backbone = AlbertBackbone.from_preset(preset, load_weights=False)
    if sequence_length > backbone.max_sequence_length:
        raise ValueError(
            "`sequence_length` must be at most the number of positions of "
            f"the `preset`, {backbone.max_sequence_length}. Received: "
            f"{sequence_length}."
        )
    config = backbone.get_config()
    return {name: config[name] for name in DEFAULT_SIZES}


def _check_vocabulary_of(preset, tokenizer):
    theirs = AlbertTokenizer.from_preset(preset).get_vocabulary()
    ours = tokenizer.get_vocabulary()
    if theirs != ours:
        raise ValueError(
            "The vocabulary must be that of the `preset`, since each piece "
            f"keeps its weights. Received: {len(ours)} pieces, of which not "
            f"all are those of {preset}, which has {len(theirs)}; prepare "
            "the data with its vocabulary."
        )


def _check(settings, cluster):
    for name in ("steps", "batch_size", "accumulate", "checkpoint_every"):
        if settings[name] < 1:
            raise ValueError(
                f"`{name}` must be at least 1. Received: {settings[name]}."
            )
    if settings["batch_size"] % settings["accumulate"]:
        raise ValueError(
            "`batch_size` must be a multiple of `accumulate`. Received: "
            f"batch_size={settings['batch_size']}, "
            f"accumulate={settings['accumulate']}."
        )
    if settings["batch_size"] % (settings["accumulate"] * cluster.replicas):
        raise ValueError(
            "`batch_size` must be a multiple of `accumulate` times the number "
            f"of parts that devices work off at once, {cluster.replicas}. "
            f"Received: batch_size={settings['batch_size']}, "
            f"accumulate={settings['accumulate']}."
        )
    if cluster.mirrored > 1:
        _check_mirrored(settings)
    if settings["optimizer"] not in OPTIMIZERS:
        raise ValueError(
            f"`optimizer` must be one of {', '.join(OPTIMIZERS)}. Received: "
            f"{settings['optimizer']!r}."
        )
    if (
        settings["rematerialize"]
        and settings["dropout"]
        and settings["backend"] == "tensorflow"
    ):
        raise ValueError(
            "`dropout` must be 0 with `rematerialize` on TensorFlow, where "
            "layers would drop others when they are computed again. Received: "
            f"dropout={settings['dropout']}; leave one out, or use JAX."
        )
    rate = settings["learning_rate"]
    # Not a number is in no interval.
    if rate is not None and not 0.0 < rate < math.inf:
        raise ValueError(
            f"`learning_rate` must be a positive number. Received: {rate}."
        )
    weight = settings["order_weight"]
    if not 0.0 < weight < math.inf:
        raise ValueError(
            f"`order_weight` must be a positive number. Received: {weight}."
        )
    if not 0.0 <= settings["warmup"] <= 1.0:
        raise ValueError(
            "`warmup` must lie between 0 and 1. Received: "
            f"{settings['warmup']}."
        )
    if not 0 <= settings["seed"] <= _LARGEST_SEED:
        raise ValueError(
            f"`seed` must lie between 0 and {_LARGEST_SEED}. Received: "
            f"{settings['seed']}."
        )


def _check_mirrored(settings):
    """Raises ValueError for what TensorFlow does on one device only."""
    if settings["accumulate"] > 1 or settings["dtype"] == "mixed_float16":
        raise ValueError(
            "`accumulate` must be 1, and `dtype` not mixed_float16, for "
            "several devices on TensorFlow. Received: "
            f"accumulate={settings['accumulate']}, "
            f"dtype={settings['dtype']}; use one device, or JAX."
        )


def _fingerprint(dataset):
    shards = [[s.sha256 for s in part] for part in dataset.splits.values()]
    return hashlib.sha256(json.dumps(shards).encode()).hexdigest()[:16]


def _check_folder(folder, resume, progress, settings):
    if os.path.exists(os.path.join(folder, DATASET_FILE)):
        raise ValueError(
            "The output must be another folder than that of prepared data. "
            f"Received: {folder}."
        )
    held = [
        name
        for name in (CHECKPOINT_FILE, MODEL_FOLDER, METRICS_FILE, HISTORY_FILE)
        if os.path.exists(os.path.join(folder, name))
    ]
    if held and progress is None:
        how = "remove it" if resume else "resume it, remove it"
        raise ValueError(
            f"The output folder must hold no other run. {folder} holds "
            f"{', '.join(held)}; {how}, or choose another folder."
        )
    for name, value in settings.items():
        if progress is not None and progress["settings"].get(name) != value:
            raise ValueError(
                f"A run must be resumed with the same settings. {folder} was "
                f"begun with {name} {progress['settings'].get(name)}, this is "
                f"{name} {value}; use the former ones, or another folder."
            )


def _is_finished(folder, progress):
    history = progress["history"]
    return (
        history[-1]["step"] == progress["settings"]["steps"]
        and os.path.isfile(os.path.join(folder, METRICS_FILE))
        and os.path.isdir(os.path.join(folder, MODEL_FOLDER))
    )


def _remove_leftovers(folder):
    """Removes what a killed process was in the middle of writing."""
    for name in (CHECKPOINT_FILE, MODEL_FOLDER, METRICS_FILE, HISTORY_FILE):
        clear_leftovers(os.path.join(folder, name))
