"""Documents to blocks, summaries to labels, scores to sentences."""

import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka
from keras_albert.preprocessing.blocks import plan_blocks
from keras_albert.preprocessing.summaries import (
    oracle_labels,
    select_sentences,
)

DOCUMENTS = [
    ["It rains.", "We stay at home today.", "Good."],
    ["One only."],
    [],
    ["A long one that is cut off " * 4, "Never seen."],
]
LABELS = [[0, 1, 1], [1], [], [0, 1]]


@pytest.fixture(scope="module")
def preprocessor(tokenizer):
    return ka.AlbertSentenceExtractorPreprocessor(tokenizer, sequence_length=16)


def pieces(tokenizer, row):
    return [tokenizer.id_to_token(int(i)) for i in row]


@pytest.mark.once
def test_packing(preprocessor, tokenizer):
    x, y, weights = preprocessor(DOCUMENTS, LABELS)
    ids = [tokenizer(text).tolist() for text in DOCUMENTS[0]]
    expected, segments, starts = [], [], []
    for index, row in enumerate(ids):
        if len(expected) + len(row) + 2 > 16:
            break
        starts.append(len(expected))
        expected += [tokenizer.cls_token_id, *row, tokenizer.sep_token_id]
        segments += [index % 2] * (len(row) + 2)
    assert len(starts) >= 2
    tokens = x["padding_mask"][0].sum()
    assert x["token_ids"][0, :tokens].tolist() == expected
    assert x["segment_ids"][0, :tokens].tolist() == segments
    assert np.flatnonzero(weights[0]).tolist() == starts
    assert y[0, starts].tolist() == LABELS[0][: len(starts)]
    # Nothing: the special tokens. Too long: cut off, and nothing behind it.
    assert x["padding_mask"].sum(axis=1)[2:].tolist() == [2, 16]
    assert weights.sum(axis=1).tolist() == [len(starts), 1, 0, 1]


def test_pipelines_pack_as_python_does(preprocessor):
    expected = preprocessor(DOCUMENTS, LABELS, sample_weight=[1, 2, 3, 4])
    dataset = tf.data.Dataset.from_tensors(
        (
            tf.ragged.constant(DOCUMENTS, dtype=tf.string),
            tf.ragged.constant(LABELS, dtype=tf.int32),
            tf.constant([1.0, 2.0, 3.0, 4.0]),
        )
    ).map(lambda x, y, w: preprocessor(x, y=y, sample_weight=w))
    (received,) = dataset.as_numpy_iterator()
    tf.nest.map_structure(np.testing.assert_array_equal, received, expected)


@pytest.mark.once
def test_blocks_hold_each_sentence_once(preprocessor, tokenizer):
    text = " ".join(f"This is sentence {i} of them." for i in range(9))
    documents = preprocessor.documents([text, "", ["Here", "There"]])
    assert [len(part) for part in documents] == [9, 0, 2]
    blocks = preprocessor.blocks(documents)
    seen = [(b.document, i) for b in blocks for i in b.sentences]
    assert seen == [(0, i) for i in range(9)] + [(2, 0), (2, 1)]
    for block in blocks:
        assert len(block.token_ids) <= 16
        assert block.segment_ids[0] == 0
        for place, index in zip(block.positions, block.sentences, strict=True):
            ids = tokenizer(documents[block.document][index]).tolist()
            end = place + 1 + len(ids)
            assert block.token_ids[place] == tokenizer.cls_token_id
            assert block.token_ids[place + 1 : end] == ids


@pytest.mark.once
def test_blocks_are_few_and_even():
    assert plan_blocks([], 10) == []
    assert plan_blocks([10, 10], 10) == [range(0, 1), range(1, 2)]
    # Filled up, the second would be a single sentence.
    assert plan_blocks([2] * 6, 10) == [range(0, 3), range(3, 6)]
    generator = np.random.default_rng(0)
    for _ in range(50):
        sizes = generator.integers(1, 20, size=30).tolist()
        parts = plan_blocks(sizes, 50)
        assert [i for part in parts for i in part] == [*range(30)]
        assert all(sum(sizes[i] for i in part) <= 50 for part in parts)
        assert len(parts) <= -(-sum(sizes) // 31)


@pytest.mark.once
def test_labels_are_those_of_rouge():
    """The sentence that `rouge-score` finds nearest, of any words."""
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2"])
    generator = np.random.default_rng(1)

    def text(words):
        return " ".join(generator.choice([*"abcdefghij"], size=words))

    for _ in range(20):
        sentences, summary = [text(6) for _ in range(5)], text(7)
        scores = [
            sum(x.fmeasure for x in scorer.score(summary, sentence).values())
            for sentence in sentences
        ]
        labels = oracle_labels(sentences, summary, most=1)
        assert labels.index(1) == int(np.argmax(scores))


@pytest.mark.once
def test_labels_stop_where_more_is_no_better():
    sentences = ["The mill is closed.", "A bridge is built.", "It was warm."]
    summary = "The mill is closed, and a bridge is built"
    assert oracle_labels(sentences, summary) == [1, 1, 0]
    assert oracle_labels(sentences, summary, most=1) == [1, 0, 0]
    assert oracle_labels(sentences, ("no", "It was warm")) == [0, 0, 1]
    assert oracle_labels(sentences, "nothing else") == [0, 0, 0]
    assert oracle_labels(["今日は雨です。", "明日は雪。"], "明日雪") == [0, 1]


@pytest.mark.once
def test_sentences_that_repeat_are_left_out():
    sentences = [
        "A new bridge is built.",
        "He said: a NEW bridge, is it?",
        "Hm",
    ]
    scores = [0.8, 0.9, 0.1]
    assert select_sentences(sentences, scores, 2) == [1, 2]
    assert select_sentences(sentences, scores, 2, False) == [0, 1]
    assert select_sentences(sentences, [0.5] * 3, 1) == [0]
    assert select_sentences(sentences, scores, 9, False) == [0, 1, 2]


@pytest.mark.once
def test_summaries_become_labels(preprocessor):
    documents = ["It rains. We stay at home.", ["One only."]]
    y = preprocessor.labels(
        ["At home we stay.", ("none", "One")],
        preprocessor.documents(documents),
    )
    assert y == [[0, 1], [1]]


@pytest.mark.once
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            ["Is it? No."],
            [[1]],
            "index 0: each sentence must have one label.*2",
        ),
        (["Hm."], [[2]], "index 0: labels must be a list of 0 and 1"),
        (["Hm."], [["1"]], "index 0: labels must be a list of 0 and 1"),
        (["Hm.", "Hm."], [[1]], "labels, or a summary, for each document"),
        ([3], None, "index 0: 3"),
        ([["Hm", " "]], None, "document at index 0: ' '"),
    ],
)
def test_bad_input(preprocessor, x, y, message):
    with pytest.raises(ValueError, match=message):
        preprocessor(x, y)


@pytest.mark.once
def test_bad_arguments(tokenizer):
    with pytest.raises(ValueError, match="at least 3"):
        ka.AlbertSentenceExtractorPreprocessor(tokenizer, sequence_length=2)
