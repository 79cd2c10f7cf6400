"""The tasks that take ready tensors: outputs, training, saving, exceptions."""

import keras
import numpy as np
import pytest

import contracts
import keras_albert as ka

LENGTH, MASKS, CHOICES = 12, 3, 2
TASKS = {
    "AlbertMaskedLM": {},
    "AlbertPretrainer": {},
    "AlbertTokenClassifier": {"labels": ["O", "B-PER", "I-PER"]},
    "AlbertQuestionAnswerer": {},
    "AlbertMultipleChoice": {"dropout": 0.0},
    "AlbertSentenceExtractor": {},
}
TRAINING = pytest.mark.parametrize("name", TASKS)


@pytest.fixture
def make(shared):
    def make(name, **kwargs):
        backbone = ka.AlbertBackbone(**{**shared, **kwargs.pop("sizes", {})})
        task = getattr(ka, name)(backbone, **{**TASKS[name], **kwargs})
        contracts.randomize(task)
        return task

    return make


@pytest.fixture
def batch(shared):
    def batch(name):
        inputs = contracts.random_batch(shared, length=LENGTH)
        if name == "AlbertMultipleChoice":
            return {
                key: x.reshape(-1, CHOICES, LENGTH) for key, x in inputs.items()
            }
        if name in ("AlbertMaskedLM", "AlbertPretrainer"):
            generator = np.random.default_rng(2)
            inputs["mask_positions"] = generator.integers(
                LENGTH, size=(4, MASKS)
            ).astype("int32")
        return inputs

    return batch


def targets(name):
    generator = np.random.default_rng(3)

    def draw(size, *shape):
        return generator.integers(size, size=shape)

    return {
        "AlbertMaskedLM": lambda: draw(60, 4, MASKS),
        "AlbertPretrainer": lambda: {
            "mlm": draw(60, 4, MASKS),
            "sop": draw(2, 4),
        },
        "AlbertTokenClassifier": lambda: draw(3, 4, LENGTH),
        "AlbertQuestionAnswerer": lambda: {
            "start_logits": draw(LENGTH, 4),
            "end_logits": draw(LENGTH, 4),
        },
        "AlbertMultipleChoice": lambda: draw(CHOICES, 2),
        "AlbertSentenceExtractor": lambda: draw(2, 4, LENGTH),
    }[name]()


SHAPES = {
    "AlbertMaskedLM": {"outputs": (4, MASKS, 60)},
    "AlbertPretrainer": {"mlm": (4, MASKS, 60), "sop": (4, 2)},
    "AlbertTokenClassifier": {"outputs": (4, LENGTH, 3)},
    "AlbertQuestionAnswerer": {
        "start_logits": (4, LENGTH),
        "end_logits": (4, LENGTH),
    },
    "AlbertMultipleChoice": {"outputs": (2, CHOICES)},
    "AlbertSentenceExtractor": {"outputs": (4, LENGTH)},
}


@TRAINING
def test_predict_gives_the_documented_shapes(name, make, batch):
    outputs = make(name).predict(batch(name), verbose=0)
    if not isinstance(outputs, dict):
        outputs = {"outputs": outputs}
    assert {key: x.shape for key, x in outputs.items()} == SHAPES[name]


@TRAINING
def test_fit_lowers_the_default_loss(name, make, batch):
    task = make(name, sizes={"num_layers": 1, "num_groups": 1})
    task.optimizer.learning_rate = 0.01
    history = task.fit(
        batch(name), targets(name), epochs=6, batch_size=4, verbose=0
    ).history
    assert history["loss"][-1] < history["loss"][0]
    assert any("accuracy" in key for key in history)


@TRAINING
def test_dot_keras_and_presets_give_back_the_same(name, make, batch, tmp_path):
    task = make(name)
    inputs = batch(name)
    expected = contracts.check_saving(task, inputs, tmp_path / "task.keras")
    task.save_to_preset(tmp_path / "preset")
    loaded = getattr(ka, name).from_preset(tmp_path / "preset")
    contracts.assert_same(contracts.predict(loaded, inputs), expected, 0.0)
    assert getattr(loaded, "labels", None) == getattr(task, "labels", None)


@pytest.mark.once
@pytest.mark.parametrize("name", ["AlbertPretrainer", "AlbertMultipleChoice"])
def test_int8_survives_saving(name, make, batch, tmp_path):
    task = make(name, sizes={"num_layers": 1, "num_groups": 1})
    inputs = batch(name)
    before = contracts.predict(task, inputs)
    task.quantize("int8")
    expected = contracts.predict(task, inputs)
    contracts.assert_same(expected, before, tolerance=1.0)
    task.save_to_preset(tmp_path)
    loaded = getattr(ka, name).from_preset(tmp_path)
    contracts.assert_same(contracts.predict(loaded, inputs), expected, 1e-6)


def test_masked_positions_are_those_of_the_sequence(make, batch, shared):
    """The head by hand, on the backbone's output."""
    masked_lm = make("AlbertMaskedLM")
    inputs = batch("AlbertMaskedLM")
    head = masked_lm.masked_lm_head

    def array(x):
        return keras.ops.convert_to_numpy(x).astype("float64")

    sequence = array(masked_lm.backbone(
        {k: v for k, v in inputs.items() if k != "mask_positions"}
    )["sequence_output"])  # fmt: skip
    x = np.take_along_axis(
        sequence, inputs["mask_positions"][..., None].astype("int64"), axis=1
    )
    x = x @ array(head.dense.kernel) + array(head.dense.bias)
    x = 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(
        x.var(-1, keepdims=True) + 1e-12
    )
    x = x * array(head.layer_norm.gamma) + array(head.layer_norm.beta)
    table = array(masked_lm.backbone.token_embedding.embeddings)
    expected = x @ table.T + array(head.output_bias)
    received = masked_lm.predict(inputs, verbose=0)
    np.testing.assert_allclose(received, expected, atol=2e-5, rtol=0)


def test_sample_weights_leave_tokens_out(make, batch):
    tagger, inputs = make("AlbertTokenClassifier", dropout=0.0), None
    inputs, y = batch("AlbertTokenClassifier"), targets("AlbertTokenClassifier")
    weight = np.zeros((4, LENGTH), "float32")
    weight[:, 0] = 1.0
    other = np.where(weight > 0, y, 2 - y)
    losses = [
        tagger.evaluate(
            inputs, labels, sample_weight=weight, verbose=0, return_dict=True
        )["loss"]
        for labels in (y, other)
    ]
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] != pytest.approx(
        tagger.evaluate(inputs, y, verbose=0, return_dict=True)["loss"]
    )


def test_choices_do_not_see_each_other(make, batch):
    chooser, inputs = (
        make("AlbertMultipleChoice"),
        batch("AlbertMultipleChoice"),
    )
    expected = chooser.predict(inputs, verbose=0)
    swapped = {name: x[:, ::-1] for name, x in inputs.items()}
    received = chooser.predict(swapped, verbose=0)
    np.testing.assert_allclose(received[:, ::-1], expected, atol=1e-6)


@pytest.mark.once
def test_ids_outside_of_the_table_are_refused(make, batch):
    for name in TASKS:
        inputs = batch(name)
        inputs["token_ids"] = inputs["token_ids"] + 60
        with pytest.raises(ValueError, match="vocabulary_size"):
            make(name).predict(inputs, verbose=0)


@pytest.mark.once
def test_labels_and_classes_must_agree(make):
    with pytest.raises(ValueError, match="num_classes"):
        make("AlbertTokenClassifier", num_classes=5)
    with pytest.raises(ValueError, match="differ"):
        make("AlbertTokenClassifier", labels=["a", "a"])


@pytest.mark.once
def test_a_fresh_process_finds_the_classes(make, tmp_path, run_python):
    for name in TASKS:
        make(name).save(tmp_path / f"{name}.keras")
    code = (
        "import sys, keras, keras_albert\n"
        "for path in sys.argv[1:]:\n"
        "    print(type(keras.models.load_model(path)).__name__)"
    )
    paths = [tmp_path / f"{name}.keras" for name in TASKS]
    assert run_python(code, *paths).split() == list(TASKS)
