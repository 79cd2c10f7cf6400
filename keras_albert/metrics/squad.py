"""SQuAD's exact match and F1, versions 1.1 and 2.0, as the official scripts.

    python -m keras_albert.metrics.squad DATA.json PREDICTIONS.json

prints `{"exact_match": …, "f1": …}`, in percent. Either file may end in
`.gz`. The definitions are those of `evaluate-v1.1.py` and `evaluate-v2.0.py`
(Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250; 2018,
https://arxiv.org/abs/1806.03822), which differ where an answer is empty once
it is normalized: "the" and "a" share no word in 1.1, and agree in 2.0.
"""

import argparse
import collections
import gzip
import json
import os
import re
import string
import sys
import zlib
from collections.abc import Mapping, Sequence

VERSIONS = ("1.1", "2.0")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """An answer in lower case, without ASCII punctuation and articles.

    Args:
        text: string.

    Returns:
        string, its words with one space between them.
    """
    text = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """Whether a prediction equals an answer once both are normalized.

    Args:
        prediction: string.
        answers: strings, at least one: the best counts.

    Returns:
        float, 0 or 1.
    """
    normal = normalize_answer(prediction)
    return float(any(normal == normalize_answer(answer) for answer in answers))


def f1(prediction: str, answers: Sequence[str], version: str = "1.1") -> float:
    """The F1 of the words that a prediction shares with an answer.

    Args:
        prediction: string.
        answers: strings, at least one: the best counts.
        version: `"1.1"` or `"2.0"`, in which two answers without words agree.

    Returns:
        float, 0 to 1.
    """
    words = normalize_answer(prediction).split()
    return max(
        _f1_of_words(words, normalize_answer(answer).split(), version)
        for answer in answers
    )


def _f1_of_words(words, expected, version):
    if version == "2.0" and not (words and expected):
        return float(words == expected)
    common = collections.Counter(words) & collections.Counter(expected)
    same = sum(common.values())
    if not same:
        return 0.0
    precision, recall = same / len(words), same / len(expected)
    return 2.0 * precision * recall / (precision + recall)


def score_answers(
    answers: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    *,
    version: str = "1.1",
    no_answer_probabilities: Mapping[str, float] | None = None,
    threshold: float = 1.0,
) -> dict:
    """Scores the answers to all questions.

    Args:
        answers: the texts that are right by the id of each question; in 2.0
            none for questions without an answer.
        predictions: a text by id, empty for no answer. A question without a
            prediction counts as wrong.
        version: `"1.1"` or `"2.0"`.
        no_answer_probabilities: by id, of version 2.0: how sure it is that
            there is no answer; any numbers that order the questions.
        threshold: float. Above it, a question's prediction is taken to be
            empty.

    Returns:
        dictionary: `"exact_match"` and `"f1"` in percent, and `"total"`, the
        number of questions. In 2.0 also the three of the questions that have
        an answer (`"has_answer_exact_match"` …) and of those that have none
        (`"no_answer_exact_match"` …), where there are such; and given
        probabilities, `"best_exact_match"`, `"best_f1"` in percent and the
        thresholds that they are reached at, `"best_exact_match_threshold"`,
        `"best_f1_threshold"`.

    Raises:
        ValueError: if there are no questions, a question has no answer in
            1.1, or no probability.
    """
    _check(answers, version, no_answer_probabilities)
    exact, shared = {}, {}
    for name, texts in answers.items():
        if version == "2.0":
            # What is no word cannot be asked for.
            texts = [text for text in texts if normalize_answer(text)] or [""]
        prediction = predictions.get(name)
        if prediction is None:
            exact[name] = shared[name] = 0.0
        else:
            exact[name] = exact_match(prediction, texts)
            shared[name] = f1(prediction, texts, version)
    if version == "1.1":
        return _means(exact, shared, answers)
    raw = {"exact_match": exact, "f1": shared}
    has_answer = {name: bool(texts) for name, texts in answers.items()}
    if no_answer_probabilities is not None:
        exact, shared = (
            {
                name: float(not has_answer[name])
                if name in predictions
                and no_answer_probabilities[name] > threshold
                else score
                for name, score in scores.items()
            }
            for scores in (exact, shared)
        )
    metrics = _means(exact, shared, answers)
    for prefix, kind in (("has_answer", True), ("no_answer", False)):
        names = [name for name in answers if has_answer[name] is kind]
        if names:
            means = _means(exact, shared, names)
            metrics.update({f"{prefix}_{k}": v for k, v in means.items()})
    if no_answer_probabilities is not None:
        for metric, scores in raw.items():
            best, where = best_threshold(
                scores, predictions, no_answer_probabilities, has_answer
            )
            metrics[f"best_{metric}"] = best
            metrics[f"best_{metric}_threshold"] = where
    return metrics


def best_threshold(
    scores: Mapping[str, float],
    predictions: Mapping[str, str],
    no_answer_probabilities: Mapping[str, float],
    has_answer: Mapping[str, bool],
) -> tuple[float, float]:
    """The threshold above which no answer is best given (`find_best_thresh`).

    Args:
        scores: of each question's prediction, 0 to 1, by id.
        predictions: a text by id.
        no_answer_probabilities: by id, any numbers that order the questions.
        has_answer: by id, whether the question has an answer.

    Returns:
        The mean score that is reached, in percent, and the threshold: one of
        the probabilities, or 0.0 where it is best to answer nothing.
    """
    # With no answer to any question, those without an answer are right,
    # where there is a prediction: none that is missing is.
    best = score = float(
        sum(not has and name in predictions for name, has in has_answer.items())
    )
    threshold = 0.0
    order = sorted(
        (name for name in no_answer_probabilities if name in scores),
        key=lambda name: no_answer_probabilities[name],
    )
    for name in order:
        if has_answer[name]:
            score += scores[name]
        elif predictions.get(name):
            score -= 1.0
        if score > best:
            best, threshold = score, no_answer_probabilities[name]
    return 100.0 * best / len(scores), threshold


def _means(exact, shared, names):
    total = len(names)
    return {
        "exact_match": 100.0 * sum(exact[name] for name in names) / total,
        "f1": 100.0 * sum(shared[name] for name in names) / total,
        "total": total,
    }


def _check(answers, version, probabilities):
    if version not in VERSIONS:
        raise ValueError(
            f"`version` must be one of {', '.join(VERSIONS)}. Received: "
            f"{version!r}."
        )
    if not answers:
        raise ValueError("There must be at least one question to score.")
    if version == "1.1":
        if probabilities is not None:
            raise ValueError(
                "Probabilities of no answer are for version 2.0: in 1.1 each "
                "question has an answer."
            )
        name = next((x for x, texts in answers.items() if not texts), None)
        if name is not None:
            raise ValueError(
                "Each question must have an answer in version 1.1. Question "
                f"{name!r} has none; is the data of version 2.0?"
            )
    elif probabilities is not None:
        name = next((x for x in answers if x not in probabilities), None)
        if name is not None:
            raise ValueError(
                "Each question must have a probability of no answer. "
                f"Question {name!r} has none."
            )


# === Files ===


def answers_of(data: dict) -> tuple[dict[str, list[str]], str]:
    """The questions of a SQuAD file.

    Args:
        data: the content of the file.

    Returns:
        The texts that are right by the id of each question, and the version,
        `"1.1"` or `"2.0"`: what the file says, else 2.0 where a question has
        no answer.

    Raises:
        ValueError: if the content is of another kind, or an id occurs twice.
    """
    answers: dict[str, list[str]] = {}
    try:
        questions = [
            (question["id"], [answer["text"] for answer in question["answers"]])
            for article in data["data"]
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(
            "The data must be SQuAD's JSON: data, paragraphs, qas, each with "
            f"id and answers. Something is not there: {error}."
        ) from error
    for name, texts in questions:
        if not isinstance(name, (str, int)) or any(
            not isinstance(text, str) for text in texts
        ):
            raise ValueError(
                "Ids must be texts or numbers, and answers texts. Received "
                f"the id {name!r:.60} with the answers {texts!r:.60}."
            )
        name = str(name)  # as the keys of predictions are
        if name in answers:
            raise ValueError(
                f"Each question must have an id of its own. {name!r} is there "
                "twice."
            )
        answers[name] = texts
    stated = str(data.get("version", "")).removeprefix("v")
    if stated in VERSIONS:
        return answers, stated
    return answers, "1.1" if all(answers.values()) else "2.0"


def read_json(path: str | os.PathLike):
    """The content of a JSON file, of a `.gz` unpacked.

    Args:
        path: string or path.

    Raises:
        ValueError: if it is damaged, or no JSON.
        OSError: if there is no such file, or it cannot be read.
    """
    path = os.fspath(path)
    opened = gzip.open if path.lower().endswith(".gz") else open
    try:
        with opened(path, "rb") as file:
            return json.loads(file.read().decode("utf-8-sig"))
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as e:
        raise ValueError(f"{path} must be UTF-8, or whole gzip: {e}.") from e
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON. It is not: {error}.") from error


def _read_mapping(path, kind, what):
    content = read_json(path)
    rule = f"{path} must be a JSON object of ids to {what}."
    if not isinstance(content, dict):
        raise ValueError(f"{rule} It is a {type(content).__name__}.")
    for name, value in content.items():
        if (
            not isinstance(value, kind)
            or isinstance(value, bool)
            or value != value  # not a number
        ):
            raise ValueError(
                f"{rule} {name!r:.60} has {json.dumps(value):.60}; correct it."
            )
    return content


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command in one line."""

    def error(self, message):
        print(f"{self.prog}: error: {message}; see --help.", file=sys.stderr)
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Scores a file of predictions, and prints the scores as JSON.

    Args:
        argv: strings, the command line's by default.

    Returns:
        int, the exit code: 0, or 2 on bad input.
    """
    parser = _Parser(
        prog="python -m keras_albert.metrics.squad",
        description="SQuAD's exact match and F1, in percent.",
    )
    add = parser.add_argument
    add("data", metavar="DATA.json", help="SQuAD 1.1 or 2.0; or .gz")
    add("predictions", metavar="PREDICTIONS.json", help='{"id": "answer"}')
    add("--version", choices=VERSIONS, help="[as the data says]")
    add(
        "--na-probs",
        metavar="FILE",
        help='{"id": probability of no answer}: also the best thresholds',
    )
    add(
        "--na-threshold",
        type=float,
        default=1.0,
        metavar="F",
        help="above it, no answer is predicted [1.0]",
    )
    add("--all", action="store_true", help="with and without an answer, too")
    args = parser.parse_args(argv)
    try:
        metrics = _score_files(args)
    except (OSError, ValueError) as error:
        message = " ".join(str(error).split())
        print(f"{parser.prog}: error: {message}", file=sys.stderr)
        return 2
    print(json.dumps(metrics))
    return 0


def _score_files(args):
    if args.na_threshold != args.na_threshold:
        raise ValueError("--na-threshold must be a number. Received: nan.")
    answers, version = answers_of(read_json(args.data))
    predictions = _read_mapping(args.predictions, str, "texts")
    probabilities = None
    if args.na_probs is not None:
        probabilities = _read_mapping(args.na_probs, int | float, "numbers")
    missing = sum(name not in predictions for name in answers)
    if missing:
        print(
            f"{missing} of {len(answers)} questions have no prediction, and "
            "count as wrong.",
            file=sys.stderr,
        )
    metrics = score_answers(
        answers,
        predictions,
        version=args.version or version,
        no_answer_probabilities=probabilities,
        threshold=args.na_threshold,
    )
    if args.all:
        return metrics
    kept = {"exact_match", "f1"}
    return {
        name: value
        for name, value in metrics.items()
        if name in kept or name.startswith("best_")
    }


if __name__ == "__main__":
    sys.exit(main())
