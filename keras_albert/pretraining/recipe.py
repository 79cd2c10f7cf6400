"""The pretraining recipe: from prepared data to a pretrained model."""

import contextlib
import csv
import glob
import hashlib
import json
import math
import os
import shutil
import time

import keras

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.optimizers.lamb import NOT_ADAPTED, AlbertLAMB
from keras_albert.optimizers.schedules import WarmupPolynomialDecay
from keras_albert.preprocessing.pretrainer import AlbertPretrainerPreprocessor
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.presets.loading import PRETRAINED_LEARNING_RATE
from keras_albert.presets.locking import locked_folder
from keras_albert.presets.saving import whole_file
from keras_albert.pretraining.checkpoint import CHECKPOINT_FILE, Checkpoint
from keras_albert.pretraining.dataset import Position, PretrainingBatches
from keras_albert.pretraining.feed import Feed
from keras_albert.pretraining.logs import write_logs
from keras_albert.pretraining.progress import PretrainingProgress
from keras_albert.pretraining.records import read_dataset
from keras_albert.tasks.pretrainer import AlbertPretrainer

MODEL_FOLDER = "model"
LOGS_FOLDER = "logs"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
# Those of the bundled preset.
DEFAULT_SIZES = {
    "hidden_dim": 256,
    "num_layers": 4,
    "num_heads": 4,
    "embedding_dim": 128,
    "intermediate_dim": 1024,
}
# Learning rate at a batch size, and the power of the batch size that it goes
# by. LAMB: the original's settings and the square-root scaling of the LAMB
# paper (section 4). AdamW: found with the bundled preset, see
# docs/pretraining.md.
_LEARNING_RATES = {"lamb": (0.00176, 4096, 0.5), "adamw": (1e-3, 32, 0.5)}
OPTIMIZERS = tuple(_LEARNING_RATES)
WEIGHT_DECAY = 0.01
GLOBAL_CLIPNORM = 1.0
# Enough to tell models apart, and few enough to cost little.
DEV_EXAMPLES = 2048


def default_learning_rate(optimizer, batch_size):
    """The learning rate that fits a batch size.

    Args:
        optimizer: string, one of `OPTIMIZERS`.
        batch_size: int, examples of an optimizer's step.
    """
    rate, reference, power = _LEARNING_RATES[optimizer]
    return rate * (batch_size / reference) ** power


def pretrain(
    data,
    vocabulary,
    output_dir,
    *,
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
    dtype=None,
    rematerialize=False,
    seed=0,
    resume=False,
    stream=None,
):
    """Pretrains ALBERT on prepared data, from random weights.

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

    Args:
        data: string or path, a folder of `prepare-pretraining`.
        vocabulary: string or path of the SentencePiece model that the data
            was prepared with.
        output_dir: string or path, a folder.
        sizes: dictionary of `AlbertBackbone` arguments; `DEFAULT_SIZES` for
            those that are left out.
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
        dtype: dtype policy, such as `"mixed_bfloat16"`, `"mixed_float16"`
            (with loss scaling). Keras's default by default.
        rematerialize: bool. Whether the encoder's layers are computed again
            for the gradient in place of kept: less memory, a third slower.
        seed: int, of weights, data and dropout.
        resume: bool. Whether to continue a run that was interrupted. Starts
            afresh when the folder holds none; does nothing when it is done.
        stream: text stream for the progress, stderr by default.

    Returns:
        dictionary, the content of `metrics.json`: the last row of the
        history, and the run's settings and size.

    Raises:
        ValueError: if arguments contradict each other, the data or the run
            in the folder; or the loss is not finite, or diverged.
        OSError: if data are missing, the folder cannot be written, or another
            run writes to it.
    """
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
        "dropout": dropout,
        "dtype": keras.dtype_policies.get(
            dtype or keras.config.dtype_policy()
        ).name,
        "rematerialize": rematerialize,
        "sizes": {**DEFAULT_SIZES, **(sizes or {})},
    }
    _check(settings)
    if learning_rate is None:
        settings["learning_rate"] = default_learning_rate(optimizer, batch_size)
    if not os.path.isfile(vocabulary):
        raise FileNotFoundError(
            "The vocabulary must be the file of a SentencePiece model. "
            f"There is no file {vocabulary}; check the path."
        )
    dataset = read_dataset(data)
    tokenizer = AlbertTokenizer(os.fspath(vocabulary))
    dataset.check_vocabulary(tokenizer.proto)
    settings["data"] = _fingerprint(dataset)
    with locked_folder(output_dir) as folder:
        checkpoint = Checkpoint(folder)
        progress = checkpoint.load_progress() if resume else None
        _check_folder(folder, resume, progress, settings)
        _remove_leftovers(folder)
        if progress is not None and _is_finished(folder, progress):
            with open(_file(folder, METRICS_FILE), encoding="utf-8") as file:
                return json.load(file)
        return _Run(folder, checkpoint, dataset, tokenizer, settings).run(
            progress, stream
        )


class _Run:
    """One call of `pretrain`, once it is clear what is to be done."""

    def __init__(self, folder, checkpoint, dataset, tokenizer, settings):
        self.folder = folder
        self.checkpoint = checkpoint
        self.settings = settings
        self.dataset = dataset
        options = {
            "batch_size": settings["batch_size"] // settings["accumulate"],
            "sequence_length": settings["sequence_length"],
            "mask_rate": settings["mask_rate"],
        }
        self.train = PretrainingBatches(
            dataset, tokenizer, seed=settings["seed"], **options
        )
        self.train.check_not_empty()
        self.dev = None
        if dataset.splits["dev"]:
            # The same masks for whatever seed a model was trained with.
            dev = PretrainingBatches(dataset, tokenizer, split="dev", **options)
            self.dev = dev.first_examples(DEV_EXAMPLES)
        self.schedule = _schedule(settings)
        self.model = self._model(tokenizer)

    def _model(self, tokenizer):
        settings = self.settings
        keras.utils.set_random_seed(settings["seed"])
        with contextlib.ExitStack() as stack:
            if settings["rematerialize"]:
                stack.enter_context(_remat_scope(settings["sizes"]))
            backbone = AlbertBackbone(
                vocabulary_size=tokenizer.vocabulary_size(),
                max_sequence_length=max(512, settings["sequence_length"]),
                dropout=settings["dropout"],
                attention_dropout=settings["dropout"],
                dtype=settings["dtype"],
                **settings["sizes"],
            )
        model = AlbertPretrainer(
            backbone,
            preprocessor=AlbertPretrainerPreprocessor(
                tokenizer,
                sequence_length=settings["sequence_length"],
                mask_rate=settings["mask_rate"],
            ),
            compile=False,
        )
        model.compile(
            optimizer=_optimizer(settings, self.schedule),
            jit_compile=_jit_compile(),
        )
        model.optimizer.build(model.trainable_variables)
        model.seed_dropout(settings["seed"])
        return model

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def run(self, progress, stream):
        self.history, position = [], Position()
        if progress is not None:
            self.history = progress["history"]
            position = Position(**progress["position"])
            self.checkpoint.load_variables(self._variables())
        self.feed = Feed(self.train, position)
        guessing = math.log(self.model.backbone.vocabulary_size) + math.log(2)
        self.shown = PretrainingProgress(
            self.settings["steps"],
            self.settings["accumulate"],
            self.feed,
            guessing,
            self._step,
            stream,
        )
        self.shown.open(self._step())
        try:
            every, steps = (
                self.settings[name] for name in ("checkpoint_every", "steps")
            )
            self._fit(steps // every, every)
            self._fit(steps // every + 1, steps % every)
        finally:
            self.shown.close()
        return self._finish()

    def _step(self):
        return self.history[-1]["step"] if self.history else 0

    def _fit(self, intervals, steps):
        """Trains up to so many intervals, of so many steps each."""
        if not steps or len(self.history) >= intervals:
            return
        self.feed = self.shown.feed = Feed(self.train, self.feed.position)
        began = keras.callbacks.LambdaCallback(
            on_epoch_begin=self._begin_interval, on_epoch_end=self._end_interval
        )
        try:
            # KerasHub's own `fit` takes no generators, which have no
            # preprocessing to do.
            keras.Model.fit(
                self.model,
                iter(self.feed),
                initial_epoch=len(self.history),
                epochs=intervals,
                steps_per_epoch=steps * self.settings["accumulate"],
                validation_data=self.dev,
                shuffle=False,  # they are; Keras would warn of it
                verbose=0,
                callbacks=[self.shown, began],
            )
        except Exception as error:
            if self.feed.error is not None:
                raise self.feed.error from error
            raise

    def _begin_interval(self, interval, logs):
        self._began, self._tokens = time.perf_counter(), self.feed.tokens
        if keras.backend.backend() == "torch":
            # Dropout there draws from the process's generator, while
            # elsewhere its state is among the model's variables.
            keras.utils.set_random_seed(self.settings["seed"] + interval)

    def _end_interval(self, interval, logs):
        self.shown.check(logs)
        step = self.shown.step
        tokens = self.feed.tokens - self._tokens
        former = self.history[-1] if self.history else {}
        self.history.append(
            {
                "step": step,
                "epoch": self.feed.position.epoch,
                "tokens": former.get("tokens", 0) + tokens,
                **{name: float(value) for name, value in logs.items()},
                "learning_rate": float(
                    self.schedule(step * self.settings["accumulate"] - 1)
                ),
                "seconds": round(time.perf_counter() - self._began, 3),
            }
        )
        self.checkpoint.save(
            {
                "settings": self.settings,
                "position": vars(self.feed.position),
                "history": self.history,
            },
            self._variables(),
        )
        self._save_model()
        self._write_history()
        write_logs(
            _file(self.folder, LOGS_FOLDER), self.history[-1], self.shown.curve
        )
        self.shown.say(self._line(self.history[-1]))

    def _line(self, row):
        parts = [
            f"step {row['step']:,}/{self.settings['steps']:,}",
            f"loss {row['loss']:.4f}",
        ]
        if self.dev is not None:
            parts.append(
                f"dev: loss {row['val_loss']:.4f}, masked accuracy "
                f"{row['val_mlm_accuracy']:.4f}, order accuracy "
                f"{row['val_sop_accuracy']:.4f}"
            )
        return "; ".join([*parts, self.shown.speed()])

    def _save_model(self):
        self.model.backbone.learning_rate = PRETRAINED_LEARNING_RATE
        self.model.save_to_preset(_file(self.folder, MODEL_FOLDER))

    def _write_history(self):
        with _text_file(_file(self.folder, HISTORY_FILE)) as file:
            writer = csv.DictWriter(file, fieldnames=list(self.history[0]))
            writer.writeheader()
            writer.writerows(self.history)

    def _finish(self):
        # What was killed after its last checkpoint comes here, too.
        self._save_model()
        self._write_history()
        seconds = sum(row["seconds"] for row in self.history)
        tokens = self.history[-1]["tokens"]
        metrics = {
            **self.history[-1],
            "seconds": round(seconds, 1),
            "tokens_per_second": round(tokens / seconds, 1),
            "parameters": self.model.count_params(),
            **{
                name: value
                for name, value in self.settings.items()
                if name not in ("sizes", "data", "steps")
            },
            **self.settings["sizes"],
        }
        with _text_file(_file(self.folder, METRICS_FILE)) as file:
            json.dump(metrics, file, indent=1)
            file.write("\n")
        return metrics


def _check(settings):
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
    if settings["optimizer"] not in OPTIMIZERS:
        raise ValueError(
            f"`optimizer` must be one of {', '.join(OPTIMIZERS)}. Received: "
            f"{settings['optimizer']!r}."
        )
    if not 0.0 <= settings["warmup"] <= 1.0:
        raise ValueError(
            "`warmup` must lie between 0 and 1. Received: "
            f"{settings['warmup']}."
        )


def _schedule(settings):
    # An optimizer that accumulates counts the parts.
    batches = settings["steps"] * settings["accumulate"]
    return WarmupPolynomialDecay(
        settings["learning_rate"],
        batches,
        round(settings["warmup"] * batches),
    )


def _optimizer(settings, schedule):
    common = {
        "learning_rate": schedule,
        "global_clipnorm": GLOBAL_CLIPNORM,
        "gradient_accumulation_steps": (
            settings["accumulate"] if settings["accumulate"] > 1 else None
        ),
    }
    if settings["optimizer"] == "lamb":
        optimizer = AlbertLAMB(weight_decay_rate=WEIGHT_DECAY, **common)
    else:
        optimizer = keras.optimizers.AdamW(weight_decay=WEIGHT_DECAY, **common)
        optimizer.exclude_from_weight_decay(var_names=list(NOT_ADAPTED))
    if settings["dtype"] == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _jit_compile():
    """Whether Keras compiles by XLA: on JAX only."""
    return keras.backend.backend() == "jax"


def _remat_scope(sizes):
    groups = sizes.get("num_groups", 1)
    inner_layers = sizes.get("num_inner_repetitions", 1)
    return keras.RematScope(
        mode="list_of_layers",
        layer_names=[
            f"group_{group}_inner_layer_{inner}"
            for group in range(groups)
            for inner in range(inner_layers)
        ],
    )


def _fingerprint(dataset):
    shards = [[s.sha256 for s in part] for part in dataset.splits.values()]
    return hashlib.sha256(json.dumps(shards).encode()).hexdigest()[:16]


def _file(folder, name):
    return os.path.join(folder, name)


@contextlib.contextmanager
def _text_file(path):
    with (
        whole_file(path) as partial,
        open(partial, "w", encoding="utf-8", newline="") as file,
    ):
        yield file


def _check_folder(folder, resume, progress, settings):
    held = [
        name
        for name in (CHECKPOINT_FILE, MODEL_FOLDER, METRICS_FILE, HISTORY_FILE)
        if os.path.exists(_file(folder, name))
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
        and os.path.isfile(_file(folder, METRICS_FILE))
        and os.path.isdir(_file(folder, MODEL_FOLDER))
    )


def _remove_leftovers(folder):
    """Removes what a killed process was in the middle of writing."""
    for ending in ("partial", "former"):
        for path in glob.glob(f".{MODEL_FOLDER}.*.{ending}", root_dir=folder):
            shutil.rmtree(_file(folder, path), ignore_errors=True)
    for path in glob.glob("*.partial", root_dir=folder):
        os.remove(_file(folder, path))
