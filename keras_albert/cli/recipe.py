"""Arguments of `train` that all tasks share."""

from keras_albert.models.sizes import DEFAULT_SIZES


def add_recipe(parser, epochs=3, batch_size=32):
    """Adds files, start and recipe of a training run.

    Args:
        parser: an `argparse.ArgumentParser`.
        epochs: int, the default.
        batch_size: int, the examples of a batch of average length.
    """
    parser.set_defaults(average_batch=batch_size)
    add = parser.add_argument
    add("--train", required=True, metavar="FILE", help="training data")
    add("--valid", required=True, metavar="FILE", help="dev data, likewise")
    add("-o", "--output", required=True, metavar="DIR", help="run folder")
    add("--epochs", type=int, default=epochs, metavar="N", help=f"[{epochs}]")
    add(
        "--batch-size",
        type=int,
        metavar="N",
        help="examples a batch [those of the tokens]",
    )
    add(
        "--tokens-per-batch",
        type=int,
        metavar="N",
        help=f"[as {batch_size} examples of average length have]",
    )
    add(
        "--accumulate",
        type=int,
        default=1,
        metavar="N",
        help="batches a step of the optimizer [1]",
    )
    add("--learning-rate", type=float, metavar="F", help="[the preset's]")
    add(
        "--warmup",
        type=float,
        default=0.1,
        metavar="F",
        help="part of all batches that the rate rises for [0.1]",
    )
    add(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N epochs without a better dev metric [never]",
    )
    add("--seed", type=int, default=0, metavar="N", help="[0]")
    add("--resume", action="store_true", help="continue if interrupted")
    add_start(parser)


def add_start(parser):
    """Adds what a run starts from.

    Args:
        parser: an `argparse.ArgumentParser`.
    """
    add = parser.add_argument
    add("--preset", metavar="P", help="name or folder [albert_tiny_en]")
    add("--max-length", type=int, metavar="N", help="tokens [the model's]")
    add("--dropout", type=float, metavar="F", help="[the preset's, or 0.1]")
    add("--lora-rank", type=int, metavar="N", help="train adapters only")
    scratch = parser.add_argument_group("from scratch, instead of --preset")
    scratch.add_argument("--vocabulary", metavar="SPM", help="SentencePiece")
    for name, size in DEFAULT_SIZES.items():
        option = "--" + name.replace("_", "-")
        scratch.add_argument(option, type=int, metavar="N", help=f"[{size}]")


def add_classes(parser):
    """Adds `--labels` and `--class-weights`, of tasks with classes."""
    add = parser.add_argument
    add("--labels", metavar="FILE", help="classes in order, one a line")
    add(
        "--class-weights",
        metavar="W",
        help="balanced, or a JSON file of weights by label [all 1]",
    )


def add_pooling(parser, default):
    """Adds `--pooling`, of tasks that make one vector of a text.

    Args:
        parser: an `argparse.ArgumentParser`.
        default: string, `"cls"` or `"mean"`.
    """
    parser.add_argument(
        "--pooling",
        choices=("cls", "mean"),
        default=default,
        help=f"of a text's tokens: [CLS], or the mean of all [{default}]",
    )


def recipe_of(args):
    """What the arguments say.

    Args:
        args: the parsed arguments of `add_recipe`.

    Returns:
        Two dictionaries, the arguments of `training.start.make_task` and
        those of `training.fine_tune.fine_tune`; `seed` is in the latter.

    Raises:
        ValueError: if they contradict each other.
    """
    if args.batch_size is not None and args.tokens_per_batch is not None:
        raise ValueError(
            "Batches must have a number of examples (--batch-size), or of "
            "tokens (--tokens-per-batch). Received both; leave one out."
        )
    recipe = {
        "epochs": args.epochs,
        "batch_size": args.average_batch,
        "tokens_per_batch": "auto",
        "accumulate": args.accumulate,
        "learning_rate": args.learning_rate,
        "warmup": args.warmup,
        "patience": args.patience,
        "seed": args.seed,
        "resume": args.resume,
    }
    if args.batch_size is not None:
        recipe |= {"batch_size": args.batch_size, "tokens_per_batch": None}
    if args.tokens_per_batch is not None:
        recipe["tokens_per_batch"] = args.tokens_per_batch
    return start_of(args), recipe


def start_of(args):
    """The arguments of `training.start.make_task`.

    Args:
        args: the parsed arguments of `add_start`.
    """
    sizes = {name: getattr(args, name) for name in DEFAULT_SIZES}
    return {
        "preset": args.preset,
        "vocabulary": args.vocabulary,
        "sizes": {k: size for k, size in sizes.items() if size is not None},
        "max_length": args.max_length,
        "dropout": args.dropout,
        "lora_rank": args.lora_rank,
    }
