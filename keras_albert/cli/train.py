"""Fine-tune a model on labelled texts: best model, metrics, history, plot."""

from keras_albert.cli.common import add_columns

EXAMPLE = """keras-albert train classify --train train.csv --valid dev.csv \\
      --text-column text --label-column label -o runs/intents"""
_SIZES = {
    "hidden_dim": 256,
    "num_layers": 4,
    "num_heads": 4,
    "embedding_dim": 128,
    "intermediate_dim": 1024,
}


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("task", choices=("classify",), help="what to train for")
    add("--train", required=True, metavar="FILE", help="csv, tsv, jsonl, .gz")
    add("--valid", required=True, metavar="FILE", help="dev texts, likewise")
    add_columns(parser)
    add("-o", "--output", required=True, metavar="DIR", help="run folder")
    add("--preset", metavar="P", help="name or folder [albert_tiny_en]")
    add("--epochs", type=int, default=3, metavar="N", help="[3]")
    add("--batch-size", type=int, default=32, metavar="N", help="texts [32]")
    add("--learning-rate", type=float, metavar="F", help="[the preset's]")
    add("--max-length", type=int, metavar="N", help="tokens [the model's]")
    add("--dropout", type=float, metavar="F", help="[the preset's, or 0.1]")
    add("--seed", type=int, default=0, metavar="N", help="[0]")
    add("--resume", action="store_true", help="continue if interrupted")
    add("--regression", action="store_true", help="labels are numbers")
    add("--labels", metavar="FILE", help="classes in order, one a line")
    add("--lora-rank", type=int, metavar="N", help="train adapters only")
    scratch = parser.add_argument_group("from scratch, instead of --preset")
    scratch.add_argument("--vocabulary", metavar="SPM", help="SentencePiece")
    for name, size in _SIZES.items():
        option = "--" + name.replace("_", "-")
        scratch.add_argument(option, type=int, metavar="N", help=f"[{size}]")


def run(args):
    """Trains, and prints the metrics as JSON."""
    import json

    from keras_albert.training.text_classification import (
        TextFiles,
        train_text_classifier,
    )

    files = TextFiles(
        args.text_column,
        args.label_column,
        args.pair_column,
        args.regression,
        args.multi_label,
    )
    sizes = {name: getattr(args, name) for name in _SIZES}
    metrics = train_text_classifier(
        args.train,
        args.valid,
        args.output,
        files,
        labels_path=args.labels,
        model={
            "preset": args.preset,
            "vocabulary": args.vocabulary,
            "sizes": {k: size for k, size in sizes.items() if size is not None},
            "max_length": args.max_length,
            "dropout": args.dropout,
            "lora_rank": args.lora_rank,
        },
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        seed=args.seed,
        resume=args.resume,
    )
    print(json.dumps(metrics, indent=1))
