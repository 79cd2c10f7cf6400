"""Texts to vectors that lie close where the texts belong together.

Files are tables or JSON lines: a text and one that belongs to it a row, such as
two ways to ask the same, or a question and its answer; maybe a hard negative,
which does not; maybe a class, whose texts all belong together. With
--regression the label column holds scores of how similar the two texts are.
"""

from keras_albert.cli.results import embedding_line

HELP = "texts to vectors, from pairs that belong together or scores"
EXAMPLE = """keras-albert train embed --train train.csv --valid dev.csv \\
      --text-column question --pair-column answer -o runs/faq"""
OPTIONS = {"text_column", "pair_column", "negative_column", "label_column"}
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
    add(
        "--score-range",
        type=float,
        nargs=2,
        default=(0.0, 1.0),
        metavar=("LOW", "HIGH"),
        help="what scores lie in [0 1]",
    )
    add("--pooling", choices=("mean", "cls"), default="mean", help="[mean]")
    add("--temperature", type=float, default=0.05, metavar="F", help="[0.05]")


def train(args, model, recipe):
    """Trains; gives the metrics."""
    from keras_albert.data.pairs import PairFiles
    from keras_albert.training.text_embedding import train_text_embedder

    files = PairFiles(
        args.text_column,
        args.pair_column,
        args.negative_column,
        args.label_column,
        args.regression,
    )
    return train_text_embedder(
        args.train,
        args.valid,
        args.output,
        files,
        score_range=tuple(args.score_range),
        pooling=args.pooling,
        temperature=args.temperature,
        model=model,
        **recipe,
    )


def evaluate(args, task):
    """Scores a model on a file; gives the metrics."""
    from keras_albert.data.pairs import PairFiles
    from keras_albert.training import text_embedding as training

    columns = [getattr(args, name) for name in ("text_column", "pair_column")]
    if None in columns:
        raise ValueError(
            "--text-column and --pair-column must name columns of the data."
        )
    is_scored = task.objective == "cosine"
    files = PairFiles(
        *columns, args.negative_column, args.label_column, is_scored
    )
    data = training.labelled(files, args.data, task.score_range)
    metrics = training.evaluate_embedder(task, data, args.batch_size)
    return {**metrics, "rows": len(data[0])}


def predict(args, task, file):
    """Writes the vector of each text."""
    texts = args.text
    if args.data is not None:
        from keras_albert.data.readers import read_rows

        if args.text_column is None:
            raise ValueError("--data must come with --text-column, its column.")
        texts = read_rows(args.data, args.text_column).texts
    vectors = task.embed(texts, args.batch_size)
    for text, vector in zip(texts, vectors, strict=True):
        file.write(embedding_line(text, vector, args.json))
