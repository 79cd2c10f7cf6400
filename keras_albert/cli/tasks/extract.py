"""Documents to the sentences that say what they are about.

Files are tables or JSON lines: a text, or a list of its sentences, and a
summary, or a list where there are several; or labels, 0 or 1 a sentence. The
columns are "text" and "summary" by default.
"""

from keras_albert.cli.results import summary_lines

HELP = "documents to summaries, made of their sentences"
EXAMPLE = """keras-albert train extract --train train.jsonl \\
      --valid dev.jsonl -o runs/summaries"""
OPTIONS = {"text_column", "summary_column", "label_column", "sentences"}
# Documents are long, and there are few.
DEFAULTS = {"epochs": 5, "batch_size": 16}


def add_arguments(parser):
    """Adds what `train extract` takes of its own."""
    add = parser.add_argument
    add("--text-column", metavar="C", help="of the documents [text]")
    add("--summary-column", metavar="C", help="of the summaries [summary]")
    add("--label-column", metavar="C", help="of sentences' labels, 0 and 1")
    add("--sentences", type=int, default=3, metavar="N", help="[3]")


def train(args, model, recipe):
    """Trains; gives the metrics."""
    from keras_albert.training import sentence_extraction as training

    return training.train_sentence_extractor(
        args.train,
        args.valid,
        args.output,
        text_column=args.text_column,
        summary_column=args.summary_column,
        label_column=args.label_column,
        sentences=args.sentences,
        model=model,
        **recipe,
    )


def evaluate(args, task):
    """Scores a model on a file; gives the metrics."""
    from keras_albert.data.summaries import read_documents
    from keras_albert.training import sentence_extraction as training

    rows = read_documents(
        args.data, args.text_column, args.summary_column, args.label_column
    )
    data = (*training.labelled(task, rows), rows.summaries)
    metrics = training.evaluate_extractor(
        task, data, args.batch_size, _sentences(args)
    )
    return {**metrics, "rows": len(rows)}


def predict(args, task, file):
    """Writes the sentences of each document's summary."""
    documents = args.text
    if args.data is not None:
        from keras_albert.data.summaries import read_documents

        rows = read_documents(args.data, args.text_column, targets=False)
        documents = rows.documents
    summaries = task.summarize(
        documents, _sentences(args), batch_size=args.batch_size
    )
    file.writelines(summary_lines(x, args.json) for x in summaries)


def _sentences(args):
    return 3 if args.sentences is None else args.sentences
