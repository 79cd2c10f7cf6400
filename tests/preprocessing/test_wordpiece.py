"""Chinese ALBERTs' vocabularies: the ids of `transformers`, everywhere."""

import json
import random

import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka
from keras_albert.checkpoints.huggingface_tokenizer import write_tokenizer
from keras_albert.preprocessing.wordpiece import AlbertWordPieceTokenizer

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.once

TEXTS = [
    "我爱北京天安门，ALBERT 模型很好！",
    "\u3000全角\u3000空格 ＡＢＣ ａ１",
    "Café naïve ÅNGSTRÖM straße STRAẞE İstanbul e\u0301",
    "ΟΔΥΣΣΕΥΣ Σ",
    "zero\u200bwidth soft\u00adhyphen no\u00a0break a´b",
    "tab\tline\u2028x\x0cy\x85z\x00w\ufffd \ue000private",
    "🙂 👩\u200d👩 🇪🇪! ①②③ ℃ ㎏",
    "in 2019, 1,000 $5.99 don't",
    "“引号”《书名》、。…— 〇 々 〆 カタカナ ひらがな 한국어 각",
    "",
    " \n",
    "x" * 101,
]


def make_vocabulary(special=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")):
    """Each character of the texts as a word and inside one, some words."""
    import unicodedata

    text = "".join(TEXTS)
    forms = (text, text.lower(), unicodedata.normalize("NFD", text.lower()))
    known = sorted(set("".join(forms)) - {*" \n\t", "模", "🙂"})
    known = [c for c in known if not c.isspace() and c.isprintable()]
    words = ["al", "##bert", "cafe", "straße", "strasse", "don", "Café"]
    return list(
        dict.fromkeys([*special, *known, *(f"##{c}" for c in known), *words])
    )


@pytest.fixture(scope="module")
def vocabulary():
    return make_vocabulary()


def make_theirs(vocabulary, **kwargs):
    return transformers.BertTokenizer(
        vocab={token: i for i, token in enumerate(vocabulary)}, **kwargs
    )


def random_texts():
    draw = random.Random(0)
    pool = "".join(TEXTS[:-1])
    return [
        "".join(draw.choices(pool, k=draw.randint(1, 30))) for _ in "x" * 300
    ]


def check(ours, theirs, texts=TEXTS):
    expected = theirs(texts, add_special_tokens=False)["input_ids"]
    assert [list(map(int, row)) for row in ours(texts)] == expected
    return expected


def check_everywhere(ours, theirs):
    texts = [*TEXTS, *random_texts()]
    expected = check(ours, theirs, texts)
    graph = tf.function(lambda text: ours(text))
    assert graph(tf.constant(texts)).to_list() == expected
    in_data = tf.data.Dataset.from_tensor_slices(texts[:12]).map(ours)
    assert [row.tolist() for row in in_data.as_numpy_iterator()] == expected[
        :12
    ]
    assert np.asarray(ours(texts[0])).tolist() == expected[0]
    eager = [list(map(int, row)) for row in ours(tf.constant(texts[:12]))]
    assert eager == expected[:12]


@pytest.mark.parametrize(
    "lower, accents",
    [(True, None), (False, None), (True, False), (False, True)],
)
def test_ids_of_transformers(lower, accents, vocabulary, tmp_path):
    options = {"do_lower_case": lower, "strip_accents": accents}
    theirs = make_theirs(vocabulary, **options)
    check_everywhere(AlbertWordPieceTokenizer(vocabulary, **options), theirs)
    # What it writes: `tokenizer.json`.
    theirs.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "albert"}')
    ours = ka.AlbertTokenizer.from_preset(tmp_path)
    assert type(ours) is AlbertWordPieceTokenizer
    check(ours, theirs)


def test_there_and_back(vocabulary, tmp_path):
    """From `vocab.txt` into a preset of ours, and out again."""
    theirs = make_theirs(vocabulary, do_lower_case=False)
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (tmp_path / "config.json").write_text('{"model_type": "albert"}')
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    ours = ka.AlbertTokenizer.from_preset(tmp_path)
    check(ours, theirs)
    ours.save_to_preset(tmp_path / "preset")
    again = ka.AlbertTokenizer.from_preset(tmp_path / "preset")
    assert again.get_config() == ours.get_config()
    check(again, theirs)
    (tmp_path / "back").mkdir()
    write_tokenizer(again, tmp_path / "back")
    (tmp_path / "back" / "config.json").write_text('{"model_type": "albert"}')
    back = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    check(again, back)


@pytest.fixture(scope="module")
def folder(vocabulary, tmp_path_factory):
    """A Hugging Face folder of a classifier with a `vocab.txt`."""
    folder = tmp_path_factory.mktemp("chinese")
    config = transformers.AlbertConfig(
        vocab_size=len(vocabulary),
        embedding_size=8,
        hidden_size=16,
        num_attention_heads=2,
        num_hidden_layers=2,
        intermediate_size=24,
        max_position_embeddings=32,
        hidden_act="relu",
        initializer_range=0.4,
    )
    transformers.AlbertForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    return folder


def test_classifiers_take_texts(folder, vocabulary, tmp_path):
    theirs = transformers.AlbertForSequenceClassification.from_pretrained(
        folder
    ).eval()
    encoded = make_theirs(vocabulary)(
        TEXTS, padding=True, truncation=True, max_length=32, return_tensors="pt"
    )
    expected = theirs(**encoded).logits.detach().numpy()
    ours = ka.AlbertTextClassifier.from_preset(folder)
    ours.save_to_preset(tmp_path / "preset")
    again = ka.AlbertTextClassifier.from_preset(tmp_path / "preset")
    for model in (ours, again):
        model.run_eagerly = True  # Tracing takes longer.
        received = model.predict_by_length(TEXTS)
        np.testing.assert_allclose(received, expected, atol=2e-5, rtol=0)
    assert ours.classify(("我爱", "北京"))["label"] in (0, 1)


def test_exports_take_texts(folder, tmp_path):
    from keras_albert import export

    classifier = ka.AlbertTextClassifier.from_preset(
        folder, labels=["坏", "好"]
    )
    classifier.run_eagerly = True
    path = export.to_saved_model(classifier, tmp_path / "saved")
    served = tf.saved_model.load(path)
    received = served.signatures["text"](text=tf.constant(TEXTS))
    expected = np.exp(classifier.predict_by_length(TEXTS))
    expected /= expected.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(
        received["probabilities"], expected, atol=1e-5, rtol=0
    )


def test_converting(folder, tmp_path):
    from keras_albert.tasks.conversion import convert

    back = convert(folder, tmp_path / "back", "huggingface")
    assert back.tokenizer == "converted" and back.difference < 2e-5
    assert (tmp_path / "back" / "vocab.txt").read_bytes() == (
        folder / "vocab.txt"
    ).read_bytes()


def test_damaged_vocabularies_are_refused(vocabulary, tmp_path):
    def refused(*words):
        with pytest.raises(ValueError) as caught:
            ka.AlbertTokenizer.from_preset(tmp_path)
        for word in words:
            assert word in str(caught.value)

    (tmp_path / "config.json").write_text('{"model_type": "albert"}')
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n")
    refused("vocab.txt", "lacks [CLS], [SEP], [MASK]")
    path.write_text("\n".join([*vocabulary, "我"]))
    refused("vocab.txt", "'我'", "once")
    path.write_bytes(b"[PAD]\n\xff\n")
    refused("vocab.txt", "UTF-8")
    make_theirs(vocabulary).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    for change, words in (
        ({"normalizer": {"type": "NFC"}}, ("normalizer", "NFC")),
        ({"pre_tokenizer": None}, ("pre_tokenizer", "BertPreTokenizer")),
        ({"model": {**content["model"], "vocab": {"a": 3}}}, ("number",)),
        ({"model": {**content["model"], "vocab": None}}, ("lacks [PAD]",)),
    ):
        path.write_text(json.dumps({**content, **change}))
        refused("tokenizer.json", *words)
