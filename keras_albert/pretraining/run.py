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
        cluster: a `Cluster`, what the run trains on.
    """

    def __init__(
        self, folder, checkpoint, dataset, tokenizer, settings, cluster
    ):
        self.folder = folder
        self.checkpoint = checkpoint
        self.settings = settings
        self.dataset = dataset
        self.cluster = cluster
        cluster.together(lambda: self._read(dataset, tokenizer))
        self.schedule = make_schedule(settings)
        # What is divided is put together in another model, to be saved.
        self.saved_model = None
        if cluster.is_first and cluster.divides_between_processes:
            self.saved_model = self._model(tokenizer)
        with cluster.scope():
            self.model = self._model(tokenizer)
            self._compile()

    def _read(self, dataset, tokenizer):
        settings, cluster = self.settings, self.cluster
        rows = settings["batch_size"] // settings["accumulate"]
        options = {
            "sequence_length": settings["sequence_length"],
            "mask_rate": settings["mask_rate"],
        }
        self.train = PretrainingBatches(
            dataset,
            tokenizer,
            batch_size=rows // cluster.readers,
            seed=settings["seed"],
            process=cluster.reader,
            processes=cluster.readers,
            **options,
        )
        self.train.check_not_empty()
        self.dev = None
        if dataset.splits["dev"]:
            # The same masks for whatever seed a model was trained with, and
            # the same batches for however many processes.
            dev = PretrainingBatches(
                dataset, tokenizer, batch_size=rows, split="dev", **options
            )
            part = None if cluster.replicas == 1 else cluster.reader
            self.dev = dev.first_examples(DEV_EXAMPLES, part, cluster.readers)

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
            return AlbertPretrainer(**parts)
        return AlbertPretrainer.from_preset(preset, **parts)

    def _compile(self):
        mirrored, loss = self.cluster.mirrored, "auto"
        if mirrored > 1:
            from keras_albert.pretraining.mirrored import MeanOverReplicas

            loss = {"mlm": MeanOverReplicas(), "sop": MeanOverReplicas()}
        self.model.compile(
            optimizer=make_optimizer(self.settings, self.schedule, mirrored),
            loss=loss,
            loss_weights=self._loss_weights(),
            jit_compile=self.settings["jit_compile"],
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.model.seed_dropout(self.settings["seed"])

    def _loss_weights(self):
        weight = self.settings["order_weight"]
        return {"mlm": 1.0 / max(weight, 1.0), "sop": min(weight, 1.0)}

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
        with self.cluster.scope():
            return self._run(progress, stream)

    def _run(self, progress, stream):
        self.history, position = [], Position()
        if progress is not None:
            self.history = progress["history"]
            positions = progress["position"]
            if isinstance(positions, dict):
                # Of a run from before there were several readers.
                positions = [positions]
            position = Position(**positions[self.cluster.reader])
            self._load()
        self.feed = Feed(self.train, position)
        weights = self._loss_weights()
        guessing = weights["mlm"] * math.log(
            self.model.backbone.vocabulary_size
        ) + weights["sop"] * math.log(2)
        self.shown = PretrainingProgress(
            self.settings["steps"],
            self.settings["accumulate"],
            self.feed,
            guessing,
            self._step,
            self.cluster,
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

    def _load(self):
        def read():
            if self.cluster.is_first:
                return self.checkpoint.load_arrays(self._variables())

        self.cluster.assign(self._variables(), self.cluster.together(read))

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
        is_mirrored = self.cluster.mirrored > 1
        try:
            # KerasHub's own `fit` takes no generators, which have no
            # preprocessing to do.
            keras.Model.fit(
                self.model,
                self.feed.dataset() if is_mirrored else iter(self.feed),
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
        readers = self._readers()
        tokens = sum(reader["tokens"] for reader in readers)
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
        arrays = self.cluster.arrays(self._variables())
        if not self.cluster.is_first:
            return
        # Before the checkpoint: a step that is done again is logged again.
        write_logs(
            _file(self.folder, LOGS_FOLDER), self.history[-1], self.shown.curve
        )
        self.checkpoint.save(
            {
                "settings": self.settings,
                "position": [reader["position"] for reader in readers],
                "history": self.history,
            },
            arrays,
        )
        self._save_model(arrays)
        self._write_history()
        self.shown.say(self._line(self.history[-1]))

    def _readers(self):
        """What each reader has read in this interval, and where it is."""
        here = {
            "reader": self.cluster.reader,
            "position": vars(self.feed.position),
            "tokens": self.feed.tokens - self._tokens,
        }
        readers = {x["reader"]: x for x in self.cluster.gather(here)}
        return [readers[index] for index in range(self.cluster.readers)]

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

    def _save_model(self, arrays):
        model = self.model
        if self.saved_model is not None:
            model = self.saved_model
            # Those of the optimizer come after the model's.
            for variable, array in zip(model.variables, arrays, strict=False):
                variable.assign(array)
        model.backbone.learning_rate = PRETRAINED_LEARNING_RATE
        model.save_to_preset(_file(self.folder, MODEL_FOLDER))

    def _write_history(self):
        with _text_file(_file(self.folder, HISTORY_FILE)) as file:
            writer = csv.DictWriter(file, fieldnames=list(self.history[0]))
            writer.writeheader()
            writer.writerows(self.history)

    def _finish(self):
        # What was killed after its last checkpoint comes here, too.
        arrays = self.cluster.arrays(self._variables())
        metrics = self._write_results(arrays) if self.cluster.is_first else None
        # Others must not leave before, nor go on as if it had not failed.
        return self.cluster.gather(metrics)[0]

    def _write_results(self, arrays):
        self._save_model(arrays)
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
