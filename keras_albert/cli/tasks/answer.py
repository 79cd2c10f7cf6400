"""Questions to answers, parts of the texts that they are asked about."""

HELP = "questions to answers in texts, as SQuAD's"
EXAMPLE = """keras-albert train answer --train train-v1.1.json.gz \\
      --valid dev-v1.1.json.gz -o runs/squad"""
OPTIONS = {"na_probs"}
# Of the original, for SQuAD 1.1.
DEFAULTS = {"epochs": 2, "batch_size": 48}


def add_arguments(parser):
    """Adds what `train answer` takes of its own."""
    add = parser.add_argument
    add(
        "--stride",
        type=int,
        default=128,
        metavar="N",
        help="tokens from one window of a long text to the next [128]",
    )
    add(
        "--question-length",
        type=int,
        default=64,
        metavar="N",
        help="tokens of a question; longer ones are cut [64]",
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

    if args.data is None:
        _predict_one(args, task, file)
        return
    from keras_albert.data.squad import read_questions
    from keras_albert.presets.saving import whole_file
    from keras_albert.training.question_answering import answer_questions

    questions = read_questions(args.data, with_answers=False)
    texts, probabilities = answer_questions(task, questions, args.batch_size)
    json.dump(texts, file, ensure_ascii=False)
    file.write("\n")
    if args.na_probs is not None:
        with (
            whole_file(args.na_probs) as partial,
            open(partial, "w", encoding="utf-8") as other,
        ):
            json.dump(probabilities, other)


def _predict_one(args, task, file):
    import json

    if len(args.text) != 2 or args.na_probs is not None:
        raise ValueError(
            "A question answerer needs two TEXTs, a question and the text to "
            "look in, or a file by --data, which --na-probs is for. Received "
            f"{len(args.text)} TEXTs."
        )
    result = task.answer(*args.text, batch_size=args.batch_size)
    if args.json:
        file.write(json.dumps(result, ensure_ascii=False) + "\n")
    else:
        text = " ".join(result["text"].split())
        file.write(f"{text}\t{result['score']:.4f}\n")
