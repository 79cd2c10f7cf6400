"""`keras-albert convert` between all formats."""

import json

import pytest

import keras_albert as ka
from huggingface_parity import ARCHITECTURES
from keras_albert.cli import main
from keras_albert.tasks.loading import load_preset

from .test_google import write_checkpoint

pytestmark = pytest.mark.once


def convert(capsys, source, to, output):
    assert (
        main(["convert", str(source), "--to", to, "-o", str(output), "--json"])
        == 0
    )
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "architecture, route",
    [
        ("AlbertModel", ("preset", "huggingface", "keras_hub")),
        ("AlbertForSequenceClassification", ("keras_hub", "huggingface")),
    ],
)
def test_round_the_formats(architecture, route, save_theirs, tmp_path, capsys):
    config = {
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-12,
        "num_hidden_groups": 1,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    source = save_theirs(architecture, config=config)[1]
    for number, to in enumerate(route):
        output = tmp_path / str(number)
        result = convert(capsys, source, to, output)
        assert result["model"] == ARCHITECTURES[architecture]
        assert result["difference"] < 2e-5
        assert not result["fresh"] and not result["ignored"]
        assert result["read"].keys() == result["written"].keys()
        assert result["tokenizer"].startswith("none in")
        source = output


def test_an_original_checkpoint(tmp_path, capsys):
    values = write_checkpoint(tmp_path / "original")
    result = convert(
        capsys, tmp_path / "original", "huggingface", tmp_path / "o"
    )
    assert result["difference"] < 2e-5
    assert len(result["ignored"]) == 2 * len(values) + 1
    assert type(load_preset(tmp_path / "o")) is ka.AlbertPretrainer


def test_the_tokenizer_goes_along(tmp_path, capsys):
    # Its encoder alone: KerasHub has no class for both heads.
    source = tmp_path / "encoder"
    tokenizer = ka.AlbertTokenizer.from_preset("albert_tiny_en")
    for part in (ka.AlbertBackbone.from_preset("albert_tiny_en"), tokenizer):
        part.save_to_preset(source)
    expected = tokenizer("Wake me at 2019, Café")
    for to in ("huggingface", "preset", "keras_hub", "preset"):
        output = tmp_path / to
        result = convert(capsys, source, to, output)
        assert result["tokenizer"] == "converted"
        assert result["difference"] < 2e-5
        loaded = ka.AlbertTokenizer.from_preset(output)
        assert list(loaded("Wake me at 2019, Café")) == list(expected)
        source = output


def test_the_table(save_theirs, tmp_path, capsys):
    _, source = save_theirs("AlbertForMaskedLM")
    output = tmp_path / "o"
    assert (
        main(["convert", str(source), "--to", "preset", "-o", str(output)]) == 0
    )
    printed = capsys.readouterr().out
    assert "2 fresh" in printed and "largest |Δ|" in printed
    assert "tokenizer: none" in printed


def test_bad_input_is_one_line(save_theirs, tmp_path, capsys):
    _, source = save_theirs("AlbertForMaskedLM")
    (source / "model.safetensors").write_bytes(b"")
    output = tmp_path / "o"
    assert (
        main(["convert", str(source), "--to", "preset", "-o", str(output)]) == 2
    )
    assert capsys.readouterr().err.count("\n") == 1
    assert not output.exists()
