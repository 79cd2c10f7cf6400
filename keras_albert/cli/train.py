"""Fine-tune a model on labelled data: best model, metrics, history, plot."""

import argparse

from keras_albert.cli.recipe import add_recipe, recipe_of
from keras_albert.cli.tasks import TASKS, task_module

EXAMPLE = task_module("classify").EXAMPLE


def add_arguments(parser):
    """Adds the verb's tasks, each with its arguments."""
    tasks = parser.add_subparsers(
        dest="task", required=True, metavar="TASK", title="tasks"
    )
    for name in TASKS:
        module = task_module(name)
        of_task = tasks.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=f"example:\n  {module.EXAMPLE}",
        )
        module.add_arguments(of_task)
        add_recipe(of_task, **getattr(module, "DEFAULTS", {}))


def run(args):
    """Trains, and prints the metrics as JSON."""
    import json

    metrics = task_module(args.task).train(args, *recipe_of(args))
    print(json.dumps(metrics, indent=1))
