"""`train extract`, `evaluate` and `predict`, from files to files."""

import json

import numpy as np
import pytest

import keras_albert as ka
from keras_albert.cli import main
from keras_albert.data.summaries import read_documents
from keras_albert.training import sentence_extraction as training

pytestmark = pytest.mark.once

SIZES = (
    "--hidden-dim 16 --num-layers 1 --num-heads 2 --embedding-dim 8 "
    "--intermediate-dim 32 --max-length 32"
)
NOISE = ["It was warm.", "Nobody came.", "He had tea."]


def documents():
    """What is built is the news, wherever it stands."""
    rows = []
    for index in range(18):
        news = f"A bridge will be built in town {index}."
        sentences = [f"Day {index}: {text}" for text in NOISE]
        sentences.insert(index % 4, news)
        rows.append({"text": " ".join(sentences), "summary": news})
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("extract")
    lines = "\n".join(map(json.dumps, documents()))
    (folder / "train.jsonl").write_text(lines)
    (folder / "vocabulary.spm").write_bytes(tokenizer.proto)
    return folder


def train(folder, *extra, data="train.jsonl", output="run"):
    return main(
        [
            "train",
            "extract",
            *("--train", str(folder / data), "--valid", str(folder / data)),
            *("-o", str(folder / output), "--sentences", "1"),
            *("--vocabulary", str(folder / "vocabulary.spm"), *SIZES.split()),
            *extra,
        ]
    )


@pytest.fixture(scope="module")
def model(folder):
    assert train(folder, "--epochs", "20", "--learning-rate", "3e-2") == 0
    return str(folder / "run" / "model")


def run(capsys, *arguments):
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_metrics_are_those_of_the_run(model, folder, capsys):
    scorers = pytest.importorskip("rouge_score.rouge_scorer")
    saved = json.loads((folder / "run" / "metrics.json").read_text())
    assert saved["sentence_f1"] > 0.9
    assert saved["lead_sentence_f1"] == pytest.approx(5 / 18)
    data = folder / "train.jsonl"
    options = ("--data", data, "--sentences", "1", "--json")
    scores = json.loads(run(capsys, "evaluate", model, *options))
    assert scores["rows"] == 18
    for name in ("sentence_f1", "lead_sentence_f1", "loss"):
        assert scores[name] == pytest.approx(saved[name], abs=1e-4)
    # From the lines that `predict` writes.
    lines = run(capsys, "predict", model, *options).splitlines()
    scorer = scorers.RougeScorer(["rouge2"], use_stemmer=True)
    given = [json.loads(line)["sentences"][0] for line in lines]
    for name, texts in [
        ("rouge2", [x["text"] for x in given]),
        ("lead_rouge2", [x["text"].split(".")[0] for x in documents()]),
    ]:
        expected = [
            scorer.score(row["summary"], text)["rouge2"].fmeasure
            for row, text in zip(documents(), texts, strict=True)
        ]
        assert scores[name] == pytest.approx(np.mean(expected))
    for row, x in zip(documents(), given, strict=True):
        assert row["text"][x["start"] : x["end"]] == x["text"]


def test_lines_of_sentences(model, capsys):
    text = "He had\ttea. A bridge will be built in town 3."
    lines = run(capsys, "predict", model, text).split("\n")
    assert lines[0].split("\t")[1] == "He had tea."
    assert 0 < float(lines[1].split("\t")[0]) <= 1
    assert lines[2:] == ["", ""]
    assert main(["predict", model, text, "--sentences", "0"]) == 2
    assert "`sentences` must be positive" in capsys.readouterr().err


def test_no_sentences(folder, model, capsys):
    data = ("--data", str(folder / "train.jsonl"))
    assert main(["evaluate", model, *data, "--sentences", "0"]) == 2
    assert "`sentences` must be positive" in capsys.readouterr().err


def test_rouge_of_other_scripts():
    """`rouge-score` drops their letters: equal texts have nothing in common."""
    pytest.importorskip("rouge_score")
    texts = ["यह एक वाक्य है।", "It rains."]
    with pytest.warns(UserWarning, match="1 of 2 summaries have none"):
        assert training.score_rouge(texts, texts)["rouge1"] == 0.5
    with pytest.raises(ValueError, match="1 texts and 0 summaries"):
        training.score_rouge(texts[:1], [])


def test_batches_are_the_blocks(folder, model):
    task = ka.AlbertSentenceExtractor.from_preset(model)
    rows = read_documents(folder / "train.jsonl")
    data = training.labelled(task, rows)
    batches = training.block_batches(task, data, 4, 0, "auto")
    blocks = task.preprocessor.blocks(data[0])
    assert len(blocks) > len(rows)
    expected = {
        tuple(block.token_ids): [
            data[1][block.document][i] for i in block.sentences
        ]
        for block in blocks
    }
    seen = 0
    for features, labels, weights in batches.dataset(0).as_numpy_iterator():
        for row, mask in enumerate(features["padding_mask"]):
            ids = tuple(features["token_ids"][row, : mask.sum()].tolist())
            assert labels[row][weights[row] > 0].tolist() == expected[ids]
            seen += 1
    assert seen == len(blocks)


def test_formats(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"source": ["A.", "B."], "target": ["a", "c"], "marks": [1, 0]}\n'
        '{"source": "A. B.", "target": "b", "marks": "0 1"}\n'
    )
    path = tmp_path / "a.jsonl"
    rows = read_documents(path, "source", "target", "marks")
    assert rows.documents == [["A.", "B."], "A. B."]
    assert rows.summaries == [("a", "c"), "b"]
    assert rows.labels == [[1, 0], [0, 1]]
    (tmp_path / "a.csv").write_text('text,summary\n"A. B.",a\n')
    rows = read_documents(tmp_path / "a.csv")
    assert (rows.documents, rows.summaries) == (["A. B."], ["a"])
    assert rows.labels is None


@pytest.mark.parametrize(
    ("change", "extra", "words"),
    [
        ({"text": " "}, "", ["line 2", "at least one sentence"]),
        ({"text": ["Hm", ""]}, "", ["line 2", "a sentence must not be empty"]),
        ({"text": 3}, "", ["line 2", "the document must be a text"]),
        ({"summary": ""}, "", ["line 2", "the summary must not be empty"]),
        (
            {"labels": [1]},
            "--label-column labels",
            ["line 2", "4 sentences and 1 labels"],
        ),
        (
            {"labels": [1, 0, 2, 0]},
            "--label-column labels",
            ["line 2", "0 and 1", "2"],
        ),
        ({}, "--summary-column text", ["columns of their own"]),
        ({}, "--sentences 0", ["`sentences` must be positive"]),
    ],
)
def test_bad_rows(folder, capsys, change, extra, words):
    first, second = ({**row, "labels": [0, 0, 0, 1]} for row in documents()[:2])
    lines = [json.dumps(first), json.dumps({**second, **change})]
    (folder / "bad.jsonl").write_text("\n".join(lines))
    assert train(folder, *extra.split(), data="bad.jsonl", output="bad") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error
