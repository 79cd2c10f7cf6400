"""Questions on texts: SQuAD's JSON, versions 1.1 and 2.0, and JSON lines."""

import dataclasses
import json
import os
from collections.abc import Iterator

from keras_albert.data.readers import check_text, is_blank, read_text

FORMATS = (".json", ".jsonl")
# Of the questions that a message names.
_NAMED = 3


@dataclasses.dataclass
class Questions:
    """What `read_questions` read, a row a question.

    Attributes:
        ids: list of strings, all different.
        questions: list of strings.
        contexts: list of strings, the text that each question is about.
            Questions on one text share the string.
        answers: a list a question of `{"text", "answer_start"}`, none where
            there is no answer in the text. `answer_start`, in characters, is
            where `text` stands in the context; `None` where it does not.
            `None` for all when they were not asked for.
        places: list of strings, where in the file each question stands.
        path: string, the file.
        moved: int, the answers whose text did not stand at their offset, and
            got that of the nearest place where it does.
    """

    ids: list[str]
    questions: list[str]
    contexts: list[str]
    answers: list[list[dict]] | None
    places: list[str]
    path: str
    moved: int = 0

    def __len__(self):
        return len(self.ids)

    def texts(self) -> dict[str, list[str]]:
        """The texts of the answers by id, as scores are computed from."""
        return {
            name: [answer["text"] for answer in answers]
            for name, answers in zip(self.ids, self.answers or (), strict=True)
        }

    @property
    def has_unanswerable(self) -> bool:
        """Whether a question has no answer, as in version 2.0."""
        return not all(self.answers or ())

    def select(self, indices) -> "Questions":
        """Some of the rows.

        Args:
            indices: ints.
        """

        def chosen(column):
            return [column[index] for index in indices]

        return dataclasses.replace(
            self,
            ids=chosen(self.ids),
            questions=chosen(self.questions),
            contexts=chosen(self.contexts),
            answers=None if self.answers is None else chosen(self.answers),
            places=chosen(self.places),
        )

    def learnable(self) -> tuple["Questions", list[str]]:
        """What can be trained on: an answer that is in the text, or none.

        Returns:
            The rows, and the ids of those left out: they have answers, none
            of which is in the text.
        """
        kept, left_out = [], []
        for index, answers in enumerate(self.answers or ()):
            if answers and all(x["answer_start"] is None for x in answers):
                left_out.append(self.ids[index])
            else:
                kept.append(index)
        rows = self.select(kept)
        rows.answers = [
            [x for x in answers if x["answer_start"] is not None]
            for answers in rows.answers or ()
        ]
        return rows, left_out

    def notes(self) -> list[str]:
        """What was done to the answers, a sentence each, for people."""
        notes = []
        if self.moved:
            notes.append(
                f"{self.path}: {self.moved} answers did not stand at their "
                "offset, and were found nearby."
            )
        left_out = self.learnable()[1]
        if left_out:
            more = ", …" if len(left_out) > _NAMED else ""
            notes.append(
                f"{self.path}: {len(left_out)} of {len(self)} questions have "
                "no answer that is in the text, and cannot be trained on: "
                f"{', '.join(left_out[:_NAMED])}{more}."
            )
        return notes


def read_questions(
    path: str | os.PathLike, with_answers: bool = True
) -> Questions:
    """Reads questions, the texts they are about, and their answers.

    Two formats, each plain or `.gz`, told apart by their content:

    - SQuAD's JSON, versions 1.1 and 2.0;
    - JSON lines, an object a question: `question`, `context`, `answers` and,
      if there are such, `id` (else the number of the line). Answers are a
      list of `{"text", "answer_start"}` or of texts, one of either, or
      `{"text": […], "answer_start": […]}` as in Hugging Face's data sets; an
      empty list where there is none.

    An answer without an offset is looked for, and taken where it stands
    first. One that does not stand at its offset is taken where it stands
    next to it, and counted.

    Args:
        path: path of a UTF-8 file, `.json` or `.jsonl`.
        with_answers: bool. Whether there must be answers. Else they are not
            looked at.

    Returns:
        A `Questions`, at least one row long.

    Raises:
        ValueError: if the file or a row of it is not as described, a
            question is empty, a context has no words, an id occurs twice, or
            an answer's span is outside of its context; the message names
            file and row.
        OSError: if there is no such file, or it cannot be read.
    """
    path = os.fspath(path)
    rows = Questions([], [], [], [] if with_answers else None, [], path)
    known: dict[str, str] = {}
    contexts: dict[str, str] = {}
    for place, fields in _records(path):
        if not isinstance(fields["id"], (str, int)):
            raise ValueError(
                f"{place} must have an id that is a text or a number. It is "
                f"{json.dumps(fields['id']):.60}; correct it."
            )
        name = str(fields["id"])
        if name in known:
            raise ValueError(
                f"{place}: each question must have an id of its own. "
                f"{name!r} is also that of {known[name]}; rename one."
            )
        known[name] = place
        question = _text(fields, "question", place)
        if is_blank(question):
            raise ValueError(
                f"{place}: the question must not be empty. Give it words, or "
                "remove the row."
            )
        context = _text(fields, "context", place)
        context = contexts.setdefault(context, context)
        if not any(map(str.isalnum, context)):
            raise ValueError(
                f"{place}: the context must hold words. It is "
                f"{context!r:.60}; give it some, or remove the row."
            )
        rows.ids.append(name)
        rows.questions.append(question)
        rows.contexts.append(context)
        rows.places.append(place)
        if rows.answers is not None:
            if "answers" not in fields:
                raise ValueError(
                    f"{place} must have 'answers', an empty list where there "
                    f"is none. Its fields are {', '.join(map(repr, fields))}."
                )
            answers = parse_answers(fields["answers"], place)
            _check_impossible(fields.get("is_impossible"), answers, place)
            rows.moved += locate_answers(answers, context, place)
            rows.answers.append(answers)
    if not rows.ids:
        raise ValueError(
            f"{path} must hold at least one question. It holds none; check "
            "that it was written in full."
        )
    return rows


# === Files ===


def _records(path) -> Iterator[tuple[str, dict]]:
    plain = path[:-3] if path.lower().endswith(".gz") else path
    if os.path.splitext(plain)[1].lower() not in FORMATS:
        raise ValueError(
            f"A file of questions must end in {' or '.join(FORMATS)}, with "
            f"or without .gz. Received: {path}; convert or rename it."
        )
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        # Several lines, or neither of the formats: the line tells.
        return _json_lines(text, path)
    if isinstance(content, dict) and "data" in content:
        return _squad(content, path)
    return _json_lines(text, path)


def _squad(content, path) -> Iterator[tuple[str, dict]]:
    for a, article in enumerate(_list(content, "data", path)):
        where = f"{path}, article {a + 1}"
        for p, paragraph in enumerate(_list(article, "paragraphs", where)):
            where = f"{path}, article {a + 1}, paragraph {p + 1}"
            for q, question in enumerate(_list(paragraph, "qas", where)):
                place = f"{where}, question {q + 1}"
                fields = _object(question, place)
                if "id" not in fields:
                    raise ValueError(
                        f"{place} must have an id. Its fields are "
                        f"{', '.join(map(repr, fields))}."
                    )
                place = f"{path}, question {fields['id']!r}"
                context = {"context": paragraph.get("context")}
                yield place, {**context, **fields}


def _json_lines(text, path) -> Iterator[tuple[str, dict]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{place} must be JSON. It is not: "
                f"{getattr(error, 'msg', error)}. A file of questions is "
                "SQuAD's JSON, or holds one object a line, such as "
                '{"question": "…", "context": "…", "answers": ["…"]}.'
            ) from error
        yield place, {"id": str(number), **_object(fields, place)}


def _object(value, place):
    if not isinstance(value, dict):
        raise ValueError(
            f"{place} must be a JSON object. It is a {type(value).__name__}."
        )
    return value


def _list(value, name, place):
    items = _object(value, place).get(name)
    if not isinstance(items, list):
        raise ValueError(
            f"{place} must hold a list {name!r}, as SQuAD's JSON. It holds "
            f"{', '.join(map(repr, value)) or 'nothing'}."
        )
    return items


def _text(fields, name, place):
    if fields.get(name) is None:
        raise ValueError(f"{place}: {name!r} must be a text. It is not there.")
    return check_text(fields[name], repr(name), place)


# === Answers ===


def parse_answers(given, place: str) -> list[dict]:
    """The answers of a question, whichever way they are written.

    Args:
        given: see `read_questions`; `None` is no answer.
        place: string, what names the question in messages.

    Returns:
        list of `{"text", "answer_start"}`, the offset `None` where there is
        none.

    Raises:
        ValueError: if they are written otherwise.
    """
    if isinstance(given, dict) and isinstance(given.get("text"), list):
        starts = given.get("answer_start")
        if starts is None:
            starts = [None] * len(given["text"])
        if not isinstance(starts, list) or len(starts) != len(given["text"]):
            raise ValueError(
                f"{place}: there must be an 'answer_start' for each text of "
                f"the answers. They are {given!r:.100}."
            )
        given = [
            {"text": text, "answer_start": start}
            for text, start in zip(given["text"], starts, strict=True)
        ]
    elif given is None:
        given = []
    elif not isinstance(given, list):
        given = [given]
    answers = []
    for answer in given:
        if isinstance(answer, str):
            answer = {"text": answer}
        start = _object(answer, f"{place}, the answer").get("answer_start")
        text = _text(answer, "text", f"{place}, the answer")
        if start is not None and type(start) is not int:
            raise ValueError(
                f"{place}: 'answer_start' must be a number of characters. It "
                f"is {start!r:.60}."
            )
        answers.append({"text": text, "answer_start": start})
    return answers


def _check_impossible(stated, answers: list[dict], place: str) -> None:
    if stated not in (None, True, False):
        raise ValueError(
            f"{place}: 'is_impossible' must be true or false. It is "
            f"{json.dumps(stated):.60}; correct it."
        )
    if stated and answers:
        raise ValueError(
            f"{place} must have no answers, or not be 'is_impossible'. It has "
            f"{len(answers)}, the first {answers[0]['text']!r:.60}."
        )
    if stated is not None and not stated and not answers:
        raise ValueError(
            f"{place} must have an answer, or be 'is_impossible'. It has none, "
            "and says that there is one; correct it, or remove the question."
        )


def locate_answers(answers: list[dict], context: str, place: str) -> int:
    """Puts answers where their text stands, see `read_questions`.

    Args:
        answers: list of `parse_answers`. An `"answer_start"` becomes `None`
            where the text is not in the context.
        context: string.
        place: string, what names the question in messages.

    Returns:
        int, how many did not stand at their offset, and were found nearby.

    Raises:
        ValueError: if the span of an answer is outside of the context.
    """
    moved = 0
    for answer in answers:
        text, start = answer["text"], answer["answer_start"]
        if start is None:
            answer["answer_start"] = nearest(context, text, 0)
            continue
        if not 0 <= start <= len(context) - len(text):
            raise ValueError(
                f"{place}: the answer must lie in its context of "
                f"{len(context)} characters. {text!r:.60} would be at {start} "
                f"to {start + len(text)}; correct 'answer_start', which "
                "counts characters, or leave it out."
            )
        if context[start : start + len(text)] != text or not text.strip():
            answer["answer_start"] = nearest(context, text, start)
            moved += answer["answer_start"] is not None
    return moved


def nearest(context: str, text: str, start: int) -> int | None:
    """Where a text stands that is nearest to an offset.

    Args:
        context: string.
        text: string.
        start: int, in characters.

    Returns:
        int, in characters, the first of two that are as near; `None` where
        it stands nowhere, or has nothing but white space in it.
    """
    if not text.strip():
        return None
    before = context.rfind(text, 0, start + len(text))
    after = context.find(text, start)
    found = [place for place in (before, after) if place >= 0]
    return min(found, key=lambda place: abs(place - start), default=None)
