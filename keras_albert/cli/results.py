"""Lines of results."""

import json


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


def _flat(text):
    # White space in it must not look like another field or line.
    return " ".join(text.split())
