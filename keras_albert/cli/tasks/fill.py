"""Texts with [MASK] to what stands there. For `predict` and `evaluate` only.

Models that were pretrained, or trained to predict masked tokens.
"""

from keras_albert.cli.results import filled_lines, json_object

OPTIONS = {"text_column"}


def evaluate(args, task):
    """The pseudo-perplexity of a file's texts."""
    import math

    texts = _texts(args)
    results = task.score(texts, batch_size=args.batch_size)
    score = sum(result["score"] for result in results)
    tokens = sum(result["tokens"] for result in results)
    if not tokens:
        raise ValueError(f"{args.data} must hold at least one token.")
    return {
        "pseudo_perplexity": math.exp(-score / tokens),
        "pseudo_log_likelihood": score,
        "tokens": tokens,
        "rows": len(texts),
    }


def predict(args, task, file):
    """Writes the five most probable tokens of each mask."""
    texts = args.text or _texts(args)
    results = task.fill_mask(texts, batch_size=args.batch_size)
    for text, result in zip(texts, results, strict=True):
        if args.json:
            line = {"text": text, "masks": result}
            file.write(json_object(line))
        else:
            file.write(filled_lines(result))


def _texts(args):
    from keras_albert.data.readers import read_rows

    if args.text_column is None:
        raise ValueError("--data must come with --text-column, its column.")
    return read_rows(args.data, args.text_column).texts
