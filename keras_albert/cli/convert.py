"""Convert a checkpoint: Hugging Face, Google TF1, KerasHub, or a preset."""

EXAMPLE = """keras-albert convert hf://albert/albert-base-v2 --to preset \\
      -o models/albert-base"""


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("source", metavar="SOURCE", help="folder, name, or hf://owner/name")
    add(
        "--to",
        required=True,
        choices=("huggingface", "keras_hub", "preset"),
        help="the format to write",
    )
    add("-o", "--output", required=True, metavar="DIR", help="folder to write")
    add("--json", action="store_true", help="print it as JSON")


def run(args):
    """Converts, and prints what became of each weight."""
    import dataclasses
    import json

    from keras_albert.tasks.conversion import convert

    result = convert(args.source, args.output, args.to)
    if args.json:
        print(json.dumps(dataclasses.asdict(result), indent=1))
        return
    _print_table(result)
    print(f"tokenizer: {result.tokenizer}")
    if result.difference is None:
        print(f"not compared: {result.compared}")
    else:
        print(f"largest |Δ|: {result.difference:.2e} ({result.compared})")


def _print_table(result):
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result.model}, from {result.source}")
    for column in ("read", "weight", "written"):
        table.add_column(column, overflow="fold")
    for path in dict.fromkeys([*result.read, *result.fresh, *result.written]):
        table.add_row(
            result.read.get(path, "fresh"),
            path,
            result.written.get(path, "left out"),
        )
    for reason in dict.fromkeys(result.ignored.values()):
        keys = [k for k, v in result.ignored.items() if v == reason]
        shown = keys[0] if len(keys) == 1 else f"{len(keys)}: {keys[0]} …"
        table.add_row(shown, f"ignored: {reason}", "")
    console = Console()
    console.print(table)
    console.print(
        f"{len(result.read)} read, {len(result.written)} written, "
        f"{len(result.fresh)} fresh, {len(result.ignored)} ignored"
    )
