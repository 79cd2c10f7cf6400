"""The bundled preset: small, whole, and it has learned English."""

import pathlib
import warnings

import h5py
import pytest

import keras_albert as ka
from keras_albert.presets.registry import BUNDLED_PRESETS

pytestmark = pytest.mark.once
FOLDER = pathlib.Path(BUNDLED_PRESETS["albert_tiny_en"]["path"])
# What an English speaker says there; none of it is in this order of words
# alone, so that the words around must have been read.
CLOZE = {
    "He looked at her and shook his [MASK].": "head",
    "The people of the United [MASK] elect a president.": "states",
    "I am very [MASK] to see you.": "glad",
    "She opened the [MASK] and went in.": "door",
    "He was born in the [MASK] 1812.": "year",
    "Once upon a [MASK] there was a king.": "time",
}


@pytest.fixture(scope="module")
def masked_lm():
    with warnings.catch_warnings():
        warnings.simplefilter(
            "error", UserWarning
        )  # Random weights would warn.
        return ka.AlbertMaskedLM.from_preset("albert_tiny_en")


def test_files_are_small_and_in_16_bits():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6e6
    assert "## Limits and biases" in (FOLDER / "README.md").read_text()
    types = set()

    def look(name, item):
        if isinstance(item, h5py.Dataset):
            types.add(str(item.dtype))

    for name in ("model", "task"):
        with h5py.File(FOLDER / f"{name}.weights.h5") as file:
            file.visititems(look)
    assert types == {"float16"}


def test_it_loads_in_the_policy_in_force(masked_lm):
    assert masked_lm.dtype_policy.name == "float32"
    assert {weight.dtype for weight in masked_lm.weights} == {"float32"}


def test_masked_words(masked_lm):
    answers = masked_lm.fill_mask(list(CLOZE), top_k=10)
    found = [
        word in {answer["text"] for answer in given}
        for word, given in zip(CLOZE.values(), answers, strict=True)
    ]
    assert sum(found) >= 4  # By chance 10 of 8,000 each.


def test_order_of_words(masked_lm):
    right, wrong = masked_lm.score(
        ["I am glad to see you.", "I am see to glad you."]
    )
    assert right["score"] > wrong["score"] + 5.0
