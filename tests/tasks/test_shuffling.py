"""`fit` with lists of texts has another order each epoch."""

import keras
import numpy as np
import pytest

import keras_albert as ka

TEXTS = [f"wake me at {hour}" for hour in range(12)]
ROWS = np.arange(12)


@pytest.fixture
def orders_of(make_classifier, monkeypatch):
    """The orders of the rows that Keras gets for two epochs."""

    def orders(x, seed=0, **arguments):
        given = {}
        monkeypatch.setattr(
            keras.Model, "fit", lambda _, **kw: given.update(kw)
        )
        keras.utils.set_random_seed(seed)
        y = ROWS.astype("float32")
        make_classifier(num_classes=1, compiled=True).fit(
            x, y, batch_size=4, **arguments
        )
        held_out = given.get("validation_data")
        return [rows_of(given["x"]) for _ in range(2)], held_out

    return orders


def rows_of(data):
    targets = [keras.ops.convert_to_numpy(y) for _, y in data]
    return np.concatenate(targets).reshape(-1).astype(int).tolist()


PAIRS = (TEXTS, TEXTS[::-1])


@pytest.mark.parametrize("x", [TEXTS, np.array(TEXTS), PAIRS], ids=type)
def test_each_epoch_has_an_order_of_its_own(orders_of, x):
    (first, second), _ = orders_of(x)
    assert sorted(first) == sorted(second) == ROWS.tolist()
    assert first != ROWS.tolist() != second != first


def test_order_follows_from_the_seed(orders_of):
    first, again, other = (orders_of(TEXTS, seed=s)[0] for s in (1, 1, 2))
    assert first == again != other


def test_order_as_given(orders_of):
    orders, _ = orders_of(TEXTS, shuffle=False)
    assert orders == [ROWS.tolist(), ROWS.tolist()]


def test_validation_split_keeps_the_last_rows(orders_of):
    (first, _), held_out = orders_of(TEXTS, validation_split=0.25)
    assert sorted(first) == ROWS[:9].tolist() != first
    assert rows_of(held_out) == ROWS[9:].tolist()
    with pytest.raises(ValueError, match="rows to train on"):
        orders_of(TEXTS, validation_split=0.99)


# === Tasks that make batches of their own ===

# A row each, told apart in batches by the number of its tokens.
WORDS = ["wake me" + " please" * index for index in range(8)]
NUMBERED = {
    "extractor": (
        ka.AlbertSentenceExtractor,
        ka.AlbertSentenceExtractorPreprocessor,
        (WORDS, [[1]] * 8),
    ),
    "embedder": (
        ka.AlbertTextEmbedder,
        ka.AlbertTextEmbedderPreprocessor,
        ({"text": WORDS, "positive": WORDS}, None),
    ),
    "answerer": (
        ka.AlbertQuestionAnswerer,
        ka.AlbertQuestionAnswererPreprocessor,
        (("wake", WORDS), ["wake"] * 8),
        {"question_length": 4},
    ),
}


def tokens_of(data):
    """How many tokens each row has, in the order of the batches."""
    batches = [
        batch[0] if isinstance(batch, tuple) else batch for batch in data
    ]
    masks = [
        keras.ops.convert_to_numpy(batch["padding_mask"]) for batch in batches
    ]
    return [int(n) for mask in masks for n in mask.sum(axis=1)]


@pytest.mark.parametrize("kind", NUMBERED)
def test_tasks_with_batches_of_their_own(kind, tokenizer, tiny, monkeypatch):
    task_class, preprocessor_class, (x, y), *more = NUMBERED[kind]
    lengths = {"sequence_length": 32, **(more[0] if more else {})}
    task = task_class(
        ka.AlbertBackbone(**{**tiny, "num_layers": 1}),
        preprocessor_class(tokenizer, **lengths),
    )
    given = {}
    monkeypatch.setattr(keras.Model, "fit", lambda _, **kw: given.update(kw))

    def orders(**arguments):
        keras.utils.set_random_seed(0)
        task.fit(x, y, batch_size=3, **arguments)
        return [tokens_of(given["x"]) for _ in range(2)]

    unshuffled, again = orders(shuffle=False)
    assert unshuffled == again == sorted(unshuffled)
    first, second = orders()
    assert sorted(first) == sorted(second) == unshuffled
    assert first != unshuffled != second != first
    first, _ = orders(validation_split=0.25)
    held_out = tokens_of(given["validation_data"])
    kept = len(unshuffled) * 3 // 4
    assert sorted(first) == unshuffled[:kept] != first
    assert held_out == unshuffled[kept:]
    assert given["shuffle"] is False and "validation_split" not in given
