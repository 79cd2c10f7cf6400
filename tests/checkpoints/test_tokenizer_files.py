"""Tokenizers of Hugging Face folders give the ids of `transformers`."""

import json

import numpy as np
import pytest
import tensorflow as tf
import transformers

import keras_albert as ka
from keras_albert.checkpoints.huggingface_tokenizer import write_tokenizer
from keras_albert.checkpoints.sentencepiece_model import (
    make_model,
    read_model,
)

from .conftest import change_json

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "  In 2019, 1,234 people  paid £5.99\tfor it!\n",
    "``Quotes'' of \"two\" kinds, 'single' ones",
    "Café naïve ﬁne ＦＵＬＬ Ångström ½ №",
    "你好 unknown мир 🙂 e\u0301 \u200b zero\u00a0width",
    "",
    "What?! Really... yes!",
    "isn't it 11,424 of 1999, 2000, 2001,?",
]


@pytest.fixture(scope="module")
def pieces():
    """Pieces, scores, charsmap; capitals and accents among them."""
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20),
        model_writer=model,
        vocab_size=150,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="<pad>",
        unk_piece="<unk>",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
    )
    vocabulary, charsmap = read_model(model.getvalue())
    vocabulary += [("▁2019,", -4.0, 1), ("1999,", -4.5, 1)]
    proto = make_model(vocabulary, charsmap)
    assert read_model(proto) == (vocabulary, charsmap)
    return [(p, score) for p, score, _ in vocabulary], charsmap, proto


def save_theirs(folder, pieces, **kwargs):
    folder.mkdir(exist_ok=True)
    vocabulary, charsmap, _ = pieces
    tokenizer = transformers.AlbertTokenizer(
        vocab=vocabulary, _spm_precompiled_charsmap=charsmap, **kwargs
    )
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "albert"}))
    return tokenizer


def their_ids(tokenizer, texts=TEXTS):
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def our_ids(tokenizer, texts=TEXTS):
    return [list(map(int, tokenizer.tokenize(text))) for text in texts]


@pytest.mark.once
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_ids_of_a_folder_with_tokenizer_json(lower, keep, pieces, tmp_path):
    theirs = save_theirs(
        tmp_path, pieces, do_lower_case=lower, keep_accents=keep
    )
    ours = ka.AlbertTokenizer.from_preset(tmp_path)
    assert (ours.lowercase, ours.strip_accents) == (lower, not keep)
    assert our_ids(ours) == their_ids(theirs)
    # In graphs, and after saving.
    in_graph = tf.data.Dataset.from_tensor_slices(TEXTS).map(ours)
    assert [list(x) for x in in_graph.as_numpy_iterator()] == their_ids(theirs)
    ours.save_to_preset(tmp_path / "ours")
    (tmp_path / "ours" / "config.json").write_text("{}")
    again = ka.AlbertTokenizer.from_preset(tmp_path / "ours")
    assert our_ids(again) == their_ids(theirs)
    # And back again.
    (tmp_path / "back").mkdir()
    write_tokenizer(ours, tmp_path / "back")
    back = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert their_ids(back) == their_ids(theirs)


@pytest.mark.once
def test_spiece_model_goes_before(pieces, tmp_path):
    theirs = save_theirs(tmp_path, pieces)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "spiece.model").write_bytes(pieces[2])
    ours = ka.AlbertTokenizer.from_preset(tmp_path)
    assert our_ids(ours) == their_ids(theirs)


@pytest.mark.once
def test_the_originals_folding_survives_the_way_out(pieces, tmp_path):
    """Quotes stay and `9,` is split, though AlbertTokenizer does neither."""
    ours = ka.AlbertTokenizer(pieces[2], lowercase=True, strip_accents=True)
    write_tokenizer(ours, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "albert"}))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = ["in 2019, people", *TEXTS[2:-1]]  # No ties between the splits.
    assert their_ids(theirs, texts) == our_ids(ours, texts)
    assert our_ids(ours, texts[:1]) != their_ids(
        save_theirs(tmp_path / "t", pieces), texts[:1]
    )
    again = ka.AlbertTokenizer.from_preset(tmp_path)
    assert our_ids(again) == our_ids(ours)
    pair = theirs("in 2019", "the cafe")
    assert pair["input_ids"][0] == 2 and pair["token_type_ids"][-1] == 1


@pytest.mark.once
def test_what_is_no_sentencepiece_is_refused(pieces, tmp_path):
    save_theirs(tmp_path, pieces)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())

    def refused(match):
        with pytest.raises(ValueError, match=match):
            ka.AlbertTokenizer.from_preset(tmp_path)

    change_json(path, model={**content["model"], "type": "BPE"})
    refused("BPE")
    change_json(path, model={**content["model"], "vocab": [["a"]]})
    refused("tokenizer.json")
    change_json(path, model={"type": "Unigram"})
    refused("tokenizer.json")
    path.unlink()
    refused("holds none")


@pytest.mark.once
def test_classifiers_take_texts(pieces, save_theirs_model):
    theirs, folder = save_theirs_model
    tokenizer = save_theirs_tokenizer(folder, pieces)
    classifier = ka.AlbertTextClassifier.from_preset(folder)
    encoded = tokenizer(
        TEXTS,
        padding=True,
        truncation=True,
        max_length=20,
        return_tensors="pt",
    )
    expected = theirs(**encoded).logits.detach().numpy()
    received = classifier.predict_by_length(TEXTS)
    np.testing.assert_allclose(received, expected, atol=2e-5, rtol=0)


def save_theirs_tokenizer(folder, pieces):
    config = (folder / "config.json").read_text()
    tokenizer = save_theirs(folder, pieces)
    (folder / "config.json").write_text(config)
    return tokenizer


@pytest.fixture
def save_theirs_model(tmp_path):
    from huggingface_parity import make_theirs, random_config

    config = random_config(
        5, vocab_size=200, max_position_embeddings=20, type_vocab_size=2
    )
    model = make_theirs("AlbertForSequenceClassification", config)
    model.save_pretrained(tmp_path)
    return model, tmp_path
