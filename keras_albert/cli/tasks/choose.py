"""Questions to the right one of several choices.

Files are JSON lines, an object a line: "question", "choices" (a list),
"answer" (a label A, B, …, a text, or an index from 0) and, where there is
one, "context"; or the formats of RACE, CommonsenseQA and ARC.

`predict MODEL QUESTION CHOICE CHOICE …` answers a question without a context.
"""

from keras_albert.cli.results import choice_line

HELP = "questions to the right one of several choices"
EXAMPLE = """keras-albert train choose --train train.jsonl \\
      --valid dev.jsonl -o runs/choices"""
OPTIONS: set = set()


def add_arguments(parser):
    """Adds what `train choose` takes of its own: nothing."""


def train(args, model, recipe):
    """Trains; gives the metrics."""
    from keras_albert.training.multiple_choice import train_multiple_choice

    return train_multiple_choice(
        args.train, args.valid, args.output, model=model, **recipe
    )


def evaluate(args, task):
    """Scores a model on a file; gives the metrics."""
    from keras_albert.data.choices import read_choices
    from keras_albert.training import multiple_choice as training

    rows = read_choices(args.data)
    metrics = training.evaluate_multiple_choice(
        task, training.labelled(rows), args.batch_size
    )
    return {**metrics, "rows": len(rows)}


def predict(args, task, file):
    """Writes the choice of each question: label, score, choice, question."""
    from keras_albert.data.choices import choice_label, read_choices

    if args.data is None:
        question, *choices = args.text
        result = task.choose("", question, choices)
        label = choice_label(result["index"])
        file.write(choice_line(None, label, question, result, args.json))
        return
    rows = read_choices(args.data, answers=False)
    results = task.choose(
        rows.contexts, rows.questions, rows.choices, args.batch_size
    )
    for index, result in enumerate(results):
        label = rows.labels[index][result["index"]]
        question, identity = rows.questions[index], rows.ids[index]
        file.write(choice_line(identity, label, question, result, args.json))
