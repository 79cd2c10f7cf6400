"""GLUE's results over seeds, and the tables that tell of them."""

import dataclasses
import json
import os
import statistics

from keras_albert.data.glue import TASKS
from keras_albert.presets.saving import whole_file
from keras_albert.version import __version__

RESULTS_FILE = "results.json"
REPORT_FILE = "results.md"


def results_of(runs, data, recipes, model, rows):
    """What runs gave, over their seeds.

    Args:
        runs: dictionary of dictionaries: what runs wrote as `result.json`,
            by task and seed. Tasks without runs are left out.
        data: dictionary of `keras_albert.data.glue.TaskData` by task.
        recipes: dictionary of `keras_albert.training.glue.GlueRecipe`.
        model: dictionary of the arguments that models were made with.
        rows: int or `None`, the most training rows of a task.

    Returns:
        dictionary: `"version"`, `"backend"`, `"model"`, `"rows"`; `"tasks"`:
        by name `"metrics"` (by name `"mean"`, `"sd"`, the standard deviation
        over seeds, divided by their number less one, `None` for one seed,
        and `"values"` by seed), `"recipe"`, `"steps"`, `"parameters"`,
        `"seconds"` (training and evaluation, all seeds), `"train_rows"`,
        `"dev_rows"`, `"left_out_rows"`, `"predictions"`, `"no_test_data"`;
        and `"average"`, GLUE's score: the mean over tasks of each task's
        mean metric, `None` unless all nine tasks are there.
    """
    tasks = {
        name: _task_results(name, of_task, data[name], recipes[name])
        for name, of_task in runs.items()
        if of_task
    }
    first = next(iter(next(iter(filter(None, runs.values()))).values()))
    average = None
    if set(tasks) == set(TASKS):
        average = statistics.mean(
            statistics.mean(x["mean"] for x in task["metrics"].values())
            for task in tasks.values()
        )
    return {
        "version": __version__,
        "backend": first["settings"]["backend"],
        "model": {key: x for key, x in model.items() if x not in (None, {})},
        "rows": rows,
        "tasks": tasks,
        "average": average,
    }


def _task_results(name, of_task, data, recipe):
    metrics = [result["metrics"] for result in of_task.values()]
    splits = data.dev
    names = [
        f"{split}_{metric}" if split else metric
        for split in splits
        for metric in TASKS[name].metrics
    ]
    return {
        "metrics": {
            metric: {
                **spread([result[metric] for result in metrics]),
                "values": {
                    str(seed): result["metrics"][metric]
                    for seed, result in of_task.items()
                },
            }
            for metric in names
        },
        "recipe": dataclasses.asdict(recipe),
        "steps": metrics[0]["steps"],
        "parameters": metrics[0]["parameters"],
        "seconds": round(sum(result["seconds"] for result in metrics), 1),
        "train_rows": len(data.train),
        "dev_rows": {split: len(dev) for split, dev in splits.items()},
        "left_out_rows": data.train.left_out
        + sum(dev.left_out for dev in splits.values()),
        "predictions": {test: len(x) for test, x in data.tests.items()},
        "no_test_data": data.missing,
    }


def spread(values):
    """Mean and standard deviation of a metric over seeds.

    Args:
        values: list of floats.

    Returns:
        dictionary of `"mean"` and `"sd"`, `None` of one value.
    """
    return {
        "mean": statistics.mean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
    }


def in_points(of_metric):
    """Mean ± standard deviation in hundredths, as GLUE's site has them.

    Args:
        of_metric: dictionary, see `spread`.
    """
    shown = f"{100 * of_metric['mean']:.1f}"
    if of_metric["sd"] is None:
        return shown
    return f"{shown} ± {100 * of_metric['sd']:.1f}"


def write_results(folder, results):
    """Writes `results.json` and `results.md`.

    Args:
        folder: string.
        results: dictionary, see `results_of`.
    """
    for name, text in (
        (RESULTS_FILE, json.dumps(results, indent=1) + "\n"),
        (REPORT_FILE, report(results)),
    ):
        with (
            whole_file(os.path.join(folder, name)) as partial,
            open(partial, "w", encoding="utf-8") as file,
        ):
            file.write(text)


def report(results):
    """The results in Markdown.

    Args:
        results: dictionary, see `results_of`.
    """
    model = dict(results["model"])
    model |= model.pop("sizes", {})
    start = ", ".join(f"`{k}={x}`" for k, x in model.items())
    rows = results["rows"]
    lines = [
        "# GLUE",
        "",
        f"keras_albert {results['version']}, backend {results['backend']}; "
        f"model: {start or 'the default preset'}. Dev splits, in points of "
        "100; mean ± standard deviation over seeds, each of the last model "
        "of its run."
        + (f" At most {rows:,} training rows a task." if rows else ""),
        "",
        "| task | metric | dev | seeds | training rows | dev rows | batch | "
        "rate | steps | warm-up | seconds, all seeds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, task in results["tasks"].items():
        recipe = task["recipe"]
        for metric, values in task["metrics"].items():
            split = metric.rpartition("_")[0]
            lines.append(
                f"| {name} | {metric.replace('_', ' ')} | {in_points(values)} "
                f"| {', '.join(values['values'])} | {task['train_rows']:,} | "
                f"{task['dev_rows'][split]:,} | {recipe['batch_size']} | "
                f"{recipe['learning_rate']:g} | {task['steps']:,} | "
                f"{recipe['warmup']:.3g} | {task['seconds']:.0f} |"
            )
    if results["average"] is not None:
        lines += ["", f"Average of the tasks: {100 * results['average']:.1f}."]
    return "\n".join([*lines, "", *_notes(results["tasks"])]) + "\n"


def _notes(tasks):
    missing = [x for task in tasks.values() for x in task["no_test_data"]]
    there = [x for task in tasks.values() for x in task["predictions"]]
    notes = []
    if there:
        notes.append(
            f"Predictions for the site, `submission/seed-N/`: "
            f"{', '.join(f'{name}.tsv' for name in there)}."
        )
    if missing:
        notes.append(
            "No test data, and so no predictions: "
            f"{', '.join(f'{name}.tsv' for name in missing)}."
        )
    for name, task in tasks.items():
        if task["left_out_rows"]:
            notes.append(
                f"{name}: {task['left_out_rows']:,} rows with missing fields "
                "were left out."
            )
    return notes
