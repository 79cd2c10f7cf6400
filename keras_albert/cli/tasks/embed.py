"""Texts to vectors that lie close where the texts belong together.

Files are tables or JSON lines: a row is a text and one that belongs to it,
maybe a hard negative, which does not, and maybe a class, whose texts all belong
together. With --regression the label column holds scores of similarity.
"""

from keras_albert.cli.recipe import add_pooling
from keras_albert.cli.results import embedding_line

HELP = "texts to vectors, from pairs that belong together or scores"
EXAMPLE = """keras-albert train embed --train train.csv --valid dev.csv \\
      --text-column question --pair-column answer -o runs/faq"""
OPTIONS = ("text_column", "pair_column", "negative_column", "label_column")
# In-batch negatives: the more, the better.
DEFAULTS = {"epochs": 10, "batch_size": 64}


def add_arguments(parser):
    """Adds what `train embed` takes of its own."""
    add = parser.add_argument
    add("--text-column", required=True, metavar="C", help="of the texts")
    add("--pair-column", required=True, metavar="C", help="of second texts")
    add("--negative-column", metavar="C", help="of hard negatives")
    add("--label-column", metavar="C", help="of classes, or scores")
    add("--regression", action="store_true", help="labels are scores")
    add("--score-range", type=float, nargs=2, metavar="F", help="[0 1]")
    add_pooling(parser, "mean")
    add("--temperature", type=float, default=0.05, metavar="F", help="[0.05]")


def train(args, model, recipe):
    """Trains; gives the metrics."""
    from keras_albert.training.text_embedding import train_text_embedder

    return train_text_embedder(
        args.train,
        args.valid,
        args.output,
        _files(args, args.regression),
        score_range=args.score_range,
        pooling=args.pooling,
        temperature=args.temperature,
        model=model,
        **recipe,
    )


def evaluate(args, task):
    """Scores a model on a file; gives the metrics."""
    from keras_albert.training import text_embedding as training

    if args.text_column is None or args.pair_column is None:
        raise ValueError("--text-column and --pair-column must be given.")
    files = _files(args, task.objective == "cosine")
    data = training.labelled(files, args.data, task.score_range)
    metrics = training.evaluate_embedder(task, data, args.batch_size)
    return {**metrics, "rows": len(data[0])}


def predict(args, task, file):
    """Writes the vector of each text."""
    if args.pair_column is not None:
        raise ValueError("--pair-column must be left out: one vector a text.")
    texts = args.text
    if args.data is not None:
        from keras_albert.data.readers import read_rows

        if args.text_column is None:
            raise ValueError("--data must come with --text-column, its column.")
        texts = read_rows(args.data, args.text_column).texts
    rows = zip(texts, task.embed(texts, args.batch_size), strict=True)
    file.writelines(embedding_line(*row, args.json) for row in rows)


def _files(args, regression):
    from keras_albert.data.pairs import PairFiles

    return PairFiles(*(getattr(args, name) for name in OPTIONS), regression)
