"""What the recipe does beside resuming: budgets, accumulation, patience."""

import io

import keras
import numpy as np
import pytest

import keras_albert as ka
from keras_albert.training.batches import (
    LengthBatches,
    PerToken,
    TokenizedTexts,
    text_batches,
)
from keras_albert.training.fine_tune import check_recipe, fine_tune
from keras_albert.training.fingerprint import fingerprint
from keras_albert.training.stuck import stuck_loss
from keras_albert.training.text_classification import (
    TextFiles,
    train_text_classifier,
)

TEXTS = ["wake me up", "will it rain", "snooze please", "how warm is it"] * 4
TARGETS = np.array([0, 1, 0, 1] * 4, "int32")
DATA = (TEXTS, TARGETS)


def make(tokenizer):
    keras.utils.set_random_seed(2)
    backbone = ka.AlbertBackbone(
        tokenizer.vocabulary_size(), 1, 2, 8, 16, 32, dropout=0.1
    )
    return ka.AlbertTextClassifier(
        backbone,
        labels=["alarm", "weather"],
        preprocessor=ka.AlbertTextClassifierPreprocessor(tokenizer, 16),
    )


def texts_of_lengths(lengths, maximum=64):
    tokens = int(np.sum(lengths))
    return TokenizedTexts(
        token_ids=np.arange(1, tokens + 1, dtype="int32"),
        segment_ids=np.zeros(tokens, "int32"),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        pad_token_id=0,
        maximum=maximum,
    )


# === Batches ===


@pytest.mark.once
@pytest.mark.parametrize("budget", [64, 100, 512, "auto"])
def test_batches_keep_to_the_budget_and_hold_each_text_once(budget):
    generator = np.random.default_rng(0)
    lengths = np.concatenate([generator.integers(3, 20, 203), [64, 50, 3]])
    batches = LengthBatches(
        texts_of_lengths(lengths),
        np.arange(len(lengths)),
        batch_size=8,
        seed=1,
        tokens_per_batch=budget,
    )
    for epoch in range(4):
        plan = batches.plan(epoch)
        assert len(plan) == len(batches)
        rows = np.concatenate([batch for batch, _ in plan])
        assert sorted(rows) == list(range(len(lengths)))
        for batch, length in plan:
            assert lengths[batch].max() == length
            if budget == "auto":
                assert 4 <= len(batch) <= 16
            else:
                assert len(batch) * length <= budget


@pytest.mark.once
def test_the_automatic_budget_has_as_many_steps_as_the_batch_size():
    lengths = np.random.default_rng(3).integers(3, 60, 3200)
    steps = [
        len(
            LengthBatches(
                texts_of_lengths(lengths), np.zeros(3200), 32, 0, budget
            )
        )
        for budget in (None, "auto")
    ]
    assert steps[0] == 100
    assert steps[1] == pytest.approx(100, rel=0.1)


@pytest.mark.once
@pytest.mark.parametrize("examples", [3, 7, 33, 34, 49, 66, 481])
@pytest.mark.parametrize("longest", [3, 8, 64])
def test_no_step_of_the_automatic_budget_is_of_a_few_texts(examples, longest):
    lengths = np.random.default_rng(examples).integers(3, longest + 1, examples)
    batches = LengthBatches(
        texts_of_lengths(lengths), np.zeros(examples), 32, 0, "auto"
    )
    sizes = [len(batch) for batch, _ in batches.plan(1)]
    assert len(sizes) == len(batches)
    assert sum(sizes) == examples
    assert max(sizes) <= 64
    assert min(sizes) >= min(16, examples)


@pytest.mark.once
def test_grouping_leaves_little_padding():
    lengths = np.random.default_rng(3).integers(3, 60, 3200)
    batches = LengthBatches(
        texts_of_lengths(lengths), np.zeros(3200), 32, 0, "auto"
    )
    padded = sum(len(batch) * length for batch, length in batches.plan(0))
    assert padded <= 1.08 * lengths.sum()


@pytest.mark.once
def test_short_texts_come_in_larger_batches():
    lengths = [8] * 64 + [32] * 16
    batches = LengthBatches(
        texts_of_lengths(lengths), np.zeros(80), 1, 0, tokens_per_batch=128
    )
    sizes = {length: len(rows) for rows, length in batches.plan(0)}
    assert sizes == {8: 16, 32: 4}


@pytest.mark.once
def test_a_budget_too_small_for_the_longest_text():
    with pytest.raises(ValueError, match="needs, 64 tokens.*Received: 50"):
        LengthBatches(texts_of_lengths([3, 61]), np.zeros(2), 8, 0, 50)


@pytest.mark.once
def test_targets_of_tokens_and_of_several_outputs():
    texts = texts_of_lengths([3, 5, 4])
    batches = LengthBatches(
        texts,
        {"start": np.array([1, 2, 3]), "tags": PerToken(texts.token_ids * 10)},
        batch_size=2,
        seed=0,
        weights={"start": np.ones(3), "tags": PerToken(texts.token_ids % 2)},
    )
    seen = []
    for features, targets, weights in batches.dataset(0):
        ids = features["token_ids"].numpy()
        np.testing.assert_array_equal(targets["tags"].numpy(), ids * 10)
        np.testing.assert_array_equal(weights["tags"].numpy(), ids % 2)
        assert weights["start"].shape == targets["start"].shape
        for row, start in zip(ids, targets["start"].numpy(), strict=True):
            assert start == {1: 1, 4: 2, 9: 3}[row[0]]
            seen.append(start)
    assert sorted(seen) == [1, 2, 3]
    with pytest.raises(ValueError, match="a target for each"):
        LengthBatches(texts, PerToken(np.zeros(3)), 2, 0)


@pytest.mark.once
def test_the_loss_of_guessing():
    texts = texts_of_lengths([3, 3, 3, 3])
    batches = LengthBatches(texts, np.array([0, 1, 1, 1]), 2, 0)
    expected = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert batches.guessing_loss == pytest.approx(expected)
    weights = np.array([3.0, 1.0, 1.0, 1.0])
    batches = LengthBatches(
        texts, np.array([0, 1, 1, 1]), 2, 0, weights=weights
    )
    # Keras divides the weighted sum by the number of texts.
    assert batches.guessing_loss == pytest.approx(1.5 * np.log(2))
    assert LengthBatches(texts, np.ones((4, 2)), 2, 0).guessing_loss is None


@pytest.mark.once
def test_sample_weights_go_with_their_texts(tokenizer):
    weights = np.where(TARGETS, 3.0, 0.5).astype("float32")
    batches = text_batches(
        make(tokenizer), (TEXTS, TARGETS, weights), batch_size=5, seed=0
    )
    assert batches.examples == 16
    for _, targets, given in batches.dataset(0):
        expected = np.where(targets.numpy(), 3.0, 0.5)
        np.testing.assert_array_equal(given.numpy(), expected)


@pytest.mark.once
def test_class_weights_are_for_classes(tmp_path):
    files = TextFiles("text", "label", regression=True)
    with pytest.raises(ValueError, match="one class each.*regression"):
        train_text_classifier(
            "a.csv", "b.csv", tmp_path, files, class_weights="balanced"
        )


@pytest.mark.once
def test_fingerprints_tell_data_apart():
    data = [["a", ("b", "c")], np.array([1, 2]), {"x": None}, 1.5]
    same = [["a", ("b", "c")], np.array([1, 2]), {"x": None}, 1.5]
    assert fingerprint(data) == fingerprint(same)
    others = [
        [["a", ("b", "d")], np.array([1, 2]), {"x": None}, 1.5],
        [["a", ("b", "c")], np.array([1, 3]), {"x": None}, 1.5],
        [["a", ("b", "c")], np.array([1, 2]), {"y": None}, 1.5],
        [["a", ("b", "c")], np.array([1, 2], "int8"), {"x": None}, 1.5],
    ]
    prints = {fingerprint(x) for x in (data, *others)}
    assert len(prints) == 5


# === Runs ===


def run(tokenizer, folder, **kwargs):
    task = make(tokenizer)
    stream = io.StringIO()
    options = {
        "epochs": 3,
        "batch_size": 4,
        "learning_rate": 1e-2,
        "stream": stream,
        **kwargs,
    }
    metrics = fine_tune(task, DATA, DATA, folder, **options)
    return task, metrics, stream.getvalue()


def test_accumulating_runs_resume_to_the_same_weights(
    tokenizer, tmp_path, interrupt, assert_same_weights
):
    """Three batches a step, four an epoch: a step goes over the epoch's end."""
    options = {"accumulate": 3, "tokens_per_batch": "auto"}
    whole, expected, _ = run(tokenizer, tmp_path / "whole", **options)
    assert expected["accumulate"] == 3
    assert expected["steps"] == 12
    interrupt(lambda: run(tokenizer, tmp_path / "parts", **options))
    resumed, _, _ = run(tokenizer, tmp_path / "parts", resume=True, **options)
    assert_same_weights(resumed, whole)


@pytest.mark.once
def test_accumulated_batches_make_the_step_of_a_large_one(tokenizer, tmp_path):
    """Two halves, without dropout, against the whole in one batch."""
    results = []
    texts, targets = TEXTS[:4], TARGETS[:4]
    for batch_size, accumulate in ((4, 1), (2, 2)):
        task = make(tokenizer)
        for layer in task._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        task.backbone.trainable = False
        fine_tune(
            task,
            (texts, targets),
            (texts, targets),
            tmp_path / str(batch_size),
            epochs=1,
            warmup=0.0,
            batch_size=batch_size,
            accumulate=accumulate,
            learning_rate=1e-2,
        )
        results.append(keras.ops.convert_to_numpy(task.output_dense.bias))
    assert np.abs(results[0]).min() > 1e-4
    # The schedule counts batches: at the second its rate is half.
    np.testing.assert_allclose(results[0], 2 * results[1], rtol=1e-3)


@pytest.mark.once
def test_patience_ends_a_run_and_resuming_does_not_go_on(
    tokenizer, tmp_path, interrupt
):
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.9])

    def evaluate(task, data, batch_size):
        return {"accuracy": next(scores), "loss": 1.0}

    options = {"evaluate": evaluate, "patience": 2, "epochs": 9}
    # Without metrics it is not finished.
    interrupt(lambda: run(tokenizer, tmp_path, **options), "write_metrics")
    (tmp_path / "metrics.json").unlink()
    _, metrics, told = run(tokenizer, tmp_path, resume=True, **options)
    assert (metrics["epochs"], metrics["best_epoch"]) == (4, 2)
    assert metrics["accuracy"] == 0.7
    assert "no better dev accuracy in 2 epochs" in told
    assert next(scores) == 0.9


def test_steps_end_a_run_within_an_epoch(
    tokenizer, tmp_path, interrupt, assert_same_weights
):
    """Four batches an epoch: the third one is cut off, resumed or not."""
    options = {"steps": 10, "keep": "last"}
    whole, expected, told = run(tokenizer, tmp_path / "whole", **options)
    assert (expected["steps"], expected["epochs"]) == (10, 3)
    assert "epoch 3/3" in told
    optimizer = whole.optimizer
    assert int(optimizer.iterations) == 10
    # Down to the last step, where it is one part of ten of the way left.
    rates = (tmp_path / "whole" / "history.csv").read_text().splitlines()
    column = rates[0].split(",").index("learning_rate")
    assert float(rates[-1].split(",")[column]) == pytest.approx(1e-2 / 9)
    interrupt(lambda: run(tokenizer, tmp_path / "parts", **options))
    with pytest.raises(ValueError, match="begun with steps 10, this is"):
        run(tokenizer, tmp_path / "parts", resume=True, steps=11, keep="last")
    resumed, _, _ = run(tokenizer, tmp_path / "parts", resume=True, **options)
    assert_same_weights(resumed, whole)


@pytest.mark.once
@pytest.mark.parametrize(("keep", "epoch"), [("best", 2), ("last", 3)])
def test_which_model_is_kept(tokenizer, tmp_path, keep, epoch):
    scores = iter([0.5, 0.7, 0.6])
    kernels = []

    def evaluate(task, data, batch_size):
        kernels.append(keras.ops.convert_to_numpy(task.output_dense.kernel))
        return {"accuracy": next(scores), "loss": 1.0}

    _, metrics, _ = run(tokenizer, tmp_path, evaluate=evaluate, keep=keep)
    assert metrics["best_epoch"] == epoch
    assert metrics["accuracy"] == (0.7 if keep == "best" else 0.6)
    model = ka.AlbertTextClassifier.from_preset(tmp_path / "model")
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(model.output_dense.kernel),
        kernels[epoch - 1],
    )


@pytest.mark.once
def test_a_loss_that_does_not_move_is_told_of(tokenizer, tmp_path):
    """Labels that have nothing to do with the texts: nothing to learn."""
    data = (["the same text"] * 80, np.tile(TARGETS, 5))
    stream = io.StringIO()
    fine_tune(
        make(tokenizer),
        data,
        data,
        tmp_path,
        epochs=2,
        batch_size=2,
        learning_rate=1e-3,
        stream=stream,
    )
    told = stream.getvalue()
    assert told.count("the loss does not move") == 1
    assert "0.6931" in told
    assert "try 0.0003" in told


@pytest.mark.once
def test_when_a_loss_is_stuck():
    falling = [(step, 0.7 - 0.004 * step) for step in range(10, 101, 10)]
    level = [(step, 0.7) for step in range(10, 101, 10)]
    assert stuck_loss(falling, 10, 0.69) is None
    assert stuck_loss(level, 10, 0.69) == (pytest.approx(0.7), 0.69)
    # Too early to say; and without guessing the first loss is compared.
    assert stuck_loss(level[:4], 10, 0.69) is None
    assert stuck_loss(level, 10, None) == (pytest.approx(0.7), 0.7)
    assert stuck_loss(falling, 10, None) is None


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments",
    [
        {"accumulate": 0},
        {"patience": 0},
        {"tokens_per_batch": 0},
        {"batch_size": -1},
        {"steps": 0},
        {"keep": "none"},
    ],
)
def test_numbers_that_cannot_be_meant(arguments):
    (name, value), *_ = arguments.items()
    with pytest.raises(ValueError, match=f"`{name}` must be.*{name}={value!r}"):
        check_recipe(**arguments)
