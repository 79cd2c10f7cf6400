"""The Keras metrics, against scikit-learn and SciPy on everything at once."""

import keras
import numpy as np
import pytest
import sklearn.metrics as sklearn
from scipy import stats

from keras_albert.metrics.f1 import SparseF1Score
from keras_albert.metrics.matthews import MatthewsCorrelation
from keras_albert.metrics.pearson import PearsonCorrelation
from keras_albert.metrics.spearman import SpearmanCorrelation

# The metrics count in float32.
CLOSE = {"abs": 2e-6, "rel": 2e-6}


def streamed(metric, y_true, y_pred, weights=None, sizes=(7, 1, 30)):
    """The result after batches of odd sizes."""
    metric.reset_state()
    start = 0
    while start < len(y_true):
        for size in sizes:
            part = slice(start, start + size)
            if len(y_true[part]):
                of_part = None if weights is None else weights[part]
                metric.update_state(y_true[part], y_pred[part], of_part)
            start += size
    return float(metric.result())


def as_scores(classes, num_classes):
    """Logits whose largest is that of the class."""
    noise = np.random.default_rng(1).uniform(size=(len(classes), num_classes))
    return (noise + 2.0 * np.eye(num_classes)[classes]).astype("float32") - 5.0


def class_cases():
    generator = np.random.default_rng(0)
    for classes in (2, 3, 5):
        for rows in (1, 2, 40, 300):
            truth = generator.integers(0, classes, rows)
            kept = generator.uniform(size=rows) < 0.5
            yield (
                truth,
                np.where(kept, truth, generator.integers(0, classes, rows)),
                classes,
            )
    rare = np.zeros(5000, int)
    rare[[3, 70]] = 1
    near = rare.copy()
    near[[3, 900]] = 0, 1
    ones, some = np.ones(40, int), generator.integers(0, 2, 40)
    yield rare, near, 2  # All but constant.
    yield some, ones, 2  # Constant predictions.
    yield ones, some, 2
    yield ones, ones, 2
    yield 1 - ones, 1 - ones, 2  # No positives anywhere.
    yield ones, 1 - ones, 2
    yield some, 1 - some, 2
    yield some, some, 4  # Two classes that occur nowhere.


@pytest.mark.parametrize("weighted", [False, True])
def test_classes_as_scikit_learn(weighted):
    generator = np.random.default_rng(2)
    for truth, given, classes in class_cases():
        weights = None
        if weighted:
            weights = generator.choice([0.0, 0.5, 1.0, 3.0], len(truth))
            weights[0] = 1.0
        expected = {
            MatthewsCorrelation(classes): sklearn.matthews_corrcoef(
                truth, given, sample_weight=weights
            )
        }
        # Classes that occur with a weight of 0 only do not occur.
        seen = np.ones(len(truth), bool) if weights is None else weights > 0
        kept = None if weights is None else weights[seen]
        expected[SparseF1Score(classes, average="macro")] = sklearn.f1_score(
            truth[seen],
            given[seen],
            average="macro",
            sample_weight=kept,
            zero_division=0,
        )
        for positive in range(classes):
            metric = SparseF1Score(classes, positive_class=positive)
            expected[metric] = sklearn.f1_score(
                truth == positive,
                given == positive,
                sample_weight=weights,
                zero_division=0,
            )
        for metric, value in expected.items():
            result = streamed(metric, truth, as_scores(given, classes), weights)
            assert result == pytest.approx(value, **CLOSE), metric.get_config()


def score_cases():
    generator = np.random.default_rng(3)
    for rows in (3, 50, 400):
        truth = generator.normal(size=rows)
        yield truth, truth + generator.normal(size=rows)
        # Ties, as people give scores in halves.
        yield np.round(2 * truth) / 2, np.round(truth, 1)
        # A large mean and a small spread.
        yield truth, 1000.0 + 0.5 * truth
    yield np.arange(9.0), np.arange(9.0)
    yield np.arange(9.0), -np.arange(9.0)
    yield np.arange(9.0), np.exp(np.arange(9.0))
    # Spreads whose product would leave float32.
    yield 1e15 * np.arange(9.0), 1e15 * np.arange(9.0)
    yield np.arange(9.0), 1e-15 * np.arange(9.0)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_scores_as_scipy(kind):
    metric, reference = {
        "pearson": (PearsonCorrelation(), stats.pearsonr),
        "spearman": (SpearmanCorrelation(500), stats.spearmanr),
    }[kind]
    for truth, given in score_cases():
        truth, given = truth.astype("float32"), given.astype("float32")
        value = reference(
            truth.astype("float64"), given.astype("float64")
        ).statistic
        for sizes in ((7, 1, 30), (1000,), (2,)):
            if sizes == (2,) and len(truth) > 50:
                continue
            result = streamed(metric, truth, given[:, None], sizes=sizes)
            assert result == pytest.approx(value, abs=1e-5), (kind, sizes)


def test_weighted_pearson_is_that_of_repeated_examples():
    generator = np.random.default_rng(4)
    truth, given = generator.normal(size=(2, 60)).astype("float32")
    weights = generator.integers(0, 4, 60)
    given[weights == 0] = np.nan  # Counts for nothing.
    value = stats.pearsonr(
        np.repeat(truth, weights), np.repeat(given, weights)
    ).statistic
    result = streamed(PearsonCorrelation(), truth, given, weights)
    assert result == pytest.approx(value, **CLOSE)


@pytest.mark.parametrize("make", [PearsonCorrelation, SpearmanCorrelation])
def test_what_has_no_correlation(make):
    metric = make()
    assert float(metric.result()) == 0.0
    some = np.linspace(0.0, 1.0, 40, dtype="float32")
    # The mean of such numbers is not exactly the number.
    constant = np.full(40, 0.1, "float32")
    for truth, given in ((some, constant), (constant, some), [constant] * 2):
        assert streamed(metric, truth, given) == 0.0
        assert streamed(metric, truth[:1], given[:1]) == 0.0
    broken = some.copy()
    broken[11] = np.nan
    for truth, given in ((some, broken), (broken, some), (constant, broken)):
        assert np.isnan(streamed(metric, truth, given))
    # And all of it is forgotten.
    assert streamed(metric, some, some) == pytest.approx(1.0)


def test_more_examples_than_spearman_keeps_have_no_result():
    metric = SpearmanCorrelation(capacity=5)
    some = np.array([0.3, 0.1, 0.2, 0.5, 0.4], "float32")
    assert streamed(metric, some, some, sizes=(3,)) == pytest.approx(1.0)
    metric.update_state(some[:1], some[:1])
    assert np.isnan(float(metric.result()))


def test_tokens_with_weights():
    """Classes of words, `(batch, words)`, where padding has no weight."""
    generator = np.random.default_rng(5)
    truth, given = generator.integers(0, 3, (2, 4, 6))
    mask = generator.integers(0, 2, (4, 6))
    metric = SparseF1Score(3, average="macro")
    scores = np.eye(3)[given]
    metric.update_state(truth, scores, mask)
    real = mask.astype(bool)
    value = sklearn.f1_score(truth[real], given[real], average="macro")
    assert float(metric.result()) == pytest.approx(value, **CLOSE)
    # A weight a row counts for all of the row.
    metric.reset_state()
    metric.update_state(truth[..., None], scores, [1, 0, 0, 2])
    value = sklearn.f1_score(
        truth[[0, 3, 3]].ravel(), given[[0, 3, 3]].ravel(), average="macro"
    )
    assert float(metric.result()) == pytest.approx(value, **CLOSE)


def test_in_a_compiled_model_that_is_saved(tmp_path):
    """What `evaluate` gives is what the predictions score at once."""
    generator = np.random.default_rng(6)
    x = generator.normal(size=(70, 3)).astype("float32")
    inputs = keras.Input((3,))
    model = keras.Model(
        inputs,
        {
            "score": keras.layers.Dense(1, name="score")(inputs),
            "classes": keras.layers.Dense(2, name="classes")(inputs),
        },
    )
    y = {
        "score": x[:, 0] + generator.normal(size=70).astype("float32"),
        "classes": (x[:, 1] > 0.5).astype("int32"),
    }
    model.compile(
        "sgd",
        {
            "score": "mse",
            "classes": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            ),
        },
        metrics={
            "score": [PearsonCorrelation(), SpearmanCorrelation(100)],
            "classes": [MatthewsCorrelation(), SparseF1Score()],
        },
    )
    model.fit(x, y, batch_size=16, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    outputs = loaded.predict(x, verbose=0)
    results = loaded.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    scores = outputs["score"][:, 0]
    classes = outputs["classes"].argmax(axis=-1)
    expected = {
        "score_pearson": stats.pearsonr(y["score"], scores).statistic,
        "score_spearman": stats.spearmanr(y["score"], scores).statistic,
        "classes_matthews_correlation": sklearn.matthews_corrcoef(
            y["classes"], classes
        ),
        "classes_f1": sklearn.f1_score(y["classes"], classes),
    }
    for name, value in expected.items():
        assert results[name] == pytest.approx(value, abs=1e-5), name


@pytest.mark.parametrize(
    "metric",
    [
        MatthewsCorrelation(3, name="mcc"),
        SparseF1Score(4, average="macro", positive_class=2),
        PearsonCorrelation(name="r"),
        SpearmanCorrelation(12),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_configurations_make_the_same_metric(metric):
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MatthewsCorrelation(1), "num_classes=1"),
        (lambda: SparseF1Score(average="micro"), "'micro'"),
        (lambda: SparseF1Score(positive_class=2), "positive_class=2"),
        (lambda: SpearmanCorrelation(0), "capacity=0"),
        (
            lambda: SpearmanCorrelation().update_state([1.0], [1.0], [1.0]),
            "without sample weights",
        ),
        (
            lambda: MatthewsCorrelation(3).update_state([0], [[1.0, 0.0]]),
            r"3 columns.*\(1, 2\)",
        ),
    ],
)
def test_what_cannot_be_meant(make, words):
    with pytest.raises(ValueError, match=words):
        make()
