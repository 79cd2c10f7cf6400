"""GLUE with this package's models, beside baselines.

    python benchmarks/glue.py --data DIR -o runs/glue [--tasks CoLA RTE …]
        [the options of `keras-albert glue`]

Runs what `keras-albert glue` runs, with the same options, and in the same run
two baselines on the same training rows, scored by the same code:

- majority: the class that training rows have most often; for scores their
  mean, which has no correlation with anything (0);
- TF-IDF of words and pairs of words, and logistic regression, of scores ridge
  regression, their regularization chosen on a tenth of the training rows; of
  a pair of texts the features of both, their products and absolute
  differences.

Prints a table in Markdown: dev metrics in points of 100, mean ± standard
deviation over seeds. Runs that are finished are not run again.
"""

import argparse

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from keras_albert.cli.glue import add_options, arguments_of
from keras_albert.data.glue import TASKS, read_task
from keras_albert.training.glue import run_glue, score_glue
from keras_albert.training.glue_report import in_points

# Inverse strengths; what is best on a tenth of the training rows is taken.
REGULARIZATION = (1.0, 10.0)


def majority(task, train, dev):
    """Values that `score_glue` takes, the same for every dev text."""
    if task.labels is None:
        return np.full((len(dev), 1), train.targets.mean())
    counts = np.bincount(train.targets, minlength=len(task.labels))
    return np.tile(counts, (len(dev), 1))


def words(task, train, dev):
    """Values that `score_glue` takes, of a linear model on TF-IDF."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    vectorizer.fit(
        [x for t in train.texts for x in ([t] if isinstance(t, str) else t)]
    )
    x, x_dev = (features(vectorizer, part.texts) for part in (train, dev))
    y = train.targets
    held_out = np.arange(len(y)) % 10 == 0
    values = {
        c: linear(task, c, x[~held_out], y[~held_out], x[held_out])
        for c in REGULARIZATION
    }
    best = max(
        REGULARIZATION,
        key=lambda c: score_glue(task, values[c], y[held_out])[task.metrics[0]],
    )
    return linear(task, best, x, y, x_dev)


def linear(task, c, x, y, x_dev):
    if task.labels is None:
        return Ridge(alpha=1 / c).fit(x, y).predict(x_dev)[:, None]
    values = np.zeros((x_dev.shape[0], len(task.labels)))
    if len(np.unique(y)) == 1:
        values[:, y[0]] = 1.0
        return values
    model = LogisticRegression(C=c, max_iter=1000).fit(x, y)
    values[:, model.classes_] = model.predict_proba(x_dev)
    return values


def features(vectorizer, texts):
    if isinstance(texts[0], str):
        return vectorizer.transform(texts)
    one, two = (vectorizer.transform(side) for side in zip(*texts, strict=True))
    return sparse.hstack([one, two, one.multiply(two), abs(one - two)]).tocsr()


def baselines(data, name, rows):
    """Scores of both baselines by metric, as `run_glue` names them."""
    task, read = TASKS[name], read_task(data, name, rows)
    scores = {}
    for split, dev in read.dev.items():
        of_split = [
            score_glue(task, baseline(task, read.train, dev), dev.targets)
            for baseline in (majority, words)
        ]
        for metric in task.metrics:
            key = f"{split}_{metric}" if split else metric
            scores[key] = [values[metric] for values in of_split]
    return scores


def table(results, scores):
    """Lines of Markdown, a row a metric; the better baseline decides."""
    lines = [
        "| task | metric | training rows | seeds | dev | majority | TF-IDF | "
        "beaten |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, task in results["tasks"].items():
        for metric, values in task["metrics"].items():
            of_baselines = scores[name][metric]
            shown = " | ".join(f"{100 * x:.1f}" for x in of_baselines)
            is_beaten = values["mean"] > max(of_baselines)
            lines.append(
                f"| {name} | {metric.replace('_', ' ')} | "
                f"{task['train_rows']:,} | {len(values['values'])} | "
                f"{in_points(values)} | {shown} | "
                f"{'yes' if is_beaten else 'no'} |"
            )
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_options(parser)
    arguments = arguments_of(parser.parse_args(argv))
    results = run_glue(**arguments)
    scores = {
        name: baselines(arguments["data"], name, arguments["rows"])
        for name in results["tasks"]
    }
    seconds = sum(task["seconds"] for task in results["tasks"].values())
    print(table(results, scores))
    print(f"\n{seconds / 60:.0f} minutes of training and evaluation.")


if __name__ == "__main__":
    main()
