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
        lines = ("\t".join(map(_flat, row)) + "\n" for row in rows)
        yield "".join(lines) + "\n"


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


def inspection_lines(report):
    """What `inspect_files` reports, in lines.

    Args:
        report: dictionary, see `keras_albert.data.inspection.inspect_files`.
    """
    for facts in report["files"]:
        yield f"{facts['path']}: {facts['rows']:,} rows"
        yield from _facts_of_file(facts, report)
    for pair in report["between"]:
        yield f"{pair['files'][0]} and {pair['files'][1]}:"
        yield _fact("in both", _repeated(pair))
        if pair.get("new_labels"):
            names = ", ".join(map(repr, pair["new_labels"][:10]))
            yield _fact("new labels", f"{len(pair['new_labels'])}: {names}")
    if "conflicts" in report:
        yield "rows that another one labels otherwise:"
        yield _fact("", _repeated(report["conflicts"]))
    for found in report["findings"]:
        places = "; ".join(found["where"])
        yield f"{found['what']}: {places}: {_flat(found['shown'])}"
    yield "leakage between files: " + ("yes" if report["leaks"] else "none")


def _facts_of_file(facts, report):
    yield _fact("repeated", _repeated(facts))
    yield _fact("empty texts", f"{facts['empty']:,}")
    tokens = ", ".join(
        f"{100 * float(share):.0f} % up to {count}"
        for share, count in facts["tokens"].items()
        if share != "max"
    )
    yield _fact("tokens", f"{tokens}, longest {facts['tokens']['max']}")
    rate = f"{100 * facts['cut_rate']:.2f} % of rows"
    yield _fact(f"cut at {report['max_length']}", f"{facts['cut']:,}, {rate}")
    rate = f"{100 * facts['unknown_rate']:.3f} % of tokens"
    rows = f"in {facts['rows_with_unknown']:,} rows"
    yield _fact("unknown", f"{facts['unknown']:,}, {rate}, {rows}")
    if "scores" in facts:
        scores = [f"{k} {v:.4g}" for k, v in facts["scores"].items()]
        yield _fact("scores", ", ".join(scores))
    if "labels" in facts:
        names = list(facts["labels"].items())
        shown = names if len(names) <= 12 else [*names[:6], *names[-6:]]
        yield _fact("labels", ", ".join(f"{k} {v:,}" for k, v in shown))
        if len(names) > len(shown):
            yield _fact("", f"{len(names)} in all, others between these")
        yield _fact("blank labels", f"{facts['unlabelled']:,}")


def _repeated(counts):
    return ", ".join(
        f"{counts[key]:,} {what}"
        for key, what in (
            ("copies", "copies"),
            ("near_duplicates", "near-duplicates"),
        )
        if key in counts
    )


def _fact(name, value):
    return f"  {name:<14}{value}"


def _flat(text):
    # White space in it must not look like another field or line.
    return " ".join(text.split())
