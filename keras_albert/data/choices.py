"""Questions with choices from JSON lines."""

import dataclasses
import json
import os
from collections.abc import Iterator

from keras_albert.data.readers import (
    check_text,
    is_blank,
    json_lines,
    read_text,
)

_EXTENSIONS = (".jsonl", ".json")
# Names of the same thing in different data sets.
_CONTEXTS = ("context", "article", "passage")
_QUESTIONS = ("question", "questions")
_CHOICES = ("choices", "options")
_ANSWERS = ("answer", "answers", "answerKey", "label")
_IDS = ("id", "example_id")


@dataclasses.dataclass
class Choices:
    """What `read_choices` read.

    Attributes:
        contexts: list of strings, empty where there is none.
        questions: list of strings.
        choices: list of lists of at least two strings.
        answers: list of int, the indices of the right choices; `None` when
            they were not asked for.
        labels: list of lists of strings, the names of the choices: those of
            the file, else `A`, `B`, …
        ids: list of strings, or `None` where the file has none.
        path: string, the file.
        lines: list of int, the line number of each question, from 1.
    """

    contexts: list[str]
    questions: list[str]
    choices: list[list[str]]
    answers: list[int] | None
    labels: list[list[str]]
    ids: list[str | None]
    path: str
    lines: list[int]

    def __len__(self):
        return len(self.questions)

    def where(self, index: int) -> str:
        """Names a question in a message: file and line number."""
        return f"{self.path}, line {self.lines[index]}"

    @property
    def inputs(self) -> dict[str, list]:
        """The dictionary that `AlbertMultipleChoice` takes."""
        return {
            "context": self.contexts,
            "question": self.questions,
            "choices": self.choices,
        }


def read_choices(path: str | os.PathLike, answers: bool = True) -> Choices:
    """Reads questions with choices from JSON lines, with or without `.gz`.

    A line holds one object:

    - `"question"`, a text; `"choices"` or `"options"`, a list of texts; the
      answer as `"answer"`, `"answerKey"` or `"label"`; and where there are
      such, `"context"`, `"article"` or `"passage"`, and `"id"`;
    - or, as in RACE, several questions on one article: `"questions"`,
      `"options"` and `"answers"` are lists then;
    - or, as in CommonsenseQA and ARC, `"question"` is an object with
      `"stem"` and `"choices"`, which are objects with `"label"` and
      `"text"`, or one object with a list of each.

    An answer is the label of a choice (`A`, `B`, … where the file gives
    none), else its text, or, as a number, its index from 0, unless the
    file's labels are numbers.

    Args:
        path: path of a UTF-8 file.
        answers: bool. Whether each question must have an answer; without,
            answers are not read.

    Returns:
        A `Choices`, at least one question long.

    Raises:
        ValueError: if the file or a line of it is not as described, a
            question has fewer than two choices or an answer that is none of
            them, or an id is there twice; the message names file and line.
        OSError: if there is no such file, or it cannot be read.
    """
    path = os.fspath(path)
    plain = path.lower().removesuffix(".gz")
    if not plain.endswith(_EXTENSIONS):
        raise ValueError(
            f"A file of questions must end in {', '.join(_EXTENSIONS)}, with "
            f"or without .gz. Received: {path}; write a JSON object a line."
        )
    rows = Choices([], [], [], [] if answers else None, [], [], path, [])
    seen: dict[str, int] = {}
    for line, fields in json_lines(read_text(path), (), path):
        place = f"{path}, line {line}"
        for item in _questions(fields, place):
            _add(rows, item, line, place)
            identity = rows.ids[-1]
            if identity is not None and identity in seen:
                raise ValueError(
                    f"{place}: each question must have an id of its own. "
                    f"{identity!r} is that of line {seen[identity]}, too; "
                    "remove or rename one."
                )
            if identity is not None:
                seen[identity] = line
    if not len(rows):
        raise ValueError(f"{path} must hold at least one question.")
    return rows


def _questions(fields: dict, place: str) -> Iterator[dict]:
    """The questions of a line, each with keys of one kind."""
    question = _first(fields, _QUESTIONS, place)
    context = _first(fields, _CONTEXTS, place, "")
    identity = _first(fields, _IDS, place, None)
    answer = _first(fields, _ANSWERS, place, None)
    if isinstance(question, dict):
        # CommonsenseQA, ARC.
        choices = _first(question, _CHOICES, place)
        question = _first(question, ("stem",), place)
    else:
        choices = _first(fields, _CHOICES, place)
    if not isinstance(question, list):
        yield {
            "context": context,
            "question": question,
            "choices": choices,
            "answer": answer,
            "id": identity,
        }
        return
    answers = [None] * len(question) if answer is None else answer
    if (
        not isinstance(choices, list)
        or not isinstance(answers, list)
        or not len(question) == len(choices) == len(answers)
    ):
        raise ValueError(
            f"{place} must have a list of choices and an answer for each of "
            f"its {len(question)} questions. It has others; correct it."
        )
    parts = zip(question, choices, answers, strict=True)
    for number, (text, of_text, right) in enumerate(parts):
        yield {
            "context": context,
            "question": text,
            "choices": of_text,
            "answer": right,
            "id": None if identity is None else f"{identity}-{number}",
        }


def _first(fields: dict, names: tuple, place: str, *default):
    for name in names:
        if name in fields:
            return fields[name]
    if default:
        return default[0]
    raise ValueError(
        f"{place} must have {' or '.join(map(repr, names))}. It has "
        f"{', '.join(map(repr, fields)) or 'nothing'}."
    )


def _add(rows: Choices, item: dict, line: int, place: str) -> None:
    labels, texts = _choices(item["choices"], place)
    rows.contexts.append(check_text(item["context"], "the context", place))
    rows.questions.append(check_text(item["question"], "the question", place))
    rows.choices.append(texts)
    names = [choice_label(index) for index in range(len(texts))]
    rows.labels.append(names if labels is None else [*map(str, labels)])
    if rows.answers is not None:
        rows.answers.append(_index(item["answer"], labels, texts, place))
    identity = item["id"]
    rows.ids.append(None if identity is None else str(identity))
    rows.lines.append(line)


def _choices(value: object, place: str) -> tuple[list | None, list[str]]:
    """Labels, `None` where the file has none, and texts of the choices."""
    labels: list | None = None
    if isinstance(value, dict):
        labels = _first(value, ("label",), place)
        value = _first(value, ("text",), place)
    elif isinstance(value, list) and any(isinstance(x, dict) for x in value):
        pairs = [x if isinstance(x, dict) else {} for x in value]
        labels = [_first(x, ("label",), place) for x in pairs]
        value = [_first(x, ("text",), place) for x in pairs]
    if not isinstance(value, list) or len(value) < 2:
        found = (
            f"has {len(value)}" if isinstance(value, list) else "has no list"
        )
        raise ValueError(
            f"{place}: a question must have at least two choices. It {found}; "
            "add some, or remove the question."
        )
    texts = [check_text(text, "a choice", place) for text in value]
    empty = [index for index, text in enumerate(texts) if is_blank(text)]
    if empty:
        raise ValueError(
            f"{place}: a choice must not be empty. The one at index "
            f"{empty[0]} is; give it a text, or remove it."
        )
    if labels is None:
        return None, texts
    if (
        not isinstance(labels, list)
        or not all(isinstance(label, (str, int)) for label in labels)
        or not len(texts) == len(labels) == len(set(map(str, labels)))
    ):
        raise ValueError(
            f"{place}: each choice must have a label of its own, a text or a "
            f"number. The labels are {json.dumps(labels):.80} for "
            f"{len(texts)} choices."
        )
    return labels, texts


def choice_label(index: int) -> str:
    """The name of a choice that has none: `A`, `B`, …, then its index."""
    return chr(ord("A") + index) if index < 26 else str(index)


def _index(
    answer: object, labels: list | None, texts: list[str], place: str
) -> int:
    numbers = labels is not None and any(type(x) is int for x in labels)
    names = [choice_label(index) for index in range(len(texts))]
    if labels is not None:
        names = [*map(str, labels)]
    if type(answer) is int:
        if numbers and str(answer) in names:
            return names.index(str(answer))
        if not numbers and 0 <= answer < len(texts):
            return answer
    elif isinstance(answer, str):
        if answer.strip() in names:
            return names.index(answer.strip())
        if texts.count(answer) == 1:
            return texts.index(answer)
    raise ValueError(
        f"{place}: the answer must be the label of a choice "
        f"({', '.join(names)}), its text, or its index from 0. It is "
        f"{json.dumps(answer):.60}; correct it."
    )
