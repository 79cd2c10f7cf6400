"""A pretraining run in its folder: fits, measures, keeps what it reached."""

import contextlib
import csv
import json
import math
import os
import time

import keras

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.pretrainer import AlbertPretrainerPreprocessor
from keras_albert.presets.loading import PRETRAINED_LEARNING_RATE
from keras_albert.presets.saving import whole_file
from keras_albert.pretraining.dataset import Position, PretrainingBatches
from keras_albert.pretraining.feed import Feed
from keras_albert.pretraining.logs import write_logs
from keras_albert.pretraining.optimization import make_optimizer, make_schedule
from keras_albert.pretraining.progress import PretrainingProgress
from keras_albert.tasks.pretrainer import AlbertPretrainer

MODEL_FOLDER = "model"
LOGS_FOLDER = "logs"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
# Enough to tell models apart, and few enough to cost little.
DEV_EXAMPLES = 2048


class PretrainingRun:
    """One call of `pretrain`, once it is clear what is to be done.

    Args:
        folder: string, path of the run folder.
        checkpoint: its `Checkpoint`.
        dataset: a `PreparedDataset`.
        tokenizer: an `AlbertTokenizer`.
        settings: dictionary of the arguments of `pretrain`.
    """

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
        self.schedule = make_schedule(settings)
        self.model = self._model(tokenizer)

    def _model(self, tokenizer):
        settings = self.settings
        keras.utils.set_random_seed(settings["seed"])
        preset = settings["preset"]
        rates = dict.fromkeys(
            ("dropout", "attention_dropout"), settings["dropout"]
        )
        if preset is not None:
            backbone = AlbertBackbone.from_preset(
                preset, dtype=settings["dtype"], **rates
            )
        else:
            backbone = AlbertBackbone(
                vocabulary_size=tokenizer.vocabulary_size(),
                max_sequence_length=max(512, settings["sequence_length"]),
                dtype=settings["dtype"],
                **rates,
                **settings["sizes"],
            )
        for group in backbone.transformer_layers:
            for layer in group:
                layer.rematerialize = settings["rematerialize"]
        parts = {
            "backbone": backbone,
            "preprocessor": AlbertPretrainerPreprocessor(
                tokenizer,
                sequence_length=settings["sequence_length"],
                mask_rate=settings["mask_rate"],
            ),
            "compile": False,
        }
        if preset is None:
            model = AlbertPretrainer(**parts)
        else:
            model = AlbertPretrainer.from_preset(preset, **parts)
        model.compile(
            optimizer=make_optimizer(settings, self.schedule),
            jit_compile=settings["jit_compile"],
        )
        model.optimizer.build(model.trainable_variables)
        model.seed_dropout(settings["seed"])
        return model

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def run(self, progress, stream):
        """Trains to the end.

        Args:
            progress: what the checkpoint holds, `None` to begin.
            stream: text stream, see `PretrainingProgress`.

        Returns:
            dictionary, the metrics.
        """
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
            on_epoch_begin=self._begin_interval,
            on_train_batch_begin=self._begin_batch,
            on_epoch_end=self._end_interval,
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

    def _begin_batch(self, batch, logs=None):
        if batch == 0 and keras.backend.backend() == "torch":
            # Dropout there draws from the process's generator, while
            # elsewhere its state is among the model's variables. Torch's
            # loader draws from it, too, when `fit` asks for the first batch.
            interval = len(self.history)
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
        # Before the checkpoint: a step that is done again is logged again.
        write_logs(
            _file(self.folder, LOGS_FOLDER), self.history[-1], self.shown.curve
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


def _file(folder, name):
    return os.path.join(folder, name)


@contextlib.contextmanager
def _text_file(path):
    with (
        whole_file(path) as partial,
        open(partial, "w", encoding="utf-8", newline="") as file,
    ):
        yield file
