"""`train embed`, `evaluate` and `predict`, from files to files."""

import json

import numpy as np
import pytest

import keras_albert as ka
from keras_albert.cli import main
from keras_albert.data.pairs import PairFiles
from keras_albert.training.text_embedding import pair_batches

pytestmark = pytest.mark.once

TOPICS = ["rain", "an alarm", "the king", "a fish", "music", "the way home"]
SIZES = (
    "--hidden-dim 16 --num-layers 1 --num-heads 2 --embedding-dim 8 "
    "--intermediate-dim 32 --max-length 24"
)
COLUMNS = "--text-column question --pair-column answer"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("embed")
    rows = ["question,answer,topic,score"]
    for index, topic in enumerate(TOPICS):
        rows.append(f"Is it {topic}?,It is {topic}.,{topic},{index % 6}")
        rows.append(f"Why {topic}?,It is {topic}.,{topic},{(index + 3) % 6}")
    (folder / "train.csv").write_text("\n".join(rows))
    (folder / "vocabulary.spm").write_bytes(tokenizer.proto)
    return folder


def train(folder, *extra, data="train.csv", output="run"):
    return main(
        [
            "train",
            "embed",
            *("--train", str(folder / data), "--valid", str(folder / data)),
            *(*COLUMNS.split(), "-o", str(folder / output)),
            *("--vocabulary", str(folder / "vocabulary.spm"), *SIZES.split()),
            *extra,
        ]
    )


@pytest.fixture(scope="module")
def model(folder):
    assert train(folder, "--epochs", "12", "--learning-rate", "3e-2") == 0
    return str(folder / "run" / "model")


def run(capsys, *arguments):
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def vectors(capsys, model, *texts):
    lines = run(capsys, "predict", model, *texts, "--json").splitlines()
    results = [json.loads(line) for line in lines]
    assert [result["text"] for result in results] == [*texts]
    return np.array([result["embedding"] for result in results])


def test_metrics_are_those_of_the_run(model, folder, capsys):
    saved = json.loads((folder / "run" / "metrics.json").read_text())
    assert saved["mrr"] > 0.7  # Of guessing 0.41.
    scores = json.loads(
        run(
            capsys,
            *("evaluate", model, "--data", folder / "train.csv", "--json"),
            *COLUMNS.split(),
        )
    )
    assert scores["rows"] == 12 and scores["candidates"] == 6
    for name in ("mrr", "recall@1", "recall@5"):
        assert scores[name] == pytest.approx(saved[name], abs=1e-5)
    # From the vectors that `predict` writes.
    queries = vectors(capsys, model, *(f"Is it {x}?" for x in TOPICS))
    queries = [
        *queries,
        *vectors(capsys, model, *(f"Why {x}?" for x in TOPICS)),
    ]
    answers = vectors(capsys, model, *(f"It is {x}." for x in TOPICS))
    found = (np.array(queries) @ answers.T).argmax(axis=1)
    assert scores["recall@1"] == pytest.approx(
        np.mean(found == np.tile(np.arange(6), 2))
    )


def test_lines_of_numbers(model, folder, capsys):
    line = run(capsys, "predict", model, "Is it\train?")
    numbers, text = line.rstrip("\n").split("\t")
    values = np.array(numbers.split(), float)
    assert values.shape == (16,) and text == "Is it rain?"
    assert np.linalg.norm(values) == pytest.approx(1, abs=1e-4)
    lines = run(
        capsys,
        *("predict", model, "--data", folder / "train.csv"),
        *("--text-column", "question"),
    )
    assert len(lines.splitlines()) == 12


def test_scores(folder, capsys):
    from scipy.stats import pearsonr, spearmanr

    extra = "--label-column score --regression --score-range 0 5 --epochs 2"
    assert train(folder, *extra.split(), output="scores") == 0
    capsys.readouterr()
    model = str(folder / "scores" / "model")
    scores = json.loads(
        run(
            capsys,
            *("evaluate", model, "--data", folder / "train.csv", "--json"),
            *(*COLUMNS.split(), "--label-column", "score"),
        )
    )
    rows = (folder / "train.csv").read_text().splitlines()[1:]
    questions, answers, _, given = zip(
        *(r.split(",") for r in rows), strict=True
    )
    embedder = ka.AlbertTextEmbedder.from_preset(model)
    assert embedder.score_range == (0.0, 5.0)
    cosine = (embedder.embed([*questions]) * embedder.embed([*answers])).sum(1)
    given = np.array(given, float)
    expected = spearmanr(cosine, given).statistic
    assert scores["spearman"] == pytest.approx(expected, abs=1e-4)
    expected = pearsonr(cosine, given).statistic
    assert scores["pearson"] == pytest.approx(expected, abs=1e-4)
    loss = ((cosine - given / 5) ** 2).mean()
    assert scores["loss"] == pytest.approx(loss, abs=1e-5)


def test_batches_are_the_examples(model):
    """Each example once an epoch, its texts row after row."""
    task = ka.AlbertTextEmbedder.from_preset(model)
    examples = [
        (f"Is it {x}?" * (1 + i), f"It is {x}.", "Hm. " * (9 - i))
        for i, x in enumerate(TOPICS)
    ]
    batches = pair_batches(task, (examples, [*"abcabc"]), 4, 0, "auto")
    seen = []
    for features, targets in batches.dataset(1).as_numpy_iterator():
        assert len(targets) == len(features["token_ids"])
        for row in range(0, len(targets), 3):
            assert targets[row : row + 3, 1].tolist() == [0, 1, 2]
            (index,) = {*targets[row : row + 3, 0].tolist()}
            seen.append(index)
            expected = task.preprocessor([*examples[index]])
            mask = features["padding_mask"][row : row + 3]
            for got, want in zip(
                features["token_ids"][row : row + 3],
                np.asarray(expected["token_ids"]),
                strict=True,
            ):
                np.testing.assert_array_equal(got, want[: len(got)])
            assert mask.sum() == np.asarray(expected["padding_mask"]).sum()
    assert sorted(seen) == [*range(6)]


@pytest.mark.parametrize(
    ("row", "extra", "words"),
    [
        ("Why?, ,x,1", "", ["line 3", "'answer'", "must not be empty"]),
        (
            "Why?,So.,x,7",
            "--label-column score --regression --score-range 0 5",
            ["line 3", "range 0 to 5", "It is 7"],
        ),
        (
            "Why?,So.,x,high",
            "--label-column score --regression",
            ["line 3", "'high'"],
        ),
        (
            "Why?,So.,So.,1",
            "--negative-column topic",
            ["line 3", "a hard negative"],
        ),
        ("Why?,No.,x,1", "", ["at least two different second texts"]),
        ("Why?,So.,x,1", "--regression", ["must be in a column"]),
        (
            "Why?,So.,x,1",
            "--negative-column answer",
            ["column of their own", "'answer'"],
        ),
        ("Why?,So.,x,1", "--temperature 0", ["`temperature`", "positive"]),
        (
            "Why?,So., ,1",
            "--label-column topic",
            ["line 3", "the label must not be empty"],
        ),
        (
            "Why?,So.,x,0.5",
            "--label-column score",
            ["line 3", "0.5", "regression"],
        ),
        (
            "Why?,So.,x,1",
            "--label-column score --regression --score-range 5 0",
            ["lowest and the highest", "5, 0"],
        ),
        (
            "Why?,So.,x,1",
            "--label-column score --regression --score-range 0 inf",
            ["lowest and the highest", "0, inf"],
        ),
        ("Why?,So.,x,1", "--score-range 0 5", ["must come with scores"]),
    ],
)
def test_bad_rows(folder, capsys, row, extra, words):
    rows = ["question,answer,topic,score", "Is it?,No.,y,0", row]
    (folder / "bad.csv").write_text("\n".join(rows))
    assert train(folder, *extra.split(), data="bad.csv", output="bad") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error
    assert not (folder / "bad").exists()


def test_classes_are_one_each(tmp_path):
    """Several a row would be taken for the classes of other rows."""
    rows = [{"a": "Is it?", "b": "No.", "topic": ["x", "y"]}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = PairFiles("a", "b", label_column="topic")
    with pytest.raises(ValueError, match="line 1: the class must be one"):
        files.targets(files.read(tmp_path / "a.jsonl"))


def test_vectors_of_pairs_are_not_promised(model, folder, capsys):
    data = ("--data", str(folder / "train.csv"), *COLUMNS.split())
    assert main(["predict", model, *data]) == 2
    assert "--pair-column must be left out" in capsys.readouterr().err
