"""The table of names is one-to-one in each format, and complete."""

import pytest

import keras_albert as ka
from keras_albert.checkpoints.names import TASK_PARTS, weight_names

FORMATS = ("ours", "huggingface", "original", "keras_hub")


@pytest.mark.once
@pytest.mark.parametrize("groups, inner", [(1, 1), (3, 2)])
def test_each_name_stands_once(groups, inner):
    names = weight_names(groups, inner)
    for column in FORMATS:
        known = [n.in_format(column) for n in names if n.in_format(column)]
        assert len(set(known)) == len(known)


@pytest.mark.once
@pytest.mark.parametrize("task", [None, *TASK_PARTS])
def test_each_weight_is_in_the_table_with_its_shape(task):
    backbone = ka.AlbertBackbone(
        vocabulary_size=30,
        num_layers=3,
        num_heads=2,
        embedding_dim=8,
        hidden_dim=16,
        intermediate_dim=24,
        num_groups=3,
        num_inner_repetitions=2,
        max_sequence_length=20,
    )
    model = backbone
    if task is not None:
        with_classes = "Classifier" in task
        kwargs = {"num_classes": 5} if with_classes else {}
        model = getattr(ka, task)(backbone, **kwargs)
    known = {name.ours: name for name in weight_names(3, 2)}
    classes = 5 if task is not None and "Classifier" in task else 1
    sizes = dict(zip("VPSEHIC", (30, 20, 2, 8, 16, 24, classes), strict=True))
    for weight in model.weights:
        assert known[weight.path].sizes(sizes) == tuple(weight.shape)
    paths = {weight.path for weight in model.weights}
    parts = {known[path].part for path in paths}
    assert paths == {n.ours for n in known.values() if n.part in parts}
