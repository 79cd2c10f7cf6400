"""Questions to answers, parts of the texts that they are asked about."""

HELP = "questions to answers in texts, as SQuAD's"
EXAMPLE = """keras-albert train answer --train train-v1.1.json.gz \\
      --valid dev-v1.1.json.gz -o runs/squad"""
OPTIONS = {"na_probs"}
# Of the original, for SQuAD 1.1.
DEFAULTS = {"epochs": 2, "batch_size": 48}


def add_arguments(parser):
    """Adds what `train answer` takes of its own."""
    for name, size, what in (
        ("--stride", 128, "tokens from one window of a text to the next"),
        ("--question-length", 64, "tokens; longer questions are cut"),
    ):
        text = f"{what} [{size}]"
        parser.add_argument(
            name, type=int, default=size, metavar="N", help=text
        )


def train(args, model, recipe):
    """Trains; gives the metrics."""
    from keras_albert.training.question_answering import (
        train_question_answerer,
    )

    return train_question_answerer(
        args.train,
        args.valid,
        args.output,
        model=model,
        stride=args.stride,
        question_length=args.question_length,
        **recipe,
    )


def evaluate(args, task):
    """Scores a model on a file; gives the metrics."""
    from keras_albert.data.squad import read_questions
    from keras_albert.training.question_answering import evaluate_answerer

    questions = read_questions(args.data)
    metrics = evaluate_answerer(task, questions, args.batch_size)
    del metrics["total"]
    return {**metrics, "rows": len(questions)}


def predict(args, task, file):
    """Writes answers by id, as official scripts read them; or one answer."""
    import json

    def write(content, file):
        file.write(json.dumps(content, ensure_ascii=False) + "\n")

    if args.data is not None:
        from keras_albert.data.squad import read_questions
        from keras_albert.presets.saving import whole_file
        from keras_albert.training.question_answering import answer_questions

        questions = read_questions(args.data, with_answers=False)
        texts, none = answer_questions(task, questions, args.batch_size)
        write(texts, file)
        if args.na_probs is not None:
            with whole_file(args.na_probs) as partial:  # noqa: SIM117
                with open(partial, "w", encoding="utf-8") as other:
                    write(none, other)
        return
    if len(args.text) != 2 or args.na_probs is not None:
        raise ValueError(
            "A question answerer needs two TEXTs, a question and the text to "
            "look in, or a file by --data, which --na-probs is for. Received "
            f"{len(args.text)} TEXTs."
        )
    result = task.answer(*args.text)
    if args.json:
        write(result, file)
    else:
        file.write(
            f"{' '.join(result['text'].split())}\t{result['score']:.4f}\n"
        )
