"""From files of questions to a model, its scores and its answers."""

import json
import pathlib

import numpy as np
import pytest

import keras_albert as ka
from keras_albert.cli import main
from keras_albert.data.squad import Questions, read_questions
from keras_albert.metrics import squad
from keras_albert.tasks.loading import load_preset
from keras_albert.training import question_answering as qa

pytestmark = pytest.mark.once

VOCABULARY = (
    pathlib.Path(ka.__file__).parent
    / "presets/albert_tiny_en/assets/tokenizer/vocabulary.spm"
)
TINY = [
    *("--vocabulary", str(VOCABULARY), "--hidden-dim", "16"),
    *("--num-layers", "1", "--num-heads", "2", "--embedding-dim", "8"),
    *("--intermediate-dim", "32", "--max-length", "48"),
    *("--question-length", "16", "--stride", "10", "--epochs", "1"),
    *("--batch-size", "8", "--learning-rate", "1e-3"),
]
RIVERS = {"Oder": 840, "Elbe": 1094, "Rhine": 1230, "Ems": 362, "Main": 525}


def paragraph(river, length, unanswerable):
    context = (
        f"The {river} is a river in Germany. It is {length} km long, and ships "
        "go there. " + "Many people live near the water, and fish in it. " * 3
    )
    text = f"{length} km"
    answer = {"text": text, "answer_start": context.index(text)}
    questions = [
        {
            "id": f"{river}-long",
            "question": f"How long is the {river}?",
            "answers": [answer],
        },
        {
            "id": f"{river}-deep",
            "question": f"How deep is the {river}?",
            "answers": [],
            "is_impossible": True,
        },
    ]
    return {"context": context, "qas": questions[: 1 + unanswerable]}


def squad_file(path, rivers, unanswerable):
    paragraphs = [
        paragraph(river, RIVERS[river], unanswerable) for river in rivers
    ]
    data = {
        "version": "v2.0" if unanswerable else "1.1",
        "data": [{"title": "Rivers", "paragraphs": paragraphs}],
    }
    path.write_text(json.dumps(data))
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rivers")
    names = list(RIVERS)
    return {
        (part, kind): squad_file(
            folder / f"{part}-{kind}.json",
            names[:4] if part == "train" else names[4:],
            kind == "2.0",
        )
        for part in ("train", "dev")
        for kind in ("1.1", "2.0")
    }


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    """A run on questions of which half have no answer."""
    folder = tmp_path_factory.mktemp("run") / "run"
    command = ["train", "answer", *TINY, "-o", folder]
    data = ["--train", files["train", "2.0"], "--valid", files["dev", "2.0"]]
    assert run(*command, *data) == 0
    return folder


def test_train_on_2_0_keeps_a_threshold(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert {"exact_match", "f1", "loss", "no_answer_f1"} <= set(metrics)
    task = load_preset(trained / "model")
    assert type(task) is ka.AlbertQuestionAnswerer
    assert task.no_answer_threshold == metrics["no_answer_threshold"]
    preprocessor = task.preprocessor
    assert (preprocessor.sequence_length, preprocessor.stride) == (48, 10)
    # A text of four is held out to tune the threshold on.
    assert metrics["train_rows"] == windows_of(preprocessor, 3)


def windows_of(preprocessor, rivers):
    rows = [paragraph(name, RIVERS[name], True) for name in list(RIVERS)[:4]]
    counts = {
        len(
            preprocessor.tokenize_pairs(
                [x["question"] for x in row["qas"]], [row["context"]] * 2
            ).windows()
        )
        for row in rows
    }
    assert len(counts) == 1
    return rivers * counts.pop()


def test_evaluate_is_the_official_score_of_predict(
    trained, files, tmp_path, capsys
):
    data, model = files["dev", "2.0"], trained / "model"
    assert run("evaluate", model, "--data", data, "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["rows"] == 2
    answers, na = tmp_path / "answers.json", tmp_path / "na.json"
    options = ["-o", answers, "--na-probs", na]
    assert run("predict", model, "--data", data, *options) == 0
    texts = json.loads(answers.read_text())
    assert set(texts) == {"Main-long", "Main-deep"}
    options = [
        "-o",
        tmp_path / "both.json",
        "--na-probs",
        tmp_path / "both.json",
    ]
    assert run("predict", model, "--data", data, *options) == 2
    assert "must be another file than --na-probs" in capsys.readouterr().err
    assert squad.main([data, str(answers), "--na-probs", str(na)]) == 0
    official = json.loads(capsys.readouterr().out)
    for name in ("exact_match", "f1"):
        assert official[name] == pytest.approx(metrics[name])
    chances = json.loads(na.read_text())
    threshold = load_preset(model).no_answer_threshold
    for name, text in texts.items():
        odds = np.log(chances[name] / (1 - chances[name]))
        assert (text == "") == (odds > threshold)


def test_predict_one_question(trained, capsys):
    text = paragraph("Oder", 840, False)["context"]
    model = trained / "model"
    assert run("predict", model, "How long is it?", text, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["text"] == text[result["start"] : result["end"]]
    assert run("predict", model, "How long is it?", text) == 0
    assert capsys.readouterr().out.startswith(f"{result['text']}\t")
    for arguments in (["How long is it?"], ["a", "b", "--na-probs", "n.json"]):
        assert run("predict", model, *arguments) == 2
        assert "needs two TEXTs" in capsys.readouterr().err
    columns = ["--text-column", "text"]
    assert run("evaluate", model, "--data", "x.json", *columns) == 2
    assert "--text-column is not for the task answer" in capsys.readouterr().err


def test_what_1_1_is_trained_on(files, tmp_path, capsys, monkeypatch):
    """What is left out is counted; the recipe is the original's."""
    lines = []
    for name in list(RIVERS)[:3]:
        row = paragraph(name, RIVERS[name], False)
        question = row["qas"][0]["question"]
        for answers in (f"{RIVERS[name]} km", "no such text"):
            line = {"question": question, "context": row["context"]}
            lines.append(json.dumps({**line, "answers": [answers]}))
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(lines))
    calls = []

    def fine_tune(*args, evaluate, **recipe):
        calls.append((args, evaluate.keywords, recipe))
        return {}

    monkeypatch.setattr(qa, "fine_tune", fine_tune)
    data = ["--train", path, "--valid", files["dev", "1.1"]]
    sizes = TINY[: TINY.index("--max-length")]
    assert run("train", "answer", *sizes, "-o", tmp_path, *data) == 0
    (task, rows, _, _), evaluate, recipe = calls.pop()
    assert "3 of 6 questions have no answer that is in" in (
        capsys.readouterr().err
    )
    assert rows.ids == ["1", "3", "5"] and evaluate == {"held_out": None}
    assert task.no_answer_threshold is None
    lengths = task.preprocessor.get_config()
    assert [
        lengths[name]
        for name in ("sequence_length", "stride", "question_length")
    ] == [384, 128, 64]
    assert recipe["monitor"] == "f1"
    assert (recipe["epochs"], recipe["batch_size"]) == (2, 48)
    batches = recipe["batches"](task, rows, batch_size=2, seed=0)
    assert batches.examples == 3 and len(batches) == 2
    assert "3 questions on 3 texts make 3 windows; 0 questions are" in (
        capsys.readouterr().err
    )
    path.write_text(lines[1])
    assert run("train", "answer", *sizes, "-o", tmp_path, *data) == 2
    assert "None has an answer that is in its text" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["1.1", "2.0"])
def test_learning_rates(files, tmp_path, monkeypatch, kind):
    """The original's of models that were pretrained, else the preset's."""
    of_preset = [3e-5, 1e-3, 1e-3]
    rates = []

    def make_answerer(**kwargs):
        backbone = ka.AlbertBackbone(100, 1, 1, 4, 4, 4)
        backbone.learning_rate = of_preset.pop(0)
        return ka.AlbertQuestionAnswerer(backbone)

    monkeypatch.setattr(qa, "make_answerer", make_answerer)
    monkeypatch.setattr(
        qa,
        "fine_tune",
        lambda *_, learning_rate, **__: rates.append(learning_rate),
    )
    paths = files["train", kind], files["dev", kind], tmp_path
    for _ in range(2):
        qa.train_question_answerer(*paths)
    qa.train_question_answerer(*paths, learning_rate=0.1)
    assert rates == [{"1.1": 5e-5, "2.0": 3e-5}[kind], 1e-3, 0.1]


def test_the_dev_loss_is_that_of_keras(trained, files):
    task = load_preset(trained / "model")
    questions = read_questions(files["dev", "2.0"])
    metrics = qa.evaluate_answerer(task, questions, batch_size=64)
    expected = task.evaluate(
        (questions.questions, questions.contexts),
        questions.answers,
        64,
        verbose=0,
        return_dict=True,
    )
    assert metrics["loss"] == pytest.approx(expected["loss"], rel=1e-4)


# === The threshold of no answer ===


class Ranked:
    """Ranks answers as it was told."""

    def __init__(self, texts, scores):
        self.results = [
            {"answers": [{"text": text}], "no_answer_score": score}
            for text, score in zip(texts, scores, strict=True)
        ]
        self.no_answer_threshold = None

    def rank_answers(self, questions, contexts, **kwargs):
        return self.results


def make_questions(answers):
    return Questions(
        ids=[str(i) for i in range(len(answers))],
        questions=["?"] * len(answers),
        contexts=["a"] * len(answers),
        answers=[
            [{"text": x, "answer_start": 0}] if x else [] for x in answers
        ],
        places=[""] * len(answers),
        path="questions.json",
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_threshold_is_the_best_of_all(seed):
    generator = np.random.default_rng(seed)
    golds = generator.choice(["", "x y", "z"], 40).tolist()
    texts = generator.choice(["x y", "x", "w"], 40).tolist()
    scores = generator.normal(-3.0, 1.0, 40)
    if seed == 0:
        texts = ["w"] * 40  # It is best to answer nothing.
    questions = make_questions(golds)
    threshold = qa.tune_threshold(Ranked(texts, scores.tolist()), questions)

    def f1_at(threshold):
        given = {
            str(i): "" if scores[i] > threshold else texts[i] for i in range(40)
        }
        return squad.score_answers(questions.texts(), given, version="2.0")[
            "f1"
        ]

    best = max(f1_at(x) for x in [*scores, scores.min() - 1])
    assert f1_at(threshold) == pytest.approx(best)
    assert seed or threshold < scores.min()


def test_held_out_texts_are_in_no_other_part():
    questions = make_questions([""] * 100)
    questions.contexts = [f"text {i // 4}" for i in range(100)]
    kept, held = qa.hold_out(questions, seed=3)
    assert set(kept.ids) | set(held.ids) == set(questions.ids)
    assert not set(kept.contexts) & set(held.contexts)
    assert 5 <= len(held) <= 8
    assert qa.hold_out(questions, seed=3)[1].ids == held.ids
    assert qa.hold_out(questions, seed=4)[1].ids != held.ids
    # Of a single text questions are held out.
    kept, held = qa.hold_out(make_questions([""] * 100), seed=3)
    assert len(held) == 5 and len(kept) == 95
    with pytest.raises(ValueError, match="at least two questions"):
        qa.hold_out(make_questions([""]), seed=3)
