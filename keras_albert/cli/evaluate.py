"""Score a model on labelled data; metrics by name."""

from keras_albert.cli.common import add_columns
from keras_albert.cli.tasks import load_trained

EXAMPLE = """keras-albert evaluate runs/intents/model --data test.csv \\
      --text-column text --label-column label --json"""


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="preset folder of a trained model")
    add("--data", required=True, metavar="FILE", help="as for training")
    add_columns(parser, required=False)
    add("--negative-column", metavar="C", help="of hard negatives; embed")
    add("--summary-column", metavar="C", help="of summaries; extract")
    add("--sentences", type=int, metavar="N", help="of a summary [3]; extract")
    add("--batch-size", type=int, metavar="N", help="[what has 1,024 tokens]")
    add("--json", action="store_true", help="print JSON")


def run(args):
    """Evaluates, and prints a metric a line, or JSON."""
    import json

    task, module = load_trained(args)
    metrics = module.evaluate(args, task)
    if args.json:
        print(json.dumps(metrics))
        return
    for name, value in metrics.items():
        shown = f"{value:.4f}" if isinstance(value, float) else str(value)
        print(f"{name}\t{shown}")
