"""Lines of results."""

import json


def json_object(value):
    """A value in JSON, on a line of its own."""
    return json.dumps(value, ensure_ascii=False) + "\n"


def json_line(text, result):
    """A text and what `classify` gives for it, as a JSON object."""
    several = {"labels": result} if isinstance(result, list) else result
    return json.dumps({"text": text, **several}, ensure_ascii=False)


def tab_line(text, result):
    """Labels, scores and text, between tabs."""
    results = result if isinstance(result, list) else [result]
    labels = ",".join(_flat(str(item.get("label", ""))) for item in results)
    scores = ",".join(f"{item['score']:.4f}" for item in results)
    texts = [text] if isinstance(text, str) else text
    return "\t".join([labels, scores, *map(_flat, texts)])


def entity_lines(text, entities, as_json):
    """What `entities` finds in a text: a JSON object, or a line each.

    Lines have label, score, start, end and text, between tabs, and a blank
    line after them.
    """
    if as_json:
        found = {"text": text, "entities": entities}
        return json_object(found)
    lines = []
    for entity in entities:
        place = f"{entity['start']}\t{entity['end']}"
        score = f"{entity['score']:.4f}"
        fields = [entity["label"], score, place, _flat(entity["text"])]
        lines.append("\t".join(fields) + "\n")
    return "".join([*lines, "\n"])


def labelled_words(sentences, given, as_json):
    """Words with labels that a model gave, a string a sentence.

    JSON objects, or CoNLL columns: the word, the label that the file has
    where it was read, and the one that was given, as `conlleval` wants them.

    Args:
        sentences: a `keras_albert.data.conll.Sentences`.
        given: list of lists of labels.
        as_json: bool.
    """
    for index, labels in enumerate(given):
        words = sentences.words[index]
        if as_json:
            row = {"words": words, "labels": labels}
            yield json_object(row)
            continue
        columns = [words, map(str, labels)]
        if sentences.labels is not None:
            columns.insert(1, sentences.labels[index])
        rows = zip(*columns, strict=True)
        yield "".join("\t".join(row) + "\n" for row in rows) + "\n"


def choice_line(identity, label, question, result, as_json):
    """What `choose` gives for a question.

    A JSON object, or label, score, choice and question between tabs.

    Args:
        identity: the id of the question, or `None`.
        label: string, of the choice.
        question: string.
        result: dictionary, see `AlbertMultipleChoice.choose`.
        as_json: bool.
    """
    if as_json:
        row = {} if identity is None else {"id": identity}
        row |= {"question": question, "label": label, **result}
        return json_object(row)
    fields = [label, f"{result['score']:.4f}", result["choice"], question]
    return "\t".join(map(_flat, fields)) + "\n"


def embedding_line(text, vector, as_json):
    """A text and its vector: a JSON object, or numbers and text between tabs.

    The numbers have a space between them, as `numpy.loadtxt` reads them.
    """
    numbers = [round(float(x), 6) for x in vector]
    if as_json:
        row = {"text": text, "embedding": numbers}
        return json_object(row)
    return f"{' '.join(map(str, numbers))}\t{_flat(text)}\n"


def summary_lines(sentences, as_json):
    """What `summarize` gives of a document.

    A JSON object, or a sentence a line: its score and its text, between tabs,
    and a blank line after them.

    Args:
        sentences: list of dictionaries, see
            `AlbertSentenceExtractor.summarize`.
        as_json: bool.
    """
    if as_json:
        row = {"sentences": sentences}
        return json_object(row)
    lines = [f"{x['score']:.4f}\t{_flat(x['text'])}\n" for x in sentences]
    return "".join([*lines, "\n"])


def filled_lines(result):
    """Score, token and text of what `fill_mask` gives, between tabs.

    Several masks of a text are one after the other, and a blank line follows.
    """
    masks = [result] if isinstance(result[0], dict) else result
    lines = [
        f"{x['score']:.4f}\t{_flat(x['text'])}\t{_flat(x['sequence'])}\n"
        for mask in masks
        for x in mask
    ]
    return "".join([*lines, "\n"])


def _flat(text):
    # White space in it must not look like another field or line.
    return " ".join(text.split())
