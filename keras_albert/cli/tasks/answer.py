"""Questions to answers, parts of the texts that they are asked about."""

from keras_albert.cli.results import json_object

HELP = "questions to answers in texts, as SQuAD's"
EXAMPLE = """keras-albert train answer --train train-v1.1.json.gz \\
      --valid dev-v1.1.json.gz -o runs/squad"""
OPTIONS = {"na_probs"}
# Of the original, for SQuAD 1.1.
DEFAULTS = {"epochs": 2, "batch_size": 48}


def add_arguments(parser):
    """Adds what `train answer` takes of its own."""
    add = parser.add_argument_group("windows of a text, tokens").add_argument
    add("--stride", type=int, default=128, metavar="N", help="between [128]")
    add("--question-length", type=int, default=64, metavar="N", help="[64]")


def train(args, model, recipe):
    """Trains; gives the metrics."""
    from keras_albert.training import question_answering as training

    return training.train_question_answerer(
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
    from keras_albert.training import question_answering as training

    questions = read_questions(args.data)
    metrics = training.evaluate_answerer(task, questions, args.batch_size)
    del metrics["total"]
    return {**metrics, "rows": len(questions)}


def predict(args, task, file):
    """Writes answers by id, as official scripts read them; or one answer."""
    if args.data is not None:
        from keras_albert.data.squad import read_questions
        from keras_albert.presets.saving import whole_file
        from keras_albert.training import question_answering as training

        questions = read_questions(args.data, with_answers=False)
        texts, none = training.answer_questions(
            task, questions, args.batch_size
        )
        file.write(json_object(texts))
        if args.na_probs is not None:
            with (
                whole_file(args.na_probs) as partial,
                open(partial, "w", encoding="utf-8") as other,
            ):
                other.write(json_object(none))
        return
    if len(args.text) != 2 or args.na_probs is not None:
        raise ValueError(
            "A question answerer needs two TEXTs, a question and the text to "
            "look in, or a file by --data, which --na-probs is for. Received "
            f"{len(args.text)} TEXTs."
        )
    result = task.answer(*args.text)
    if args.json:
        file.write(json_object(result))
    else:
        file.write(
            f"{' '.join(result['text'].split())}\t{result['score']:.4f}\n"
        )
