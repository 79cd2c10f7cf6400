import json
import pathlib

import pytest

import huggingface_parity
from huggingface_parity import make_theirs, random_config

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@pytest.fixture
def save_theirs(tmp_path):
    """Makes and saves a random model; gives it and its folder."""

    def save(architecture, seed=0, folder="theirs", config=None, **kwargs):
        model = make_theirs(
            architecture, random_config(seed, **(config or {})), seed, **kwargs
        )
        path = tmp_path / folder
        model.save_pretrained(path)
        return model, path

    return save


def their_outputs(model, inputs):
    return list(huggingface_parity.their_outputs(model, inputs).values())


def our_outputs(model, inputs):
    """In the order in which `transformers` gives them."""
    outputs = huggingface_parity.our_outputs(model, inputs)
    names = huggingface_parity.OUTPUTS.values()
    return [outputs[name] for name in names if name in outputs]


def change_json(path, **changes):
    path = pathlib.Path(path)
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))
