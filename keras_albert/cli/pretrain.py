"""Pretrain a model on prepared data: checkpoints, history, logs, the model."""

from keras_albert.models.sizes import DEFAULT_SIZES

EXAMPLE = """keras-albert pretrain prepared --vocabulary vocabulary.spm \\
      -o runs/pretraining --steps 20000"""


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("data", metavar="DATA", help="folder of prepare-pretraining")
    add("--vocabulary", required=True, metavar="SPM", help="SentencePiece")
    add("-o", "--output", required=True, metavar="DIR", help="run folder")
    size = parser.add_argument_group("model")
    size.add_argument("--preset", metavar="P", help="start from its weights")
    for name, value in DEFAULT_SIZES.items():
        option = "--" + name.replace("_", "-")
        size.add_argument(option, type=int, metavar="N", help=f"[{value}]")
    size.add_argument("--num-groups", type=int, metavar="N", help="[1]")
    size.add_argument("--dropout", type=float, default=0.0, help="[0]")
    run = parser.add_argument_group("run")
    for name, value, text in (
        ("steps", 10_000, "of the optimizer"),
        ("batch-size", 32, "examples of a step"),
        ("accumulate", 1, "parts that a batch is worked off in"),
        ("sequence-length", 128, "tokens"),
        ("checkpoint-every", 500, "steps"),
        ("seed", 0, "of all that is random"),
    ):
        help_text = f"{text} [{value}]"
        run.add_argument(
            f"--{name}", type=int, default=value, metavar="N", help=help_text
        )
    add = run.add_argument
    add("--optimizer", choices=("adamw", "lamb"), default="adamw")
    add("--learning-rate", type=float, metavar="F", help="[by batch size]")
    add("--warmup", type=float, default=0.05, help="part of the steps [0.05]")
    text = "loss of sentence order against masked tokens [1]"
    add("--order-weight", type=float, default=1.0, metavar="F", help=text)
    add("--dtype", metavar="P", help="such as mixed_bfloat16 [float32]")
    add("--rematerialize", action="store_true", help="less memory, slower")
    add("--jit-compile", action="store_true", default=None, help="by XLA")
    add("--resume", action="store_true", help="continue if interrupted")
    several = parser.add_argument_group("several devices and hosts")
    add = several.add_argument
    add("--devices", type=int, metavar="N", help="of this process [1]")
    add(
        "--model-parallel",
        type=int,
        default=1,
        metavar="N",
        help="devices that share a model out; JAX [1]",
    )


def run(args):
    """Pretrains, and prints the metrics as JSON."""
    import json

    from keras_albert.pretraining.launch import find_launch
    from keras_albert.pretraining.recipe import pretrain

    options = dict(vars(args))
    sizes = {name: options.pop(name) for name in (*DEFAULT_SIZES, "num_groups")}
    metrics = pretrain(
        options.pop("data"),
        options.pop("vocabulary"),
        options.pop("output"),
        sizes={k: size for k, size in sizes.items() if size is not None},
        **options,
    )
    launch = find_launch()
    if launch is None or launch.process == 0:
        print(json.dumps(metrics, indent=1))
