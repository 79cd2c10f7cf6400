"""GLUE: each task and seed trained, scored and predicted, the last model."""

import contextlib
import dataclasses
import functools
import json
import os
import sys

import keras
import numpy as np

from keras_albert.data.glue import TASKS, read_task, submission, tasks_in
from keras_albert.metrics.f1 import SparseF1Score
from keras_albert.metrics.matthews import MatthewsCorrelation
from keras_albert.metrics.pearson import PearsonCorrelation
from keras_albert.metrics.spearman import SpearmanCorrelation
from keras_albert.presets.locking import locked_folder
from keras_albert.presets.saving import whole_file
from keras_albert.tasks.loading import load_preset
from keras_albert.training.evaluation import evaluate_classifier, result_of
from keras_albert.training.fine_tune import (
    architecture,
    check_recipe,
    fine_tune,
)
from keras_albert.training.fingerprint import fingerprint
from keras_albert.training.glue_report import results_of, write_results
from keras_albert.training.run_folder import MODEL_FOLDER, RunFolder
from keras_albert.training.text_classification import make_classifier

SEEDS = (0, 1, 2)
RESULT_FILE = "result.json"
# What is in it; metrics are null until the run is finished.
_RESULT = {
    "settings": dict,
    "metrics": (dict, type(None)),
    "predictions": dict,
}
SUBMISSION_FOLDER = "submission"
# Test texts are packed to full length: so many at a time.
_TEXTS_A_CALL = 10_000


@dataclasses.dataclass(frozen=True)
class GlueRecipe:
    """How a task is trained.

    Attributes:
        batch_size: int, examples.
        learning_rate: float, the highest.
        steps: int; or `None`, and `epochs` are given.
        warmup: float, the part of all steps that the rate rises for.
        epochs: int or `None`.
    """

    batch_size: int
    learning_rate: float
    steps: int | None
    warmup: float
    epochs: int | None = None


def _original(batch_size, learning_rate, steps, warmup_steps):
    return GlueRecipe(batch_size, learning_rate, steps, warmup_steps / steps)


# google-research/albert, `run_glue.sh`; WNLI: Lan et al. 2019, table 14.
RECIPES = {
    "CoLA": _original(16, 1e-5, 5336, 320),
    "SST-2": _original(32, 1e-5, 20935, 1256),
    "MRPC": _original(32, 2e-5, 800, 200),
    "STS-B": _original(16, 2e-5, 3598, 214),
    "QQP": _original(128, 5e-5, 14000, 1000),
    "MNLI": _original(128, 3e-5, 10000, 1000),
    "QNLI": _original(32, 1e-5, 33112, 1986),
    "RTE": _original(32, 3e-5, 800, 200),
    "WNLI": _original(16, 2e-5, 2000, 250),
}


@dataclasses.dataclass(frozen=True)
class DevSets:
    """The dev splits of a task, as `evaluate_glue` takes them.

    Attributes:
        sets: dictionary of pairs of texts and targets; by `""` for tasks
            with one.
    """

    sets: dict

    def __len__(self):
        return sum(len(texts) for texts, _ in self.sets.values())


def run_glue(
    data,
    output_dir,
    *,
    tasks=None,
    seeds=SEEDS,
    rows=None,
    model=None,
    recipe=None,
    stream=None,
):
    """Fine-tunes a model on GLUE's tasks, from several seeds.

    The folder then holds `results.md` and `results.json`, as
    `submission/seed-N/` the predictions for the test splits that there are,
    with GLUE's names, and a folder `TASK/seed-N` for each run, with
    `model`, `result.json` and what else `fine_tune` writes. The model of a
    run is that of its last step, never the best one on the dev split. Runs
    that are finished are not trained again; one that was interrupted goes on
    from its last epoch.

    Args:
        data: path, the folder of GLUE's tasks.
        output_dir: string or path, a folder.
        tasks: names of tasks. `None`: all that are in the folder.
        seeds: ints, of fresh weights, dropout and order.
        rows: int, the most training rows of a task, drawn at random, the
            same ones for all seeds. All by default.
        model: dictionary of arguments of `make_classifier`.
        recipe: dictionary of attributes of `GlueRecipe`, for all tasks, in
            place of the original's (`RECIPES`).
        stream: text stream for the progress, stderr by default.

    Returns:
        dictionary, the content of `results.json`, see
        `keras_albert.training.glue_report.results_of`.

    Raises:
        ValueError: if arguments or files are not as described, or a run in
            the folder was made with other settings.
        OSError: if a file is not there, or the folder cannot be written.
    """
    names = tasks_in(data) if tasks is None else list(dict.fromkeys(tasks))
    seeds = list(dict.fromkeys(seeds))
    recipes = {name: _recipe(name, recipe or {}) for name in names}
    _check(names, seeds, recipes)
    start = dict(model or {})
    # All files, before anything is trained.
    read = {name: read_task(data, name, rows) for name in names}
    with locked_folder(output_dir) as output:
        settings = {
            "backend": keras.backend.backend(),
            "start": _digest_of_start(start),
        }
        runs = {name: {} for name in names}
        for name in names:
            for seed in seeds:
                run = _Run(
                    output, TASKS[name], seed, recipes[name], read[name], start
                )
                runs[name][seed] = run.result(settings, stream)
                results = results_of(runs, read, recipes, start, rows)
                write_results(output, results)
    return results


def score_glue(task, values, targets):
    """The official metrics of a task, by name.

    Args:
        task: a `keras_albert.data.glue.GlueTask`.
        values: `(texts, classes)` float, the largest of which is the class;
            `(texts, 1)` float scores.
        targets: `(texts,)` int classes, or float scores.

    Returns:
        dictionary of floats.
    """
    metrics = {
        "matthews": MatthewsCorrelation,
        "f1": SparseF1Score,
        "accuracy": keras.metrics.SparseCategoricalAccuracy,
        "pearson": PearsonCorrelation,
        "spearman": functools.partial(SpearmanCorrelation, len(targets)),
    }
    if task.labels is not None:
        classes = {"num_classes": len(task.labels)}
        for name in ("matthews", "f1"):
            metrics[name] = functools.partial(metrics[name], **classes)
    return {
        name: result_of(metrics[name](), values, targets)
        for name in task.metrics
    }


def evaluate_glue(task, model, dev, batch_size=None):
    """Predicts the dev splits of a task, and scores the outputs.

    Args:
        task: a `keras_albert.data.glue.GlueTask`.
        model: a compiled `AlbertTextClassifier`.
        dev: a `DevSets`.
        batch_size: ignored: as many texts as have 1,024 tokens are computed
            together.

    Returns:
        dictionary of floats, the official metrics, after the name of the
        split where there are several: `"matched_accuracy"`; and `"loss"`.
    """
    metrics, losses = {}, []
    for split, examples in dev.sets.items():
        of_split = evaluate_classifier(
            model,
            examples,
            batch_size=None,
            score=lambda _, *outputs: score_glue(task, *outputs),
        )
        losses.append(of_split.pop("loss"))
        for name, value in of_split.items():
            metrics[f"{split}_{name}" if split else name] = value
    return {**metrics, "loss": float(np.mean(losses))}


def _recipe(name, given):
    if name not in RECIPES:
        raise ValueError(
            f"Tasks must be some of {', '.join(RECIPES)}. Received: {name!r}."
        )
    given = {key: value for key, value in given.items() if value is not None}
    if "steps" in given and "epochs" in given:
        raise ValueError(
            "There must be a number of steps, or of epochs. Received both: "
            f"{given['steps']} steps, {given['epochs']} epochs."
        )
    if "epochs" in given:
        given["steps"] = None
    return dataclasses.replace(RECIPES[name], **given)


def _check(names, seeds, recipes):
    if not names or not seeds:
        raise ValueError(
            f"There must be at least one task and one seed. Received: {names}, "
            f"{seeds}."
        )
    for seed in seeds:
        check_recipe(seed=seed)
    for recipe in recipes.values():
        check_recipe(
            epochs=recipe.epochs,
            steps=recipe.steps,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            warmup=recipe.warmup,
        )


def _digest_of_start(start):
    """Tells the models apart that runs start from, weights and all."""
    model = make_classifier(labels=None, seed=0, **start)
    weights = [
        keras.ops.convert_to_numpy(weight) for weight in model.backbone.weights
    ]
    vocabulary = model.preprocessor.tokenizer.get_vocabulary()
    return fingerprint(
        [
            architecture(model),
            weights,
            vocabulary,
            model.preprocessor.sequence_length,
        ]
    )


class _Run:
    """One task, trained from one seed."""

    def __init__(self, output, task, seed, recipe, data, start):
        self.task = task
        self.seed = seed
        self.recipe = recipe
        self.data = data
        self.start = start
        self.folder = os.path.join(output, task.name, f"seed-{seed}")
        self.submission = os.path.join(
            output, SUBMISSION_FOLDER, f"seed-{seed}"
        )
        self.path = os.path.join(self.folder, RESULT_FILE)

    def result(self, settings, stream):
        """The run's result: of before, or of now."""
        settings = {
            **settings,
            "seed": self.seed,
            **dataclasses.asdict(self.recipe),
            "train_data": _data_digest(self.data.train),
            "dev_data": fingerprint(
                [_data_digest(dev) for dev in self.data.dev.values()]
            ),
        }
        result = self._read()
        if result is None:
            result = {"settings": settings, "metrics": None, "predictions": {}}
        self._check_settings(result["settings"], settings)
        place = f"{self.task.name}, seed {self.seed}"
        if result["metrics"] is not None:
            _say(f"{place}: finished before", stream)
        else:
            _say(place, stream)
            # Before the first epoch is kept: what goes on must be the same.
            self._write(result)
            # What graphs and names former runs left behind.
            keras.utils.clear_session()
            result["metrics"] = self._train(stream)
            self._write(result)
        if self._predict(result["predictions"]):
            self._write(result)
        return result

    def _train(self, stream):
        task = self.task
        recipe = self.recipe
        dev = {
            name: (examples.texts, examples.targets)
            for name, examples in self.data.dev.items()
        }
        first = next(iter(dev))
        monitor = f"{first}_{task.metrics[0]}" if first else task.metrics[0]
        return fine_tune(
            make_classifier(
                labels=None if task.labels is None else list(task.labels),
                seed=self.seed,
                **self.start,
            ),
            (self.data.train.texts, self.data.train.targets),
            DevSets(dev),
            self.folder,
            # Steps, where there are some, say how many.
            epochs=recipe.epochs or 1,
            steps=recipe.steps,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            warmup=recipe.warmup,
            keep="last",
            seed=self.seed,
            resume=True,
            monitor=monitor,
            evaluate=functools.partial(evaluate_glue, task),
            stream=stream,
        )

    def _predict(self, done):
        """Writes the predictions that are missing; whether there were any."""
        missing = {}
        for name, examples in self.data.tests.items():
            path = os.path.join(self.submission, f"{name}.tsv")
            digest = _data_digest(examples)
            if done.get(name) != digest or not os.path.isfile(path):
                missing[name] = (path, examples, digest)
        if not missing:
            return False
        model = load_preset(os.path.join(self.folder, MODEL_FOLDER))
        os.makedirs(self.submission, exist_ok=True)
        for name, (path, examples, digest) in missing.items():
            values = _values(model, examples.texts)
            with (
                whole_file(path) as partial,
                open(partial, "w", encoding="utf-8") as file,
            ):
                file.write(submission(self.task, examples.index, values))
            done[name] = digest
        return True

    def _read(self):
        """What was written before; `None`: nothing that is to be kept."""
        if not os.path.isfile(self.path):
            return None
        with contextlib.suppress(ValueError):
            with open(self.path, encoding="utf-8") as file:
                result = json.load(file)
            if isinstance(result, dict) and all(
                isinstance(result.get(name), kinds)
                for name, kinds in _RESULT.items()
            ):
                run = RunFolder(self.folder)
                is_begun = result["metrics"] or run.holds_a_run()
                return result if is_begun else None
        raise ValueError(
            f"{self.path} must be what a finished run wrote. It is damaged; "
            f"remove {self.folder} to train again."
        )

    def _write(self, result):
        os.makedirs(self.folder, exist_ok=True)
        with (
            whole_file(self.path) as partial,
            open(partial, "w", encoding="utf-8") as file,
        ):
            json.dump(result, file, indent=1)
            file.write("\n")

    def _check_settings(self, former, settings):
        for name, value in settings.items():
            if former.get(name) != value:
                raise ValueError(
                    "Runs in one folder must be made with the same settings. "
                    f"{self.folder} was made with {name} {former.get(name)}, "
                    f"this one has {name} {value}; use the former ones, "
                    "another folder, or remove that one."
                )


def _say(line, stream):
    print(line, file=sys.stderr if stream is None else stream, flush=True)


def _values(model, texts):
    """`(texts, classes)` float, what a model gives for texts."""
    parts = [
        model.probabilities(
            model.predict_by_length(texts[start : start + _TEXTS_A_CALL])
        )
        for start in range(0, len(texts), _TEXTS_A_CALL)
    ]
    return np.concatenate([keras.ops.convert_to_numpy(x) for x in parts])


def _data_digest(examples):
    return fingerprint([examples.texts, examples.targets, examples.index])
