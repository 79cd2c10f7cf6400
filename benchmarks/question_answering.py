"""SQuAD 1.1 and 2.0 with tiny models, beside a baseline.

    python benchmarks/question_answering.py --data DIR [--no-answer]
        [--preset P] [--seeds 0 1 2] [--rows N] [--dev-rows N] [--epochs 2]
        [--learning-rate 5e-4] [--max-length 384] [--stride 128]
        [--output runs/answers]

`DIR` has the folder `squad` of docs/data.md, with the training questions in
one file, `train-v1.1.json`, or in several, `train-v1.1.*.json`; all with or
without `.gz`. Each seed draws the weights of a small model (or, with
`--preset`, of its head), trains it by the fine-tuning recipe on the first
`--rows` questions, and scores it on the dev set of 1.1. The dev set is no part
of the training: the recipe's dev questions are a twentieth of the training
ones, on other texts.

There is no training set of 2.0 in `DIR`. `--no-answer` makes one of its kind:
half of the training questions are asked about another text of the same
article, and have no answer there. The model is then scored on the dev set of
2.0, with a threshold that was tuned on a part of the training questions.

The baseline gives, of all spans of at most `WORDS` words, the one next to most
of the question's words (by the inverse of how often they occur), as "best
window by word overlap" is understood. What was run before is in
`results.json` of the output and is not run again.
"""

import argparse
import collections
import dataclasses
import glob
import json
import math
import os
import pathlib
import re
import statistics

import numpy as np

import splits
from keras_albert.data.squad import Questions, read_questions
from keras_albert.metrics.squad import normalize_answer, score_answers
from keras_albert.tasks.loading import load_preset
from keras_albert.training import question_answering
from keras_albert.training.fine_tune import fine_tune

RECIPE = {"batch_size": 48, "tokens_per_batch": "auto"}
# Of the baseline: words of an answer, and around it that are compared.
WORDS, AROUND = 3, 8


# === The baseline ===


def overlap_answers(questions):
    """Texts by id: the span whose surroundings share most with the question."""
    texts = {}
    frequency = collections.Counter()
    contexts = {}
    for context in dict.fromkeys(questions.contexts):
        places = [match.span() for match in re.finditer(r"\S+", context)]
        words = [normalize_answer(context[a:b]) for a, b in places]
        contexts[context] = places, words
        frequency.update(set(words))
    rare = {
        word: math.log(1 + len(contexts) / count)
        for word, count in frequency.items()
    }
    for name, question, context in zip(
        questions.ids, questions.questions, questions.contexts, strict=True
    ):
        places, words = contexts[context]
        asked = set(normalize_answer(question).split())
        shared = np.array([rare[w] if w in asked and w else 0 for w in words])
        reach = np.concatenate([np.zeros(AROUND), shared, np.zeros(AROUND)])
        near = np.convolve(reach, np.ones(2 * AROUND + 1), "valid")
        # What the question says is not what it asks for.
        near = np.where(shared > 0, -np.inf, near)
        first = last = int(near.argmax())
        while last + 1 < len(words) and last - first + 1 < WORDS:
            if shared[last + 1] > 0 or words[last].endswith("."):
                break
            last += 1
        texts[name] = context[places[first][0] : places[last][1]]
    return texts


# === Data ===


def training_questions(folder):
    paths = sorted(glob.glob(os.path.join(folder, "train-v1.1*.json*")))
    if not paths:
        raise FileNotFoundError(f"There is no train-v1.1*.json* in {folder}.")
    return joined([read_questions(path) for path in paths])


def joined(parts):
    first = parts[0]
    return dataclasses.replace(
        first,
        **{
            name: [x for part in parts for x in getattr(part, name)]
            for name in ("ids", "questions", "contexts", "answers", "places")
        },
    )


def first_rows(questions, rows):
    return questions.select(range(min(rows or math.inf, len(questions))))


def without_answers(questions, seed):
    """Half of the questions about the text that comes next, if not theirs."""
    following, texts = {}, list(dict.fromkeys(questions.contexts))
    for text, other in zip(texts, [*texts[1:], texts[0]], strict=True):
        following[text] = other
    moved = np.random.default_rng(seed).random(len(questions)) < 0.5
    result = questions.select(range(len(questions)))
    for index in np.flatnonzero(moved):
        text = following[questions.contexts[index]]
        answers = [x["text"] for x in questions.answers[index]]
        if not any(answer in text for answer in answers):
            result.contexts[index], result.answers[index] = text, []
    return result


# === Runs ===


def run(train: Questions, dev: Questions, seed, arguments, folder):
    rows, _ = train.learnable()
    kept, choose = question_answering.hold_out(rows, seed)
    held_out = None
    if rows.has_unanswerable:
        kept, held_out = question_answering.hold_out(kept, seed)

    def evaluate(task, questions, batch_size):
        return question_answering.evaluate_answerer(
            task, questions, held_out=held_out
        )

    metrics = fine_tune(
        question_answering.make_answerer(
            max_length=arguments.max_length,
            stride=arguments.stride,
            seed=seed,
            **splits.model_start(arguments.preset),
        ),
        kept,
        choose,
        folder,
        seed=seed,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        monitor="f1",
        batches=question_answering.window_batches,
        evaluate=evaluate,
        resume=True,
        **RECIPE,
    )
    task = load_preset(os.path.join(folder, "model"))
    scores = question_answering.evaluate_answerer(task, dev)
    names = ("best_epoch", "epochs", "steps", "train_rows", "seconds")
    return {
        "seed": seed,
        "kind": arguments.kind,
        "start": splits.start_name(arguments.preset),
        "rows": len(rows),
        "dev_rows": len(dev),
        "scores": scores,
        "run": {name: metrics[name] for name in (*names, "backend")},
        "baseline": baseline_scores(dev),
    }


def baseline_scores(dev):
    """Of word overlap; in 2.0 also of no answer to any question."""
    version = "2.0" if dev.has_unanswerable else "1.1"
    scores = score_answers(dev.texts(), overlap_answers(dev), version=version)
    scores = {name: scores[name] for name in ("exact_match", "f1")}
    if version == "2.0":
        none = score_answers(
            dev.texts(), dict.fromkeys(dev.ids, ""), version=version
        )
        scores["nothing_f1"] = none["f1"]
    return scores


def table(rows):
    lines = [
        "| data | weights | training questions | seeds | EM | F1 "
        "| baseline, EM | F1 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups = collections.defaultdict(list)
    for row in rows:
        groups[row["kind"], row["start"], row["rows"]].append(row)
    for (kind, start, count), group in groups.items():
        cells = []
        for name in ("exact_match", "f1"):
            values = [row["scores"][name] for row in group]
            spread = f" ± {statistics.stdev(values):.1f}" if values[1:] else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}")
        of_base = group[0]["baseline"]
        cells += [f"{of_base[name]:.1f}" for name in ("exact_match", "f1")]
        lines.append(
            f"| SQuAD {kind} dev | {start} | {count:,} | {len(group)} | "
            f"{' | '.join(cells)} |"
        )
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", required=True, help="folder of the data")
    add("--no-answer", action="store_true", help="as 2.0, see above")
    add("--preset", help="start from it, not from random weights")
    add("--learning-rate", type=float, default=5e-4)
    add("--rows", type=int, help="training questions [all]")
    add("--dev-rows", type=int, help="dev questions [all]")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--epochs", type=int, default=2)
    add("--max-length", type=int, default=384, help="tokens of a window")
    add("--stride", type=int, default=128, help="tokens from window to window")
    add("--output", default="runs/answers")
    arguments = parser.parse_args(argv)
    arguments.kind = "2.0" if arguments.no_answer else "1.1"

    folder = os.path.join(arguments.data, "squad")
    [dev_path] = glob.glob(os.path.join(folder, f"dev-v{arguments.kind}.json*"))
    dev = first_rows(read_questions(dev_path), arguments.dev_rows)
    train = first_rows(training_questions(folder), arguments.rows)
    path = pathlib.Path(arguments.output) / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(path.read_text()) if path.exists() else []
    for seed in arguments.seeds:
        start = splits.start_name(arguments.preset)
        name = f"{arguments.kind}-{start}-{len(train)}-{seed}"
        if any(row["name"] == name for row in rows):
            continue
        of_seed = train
        if arguments.no_answer:
            of_seed = without_answers(train, seed)
        result = run(of_seed, dev, seed, arguments, path.parent / f"run-{name}")
        rows.append({"name": name, **result})
        path.write_text(json.dumps(rows, indent=1))
        print(json.dumps(rows[-1]), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
