import pytest

from keras_albert.preprocessing.sentences import (
    document_spans,
    split_sentences,
)

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "sentences",
    [
        ["It rained.", "We stayed at home!", "Why not?", "Well …", "So be it."],
        ["Mr. Holmes met J. Watson, M.D. and left.", "He paid $3.50 for it."],
        ["“Is it late?” she asked.", "“No.”", "(It was.)", "'Go!'"],
        ["Really?! Yes, e.g. at 3.14 p.m. or so."],
        ["Cf. Fig. 3 and vol. II of the report.", "See there."],
        ["¿Qué hora es?", "¡Tarde!", "Ça va."],
        ["no marks at all"],
    ],
)
def test_spaces_between_sentences(sentences):
    if sentences[0].startswith("Really"):
        sentences = ["Really?!", "Yes, e.g. at 3.14 p.m. or so."]
    assert split_sentences(" ".join(sentences)) == sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["今天天气很好。", "我们去公园吧！", "你来吗？", "“好的。”", "他说"],
        ["これはペンです。", "「そうですか？」", "はい。"],
        ["यह एक वाक्य है।", "यह दूसरा है॥"],
    ],
)
def test_no_spaces_between_sentences(sentences):
    assert split_sentences("".join(sentences)) == sentences


@pytest.mark.parametrize("text", ["", "  ", "\u3000"])
def test_nothing(text):
    assert split_sentences(text) == []


def test_nothing_is_lost():
    text = "A b.C d. 12. Third!No?Yes. … end.  \t“Q.” z 。。a"
    joined = "".join(split_sentences(text))
    assert "".join(joined.split()) == "".join(text.split())


def test_runs_of_marks_take_no_longer():
    """A table of contents, or spam: not each mark is tried anew."""
    text = "Chapter 1" + "." * 300_000 + "12 and so on. The end"
    assert split_sentences(text) == [text[:-8], "The end"]


def test_spans_are_places_in_the_text():
    text = "  One is here.  Two, too!\n\n \nA heading\n\nThree is\nlast. "
    spans = document_spans(text)
    assert [text[start:end] for start, end in spans] == [
        "One is here.",
        "Two, too!",
        "A heading",
        "Three is\nlast.",
    ]
    assert document_spans(" \n\n ") == []
