"""Score a model on labelled texts; metrics by name."""

from keras_albert.cli.common import add_columns, load_classifier

EXAMPLE = """keras-albert evaluate runs/intents/model --data test.csv \\
      --text-column text --label-column label --json"""


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="preset folder of a trained model")
    add("--data", required=True, metavar="FILE", help="csv, tsv, jsonl, .gz")
    add_columns(parser)
    add("--batch-size", type=int, default=32, metavar="N", help="texts [32]")
    add("--json", action="store_true", help="print JSON")


def run(args):
    """Evaluates, and prints a metric a line, or JSON."""
    import json

    from keras_albert.training.evaluation import evaluate_classifier
    from keras_albert.training.text_classification import files_for

    task = load_classifier(args.model)
    files, labels = files_for(
        task,
        args.text_column,
        args.label_column,
        args.pair_column,
        args.multi_label,
    )
    rows = files.read(args.data)
    metrics = evaluate_classifier(
        task, rows.texts, files.targets(rows, labels), args.batch_size
    )
    if args.json:
        print(json.dumps({**metrics, "rows": len(rows)}))
        return
    for name, value in metrics.items():
        print(f"{name}\t{value:.4f}")
    print(f"rows\t{len(rows)}")
