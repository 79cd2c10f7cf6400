"""The public names: sorted, loadable, with the arguments they promise."""

import inspect

import pytest

import keras_albert as ka

pytestmark = pytest.mark.once

ARGUMENTS = {
    "AlbertBackbone": (
        "vocabulary_size num_layers num_heads embedding_dim hidden_dim "
        "intermediate_dim num_groups num_inner_repetitions dropout "
        "attention_dropout activation layer_norm_epsilon max_sequence_length "
        "num_segments embedding_projection dtype"
    ),
    "AlbertTextClassifier": "backbone num_classes preprocessor activation",
    "AlbertTextClassifierPreprocessor": "tokenizer sequence_length truncate",
    "AlbertTokenizer": "proto",
}


def test_names_are_sorted():
    assert ka.__all__ == ["__version__", *sorted(ka.__all__[1:])]
    assert sorted(dir(ka)) == sorted(ka.__all__)


@pytest.mark.parametrize("name", ka.__all__)
def test_names_load_and_are_documented(name):
    value = getattr(ka, name)
    if inspect.isclass(value) or inspect.ismodule(value):
        assert value.__doc__
    if inspect.isclass(value):
        assert value.__name__ == name
        assert hasattr(value, "from_preset")
        assert hasattr(value, "save_to_preset")


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_in_order(name):
    parameters = list(inspect.signature(getattr(ka, name)).parameters)
    wanted = ARGUMENTS[name].split()
    assert parameters[: len(wanted)] == wanted


def test_unknown_name_raises():
    with pytest.raises(AttributeError, match="no attribute 'AlbertFoo'"):
        ka.AlbertFoo  # noqa: B018
