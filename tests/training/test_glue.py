"""GLUE from files to results: seeds, the last model, resuming, submissions."""

import io
import json

import numpy as np
import pytest
import sklearn.metrics as sklearn
from scipy import stats

import keras_albert as ka
from keras_albert.cli import main
from keras_albert.data.glue import TASKS, read_task
from keras_albert.training import glue
from keras_albert.training.glue import RECIPES, run_glue, score_glue
from keras_albert.training.glue_report import report, spread

PLACES = ("Rome", "Oslo", "the hills", "bed", "town", "a tent")
# Less than an epoch of all tasks but MRPC.
RECIPE = {"batch_size": 8, "learning_rate": 1e-2, "steps": 50}
SIZES = {
    "hidden_dim": 16,
    "num_layers": 1,
    "num_heads": 2,
    "embedding_dim": 8,
    "intermediate_dim": 32,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory, tokenizer):
    """Made-up CoLA, MRPC, STS-B and MNLI, some of them with test files."""
    folder = tmp_path_factory.mktemp("glue")

    def write(name, header, rows):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        lines = ["\t".join(map(str, row)) for row in rows]
        path.write_text("\n".join([*header, *lines]) + "\n")

    sentences = [
        (f"{word} in {place}.", int(word == "Rain"))
        for place in PLACES
        for word in ("Rain", "Sun")
    ]
    for split, times in (("train", 40), ("dev", 1)):
        write(
            f"CoLA/{split}.tsv",
            [],
            [("a", label, "", text) for text, label in sentences] * times,
        )
        write(
            f"MRPC/{split}.tsv",
            ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"],
            [
                (y, 1, 2, text, text[::-1])
                for text, y in sentences * (times // 2 or 1)
            ],
        )
        write(
            f"STS-B/sts-{split}.tsv",
            [],
            [
                ("g", "f", "2012", 1, 2.4 + 2.5 * y - 0.1 * i, text, text)
                for i, (text, y) in enumerate(sentences)
            ]
            * times,
        )
    write("CoLA/test.tsv", ["index\tsentence"], [(9, "Sun."), (4, "Rain.")])
    write(
        "STS-B/sts-test.tsv",
        [],
        [("g", "f", "2012", 1, 2.5, text, text) for text, _ in sentences[:3]],
    )
    classes = ("neutral", "entailment", "contradiction")
    header = "index\tsentence1\tsentence2"
    for split in ("train", "dev_matched", "dev_mismatched"):
        rows = [
            (i, text, text, classes[i % 3])
            for i, (text, _) in enumerate(sentences)
        ]
        rows *= 40 if split == "train" else 1
        write(f"MNLI/{split}.tsv", [f"{header}\tgold_label"], rows)
    write("MNLI/test_matched.tsv", [header], [(0, "Rain.", "Rain.")])
    write("AX/AX.tsv", [header], [(5, "Sun.", "Sun."), (6, "Hm.", "Hm.")])
    (folder / "vocabulary.spm").write_bytes(tokenizer.proto)
    return folder


def run(data, output, **kwargs):
    stream = io.StringIO()
    options = {
        "tasks": ["CoLA"],
        "seeds": [0],
        "model": {
            "vocabulary": str(data / "vocabulary.spm"),
            "sizes": SIZES,
            "max_length": 16,
        },
        "recipe": RECIPE,
        "stream": stream,
        **kwargs,
    }
    return run_glue(data, output, **options), stream.getvalue()


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs")
    results, told = run(
        data, output, tasks=["CoLA", "STS-B", "MNLI"], seeds=[3, 5]
    )
    return output, results, told


def table_of(path):
    header, *rows = path.read_text().splitlines()
    assert header == "index\tprediction"
    return [tuple(row.split("\t")) for row in rows]


@pytest.mark.once
def test_results_are_those_of_the_models_that_are_kept(data, finished):
    """Scored anew by scikit-learn and SciPy, from the presets of the runs."""
    output, results, _ = finished
    for name, values_of in results["tasks"].items():
        read = read_task(data, name)
        for seed in ("3", "5"):
            preset = output / name / f"seed-{seed}" / "model"
            model = ka.AlbertTextClassifier.from_preset(preset)
            given = {
                split: model.predict_by_length(dev.texts)
                for split, dev in read.dev.items()
            }
            expected = {}
            for split, outputs in given.items():
                y = read.dev[split].targets
                if name == "CoLA":
                    expected["matthews"] = sklearn.matthews_corrcoef(
                        y, outputs.argmax(-1)
                    )
                elif name == "MNLI":
                    expected[f"{split}_accuracy"] = np.mean(
                        outputs.argmax(-1) == y
                    )
                else:
                    for kind in ("pearson", "spearman"):
                        score = getattr(stats, f"{kind}r")
                        expected[kind] = score(outputs[:, 0], y).statistic
            assert set(values_of["metrics"]) == set(expected)
            for metric, value in expected.items():
                of_seed = values_of["metrics"][metric]["values"][seed]
                assert of_seed == pytest.approx(value, abs=1e-4), metric
    of_cola = results["tasks"]["CoLA"]
    assert of_cola["steps"] == 50
    of_scores = results["tasks"]["STS-B"]["metrics"]["pearson"]["values"]
    assert min(of_scores.values()) > 0.3  # Something was learned.


@pytest.mark.once
def test_a_seed_is_of_weights_and_of_order(data, tmp_path, monkeypatch):
    given = []

    class StoppedError(Exception):
        pass

    def fine_tune(model, *args, **kwargs):
        given.append((kwargs["seed"], model.get_weights()))
        raise StoppedError

    monkeypatch.setattr(glue, "fine_tune", fine_tune)
    for seed in (3, 5, 3):
        with pytest.raises(StoppedError):
            run(data, tmp_path / f"{len(given)}", seeds=[seed])
    assert [seed for seed, _ in given] == [3, 5, 3]
    first, other, again = (weights for _, weights in given)
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))


@pytest.mark.once
def test_means_and_deviations_over_seeds(finished):
    _, results, _ = finished
    for task in results["tasks"].values():
        for metric in task["metrics"].values():
            values = list(metric["values"].values())
            assert metric["mean"] == pytest.approx(np.mean(values))
            assert metric["sd"] == pytest.approx(np.std(values, ddof=1))
    assert spread([0.5]) == {"mean": 0.5, "sd": None}


@pytest.mark.once
def test_submissions(data, finished):
    output, results, _ = finished
    for seed in (3, 5):
        folder = output / "submission" / f"seed-{seed}"
        names = {"CoLA.tsv", "STS-B.tsv", "MNLI-m.tsv", "AX.tsv"}
        assert {path.name for path in folder.iterdir()} == names
        # By the model of the run, in the file's order and by its names.
        for name, task, texts in (
            ("CoLA", "CoLA", {"9": "Sun.", "4": "Rain."}),
            ("AX", "MNLI", {"5": ("Sun.", "Sun."), "6": ("Hm.", "Hm.")}),
        ):
            model = ka.AlbertTextClassifier.from_preset(
                output / task / f"seed-{seed}" / "model"
            )
            rows = table_of(folder / f"{name}.tsv")
            assert [index for index, _ in rows] == list(texts)
            labels = [x["label"] for x in model.classify(list(texts.values()))]
            assert [answer for _, answer in rows] == labels
            assert set(labels) <= set(TASKS[task].labels)
        scores = [float(x) for _, x in table_of(folder / "STS-B.tsv")]
        assert len(scores) == 3
        assert 0.0 <= min(scores) <= max(scores) <= 5.0
    assert results["tasks"]["MNLI"]["no_test_data"] == ["MNLI-mm"]


@pytest.mark.once
def test_results_files(finished):
    output, results, told = finished
    assert json.loads((output / "results.json").read_text()) == results
    text = (output / "results.md").read_text()
    assert text == report(results)
    of_cola = results["tasks"]["CoLA"]["metrics"]["matthews"]
    shown = f"{100 * of_cola['mean']:.1f} ± {100 * of_cola['sd']:.1f}"
    assert (
        f"| CoLA | matthews | {shown} | 3, 5 | 480 | 12 | 8 | 0.01 | 50 |"
        in (text)
    )
    assert "MNLI | mismatched accuracy" in text
    assert "No test data, and so no predictions: MNLI-mm.tsv." in text
    assert "AX.tsv" in text
    # The score of all nine tasks is not that of some.
    assert results["average"] is None
    assert "MNLI, seed 5\n" in told


@pytest.mark.once
def test_what_is_finished_is_not_trained_again(data, finished, monkeypatch):
    output, results, _ = finished

    def fail(*args, **kwargs):
        raise AssertionError("was trained again")

    monkeypatch.setattr(glue, "fine_tune", fail)
    lost = output / "submission" / "seed-5" / "AX.tsv"
    answers = lost.read_bytes()
    kept = output / "submission" / "seed-3" / "AX.tsv"
    modified = kept.stat().st_mtime_ns
    lost.unlink()
    again, told = run(
        data, output, tasks=["CoLA", "STS-B", "MNLI"], seeds=[3, 5]
    )
    assert again == results
    assert told.count("finished before") == 6
    # What is missing is predicted, and nothing else.
    assert lost.read_bytes() == answers
    assert kept.stat().st_mtime_ns == modified
    for changed, words in (
        ({"recipe": {**RECIPE, "learning_rate": 1e-3}}, "learning_rate 0.01"),
        ({"rows": 5}, "train_data"),
        ({"model": {"preset": "albert_tiny_en"}}, "start"),
    ):
        with pytest.raises(ValueError, match=rf"seed-3 was made with {words}"):
            run(data, output, seeds=[3], **changed)


@pytest.mark.once
def test_other_test_texts_and_damaged_results(data, tmp_path):
    options = {"recipe": {"steps": 1, "batch_size": 12}}
    run(data, tmp_path, **options)
    path = data / "CoLA" / "test.tsv"
    former = path.read_text()
    try:
        path.write_text("index\tsentence\n1\tRain in Rome.\n")
        run(data, tmp_path, **options)
    finally:
        path.write_text(former)
    rows = table_of(tmp_path / "submission" / "seed-0" / "CoLA.tsv")
    assert [index for index, _ in rows] == ["1"]
    path = tmp_path / "CoLA" / "seed-0" / "result.json"
    for damaged in ("5", '["settings", "metrics", "predictions"]'):
        path.write_text(damaged)
        with pytest.raises(ValueError, match="result.json must be"):
            run(data, tmp_path)
    path.write_text('{"settings": 3, "metrics": {}, "predictions": {}}')
    with pytest.raises(ValueError, match="result.json must be"):
        run(data, tmp_path)
    path.write_text("{")
    with pytest.raises(
        ValueError, match=r"result.json must be.*remove .*seed-0"
    ):
        run(data, tmp_path, **options)


@pytest.mark.once
def test_an_interrupted_run_goes_on(data, tmp_path, monkeypatch):
    """Killed after the first epoch: the same results as without.

    They are those of the last epoch, though the first one scores higher.
    """
    calls, scores = [], []
    evaluate = glue.evaluate_glue

    def flatter(*args, **kwargs):
        scores.append(evaluate(*args, **kwargs))
        return {**scores[-1], "f1": 3.0 - len(scores)}

    with monkeypatch.context() as patch:
        patch.setattr(glue, "evaluate_glue", flatter)
        expected, _ = run(data, tmp_path / "whole", tasks=["MRPC"])
    of_mrpc = expected["tasks"]["MRPC"]["metrics"]
    assert of_mrpc["accuracy"]["mean"] == scores[1]["accuracy"]
    assert of_mrpc.pop("f1")["mean"] == 1.0

    def interrupt(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(glue, "evaluate_glue", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "parts", tasks=["MRPC"])
    assert not (tmp_path / "parts" / "results.json").exists()
    # Not by other settings, now that there is something to go on with.
    with pytest.raises(ValueError, match="was made with warmup 0.25, this"):
        run(
            data,
            tmp_path / "parts",
            tasks=["MRPC"],
            recipe={**RECIPE, "warmup": 0.5},
        )
    results, _ = run(data, tmp_path / "parts", tasks=["MRPC"])
    assert results["tasks"]["MRPC"]["metrics"].pop("f1")["mean"] <= 1.0
    for one in (expected, results):
        one["tasks"]["MRPC"].pop("seconds")
    assert results == expected
    assert len(calls) == 2


@pytest.mark.once
def test_the_original_recipes():
    """google-research/albert, run_glue.sh: steps and steps of warm-up."""
    assert set(RECIPES) == set(TASKS)
    of_mnli = RECIPES["MNLI"]
    assert (of_mnli.batch_size, of_mnli.learning_rate) == (128, 3e-5)
    assert (of_mnli.steps, of_mnli.warmup * of_mnli.steps) == (10000, 1000)
    assert round(RECIPES["CoLA"].warmup * RECIPES["CoLA"].steps) == 320


@pytest.mark.once
def test_official_metrics_of_each_task():
    """F1 is that of the paraphrases, class 1."""
    y = np.array([1, 1, 0, 1])
    given = np.eye(2)[[1, 0, 0, 1]]
    assert score_glue(TASKS["QQP"], given, y) == {
        "f1": pytest.approx(0.8),
        "accuracy": 0.75,
    }
    official = {name: task.metrics for name, task in TASKS.items()}
    assert official.pop("CoLA") == ("matthews",)
    assert official.pop("STS-B") == ("pearson", "spearman")
    assert official.pop("MRPC") == official.pop("QQP") == ("f1", "accuracy")
    assert set(official.values()) == {("accuracy",)}


@pytest.mark.once
def test_the_command(data, tmp_path, capsys):
    sizes = [
        part
        for name, size in SIZES.items()
        for part in (f"--{name.replace('_', '-')}", str(size))
    ]
    arguments = [
        *("glue", "--data", str(data), "-o", str(tmp_path / "runs")),
        *("--tasks", "MRPC", "--seeds", "1", "--epochs", "1", "--rows", "9"),
        *("--vocabulary", str(data / "vocabulary.spm"), *sizes),
        *("--max-length", "16", "--batch-size", "4"),
    ]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("# GLUE\n")
    assert main([*arguments, "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    task = results["tasks"]["MRPC"]
    assert (task["train_rows"], task["steps"]) == (9, 3)
    assert task["recipe"]["learning_rate"] == 2e-5
    assert task["metrics"]["f1"]["sd"] is None


@pytest.mark.once
@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--tasks", "SQuAD"], "'SQuAD'"),
        (["--tasks", "RTE"], "RTE/train.tsv"),
        (["--steps", "3", "--epochs", "1"], "not allowed with"),
        (["--steps", "0"], "steps=0"),
        (["--epochs", "0"], "epochs=0"),
        (["--seeds", "-1"], "-1"),
        (["--rows", "0"], "rows=0"),
        (["--preset", "albert_huge_xx"], "albert_huge_xx"),
        (["--data", "nowhere"], "nowhere"),
        (["--warmup", "1.5"], "warmup=1.5"),
    ],
    ids=lambda x: x[-1] if isinstance(x, list) else "",
)
def test_bad_commands(data, tmp_path, capsys, extra, words):
    output = ["-o", str(tmp_path / "runs")]
    assert main(["glue", "--data", str(data), *output, *extra]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list((tmp_path / "runs").rglob("result*"))
