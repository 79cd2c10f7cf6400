"""Label texts with a model: label, score and text, tab-separated, a line."""

import json

from keras_albert.cli.common import add_columns, load_classifier

EXAMPLE = """keras-albert predict runs/intents/model "Wake me up at seven" """


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="preset folder of a trained model")
    add("text", nargs="*", metavar="TEXT", help="texts to label")
    add("--data", metavar="FILE", help="csv, tsv, jsonl, .gz instead of TEXT")
    add_columns(parser, labels=False)
    add("-o", "--output", metavar="FILE", help="write here, not to stdout")
    add("--batch-size", type=int, default=32, metavar="N", help="texts [32]")
    add("--json", action="store_true", help="a JSON object a line")


def run(args):
    """Labels texts, and prints a line for each, in order."""
    texts = _texts(args)
    task = load_classifier(args.model)
    results = task.classify(texts, batch_size=args.batch_size)
    line = _json_line if args.json else _tab_line
    lines = [line(*pair) for pair in zip(texts, results, strict=True)]
    if not args.output:
        print("\n".join(lines))
        return
    from keras_albert.presets.saving import whole_file

    with (
        whole_file(args.output) as partial,
        open(partial, "w", encoding="utf-8") as file,
    ):
        file.write("\n".join(lines) + "\n")


def _texts(args):
    if bool(args.text) == bool(args.data):
        raise ValueError(
            "There must be TEXTs to label, or a file of them by --data. "
            f"Received {'both' if args.data else 'neither'}."
        )
    if args.text:
        return args.text
    if args.text_column is None:
        raise ValueError("--data must come with --text-column, its column.")
    from keras_albert.data.readers import read_rows

    return read_rows(args.data, args.text_column, args.pair_column).texts


def _json_line(text, result):
    several = {"labels": result} if isinstance(result, list) else result
    return json.dumps({"text": text, **several}, ensure_ascii=False)


def _tab_line(text, result):
    results = result if isinstance(result, list) else [result]
    labels = ",".join(str(item.get("label", "")) for item in results)
    scores = ",".join(f"{item['score']:.4f}" for item in results)
    texts = [text] if isinstance(text, str) else text
    # White space in a text must not look like another field or line.
    return "\t".join([labels, scores, *(" ".join(t.split()) for t in texts)])
