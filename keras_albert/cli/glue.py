"""Fine-tune and score a model on GLUE's tasks, from several seeds."""

from keras_albert.cli.recipe import add_start, start_of

EXAMPLE = """keras-albert glue --data glue --preset albert_base_en_uncased \\
      --tasks CoLA RTE -o runs/glue"""
# Attributes of `training.glue.GlueRecipe`.
_RECIPE = ("batch_size", "learning_rate", "steps", "epochs", "warmup")


def add_arguments(parser):
    """Adds the verb's arguments."""
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_options(parser):
    """Adds what `arguments_of` reads."""
    add = parser.add_argument
    add("--data", required=True, metavar="DIR", help="a folder a task")
    add("-o", "--output", required=True, metavar="DIR", help="of all runs")
    add("--tasks", nargs="+", metavar="TASK", help="[all that are there]")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="[0 1 2]")
    add("--rows", type=int, metavar="N", help="at most N training rows [all]")
    recipe = parser.add_argument_group(
        "recipe of all tasks, the original's of each by default"
    )
    add = recipe.add_argument
    add("--batch-size", type=int, metavar="N", help="examples")
    add("--learning-rate", type=float, metavar="F", help="the highest")
    length = recipe.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, metavar="N", help="batches")
    length.add_argument("--epochs", type=int, metavar="N")
    add(
        "--warmup",
        type=float,
        metavar="F",
        help="part of all steps that the rate rises for",
    )
    add_start(parser)


def arguments_of(args):
    """The arguments of `training.glue.run_glue`, of `add_options`."""
    return {
        "data": args.data,
        "output_dir": args.output,
        "tasks": args.tasks,
        "seeds": args.seeds,
        "rows": args.rows,
        "model": start_of(args),
        "recipe": {name: getattr(args, name) for name in _RECIPE},
    }


def run(args):
    """Runs what is left to run, and prints the results."""
    import json

    from keras_albert.training.glue import run_glue
    from keras_albert.training.glue_report import report

    results = run_glue(**arguments_of(args))
    print(json.dumps(results, indent=1) if args.json else report(results))
