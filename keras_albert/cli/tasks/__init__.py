"""What `train`, `evaluate` and `predict` do for each task: one module each.

A module `keras_albert.cli.tasks.NAME` has:

- `HELP`, what the task is, and `EXAMPLE`, a command, strings;
- `add_arguments(parser)`: adds what `train NAME` takes beside what all tasks
  take (`keras_albert.cli.recipe`);
- `DEFAULTS`, where they are others: arguments of `add_recipe`;
- `train(args, model, recipe)`: trains on `args.train` and `args.valid`, with
  the arguments of `training.start.make_task` and of `fine_tune`; gives the
  metrics;
- `OPTIONS`: the options of `evaluate` and `predict` that are for it;
- `evaluate(args, task)`: gives the metrics of `args.data`, `"rows"` with them;
- `predict(args, task, file)`: writes results of `args.text` or `args.data`.
"""

import importlib

# The verb's name of each task, and the class of its models.
TASKS = {
    "classify": "AlbertTextClassifier",
    "tag": "AlbertTokenClassifier",
    "answer": "AlbertQuestionAnswerer",
    "choose": "AlbertMultipleChoice",
    "embed": "AlbertTextEmbedder",
    "extract": "AlbertSentenceExtractor",
}
# What pretraining gives, which `fill` predicts with.
_MASKED = ("AlbertMaskedLM", "AlbertPretrainer")
# What some tasks take only, and `evaluate` and `predict` therefore check.
SPECIAL_OPTIONS = (
    "text_column",
    "pair_column",
    "negative_column",
    "label_column",
    "summary_column",
    "sentences",
    "multi_label",
    "na_probs",
)


def task_module(name):
    """The module of a task.

    Args:
        name: string, one of `TASKS`.
    """
    return importlib.import_module(f"keras_albert.cli.tasks.{name}")


def load_trained(args):
    """Loads a model for `evaluate` or `predict`.

    Args:
        args: the parsed arguments, with `model`.

    Returns:
        The task and its module.

    Raises:
        ValueError: if it is no trained model, or one that options are not
            for.
    """
    from keras_albert.tasks.loading import load_preset

    task = load_preset(args.model)
    if type(task).__name__ in _MASKED:
        return _as_masked_lm(task, args), _checked("fill", args)
    names = {name for name, of in TASKS.items() if of == type(task).__name__}
    if not names:
        raise ValueError(
            f"The model must be trained for a task: {', '.join(TASKS)}. "
            f"{args.model} holds an {type(task).__name__}; train it first: "
            f"`keras-albert train TASK --preset {args.model} …`."
        )
    return task, _checked(names.pop(), args)


def _as_masked_lm(task, args):
    from keras_albert.tasks.masked_lm import AlbertMaskedLM

    if isinstance(task, AlbertMaskedLM):
        return task
    return AlbertMaskedLM.from_preset(args.model)


def _checked(name, args):
    """The module of a task, whose options the arguments have only."""
    module = task_module(name)
    for option in SPECIAL_OPTIONS:
        if (
            option not in module.OPTIONS
            and getattr(args, option, None) is not None
        ):
            raise ValueError(
                f"--{option.replace('_', '-')} is not for the task {name}, "
                f"which {args.model} was trained for; leave it out."
            )
    return module
