"""One text, the same ids: in Python, in TensorFlow's graphs, under Grain."""

import io

import keras
import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

import keras_albert as ka

TEXTS = [
    "Wake me at SEVEN, please.",
    "",
    "   ",
    "Café naïve Ünïcödé",
    "in 2019, and 1,000",
    "!!!! ???? ....",
    "tabs\tand\nlines",
    "[CLS] <pad> [MASK] [SEP]",
    "漢字 и русский 😀",
    "a" * 200,
]
LINES = [
    "The Quick brown Fox jumps over the Lazy Dog",
    "Zürich und Café, Straße",
    "the quick brown fox jumps over the lazy dog",
] * 20


def train(lines=LINES, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        minloglevel=2,
        **{
            "vocab_size": 90,
            "hard_vocab_limit": False,
            "character_coverage": 1.0,
            "pad_id": 0,
            "unk_id": 1,
            "bos_id": -1,
            "eos_id": -1,
            "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
            **options,
        },
    )
    return model.getvalue()


@pytest.fixture(scope="module")
def cased():
    return ka.AlbertTokenizer(train())


def as_lists(rows):
    return [np.asarray(row).tolist() for row in rows]


@pytest.fixture(scope="module")
def expected(tokenizer):
    return as_lists(tokenizer(text) for text in TEXTS)


def test_a_list_is_tokenized_as_its_texts_are(tokenizer, expected):
    assert as_lists(tokenizer(TEXTS)) == expected
    assert as_lists(tokenizer(np.array(TEXTS))) == expected
    assert as_lists(tokenizer(tf.constant(TEXTS))) == expected
    assert expected[1] == expected[2] == []


def test_graphs_give_the_same_ids(tokenizer, expected):
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS)
    single = [row.numpy().tolist() for row in dataset.map(tokenizer)]
    assert single == expected
    batches = dataset.batch(4).map(tokenizer)
    assert [row for batch in batches for row in batch.to_list()] == expected
    traced = tf.function(tokenizer)(tf.constant(TEXTS))
    assert traced.to_list() == expected
    assert traced.dtype == tf.int32


def test_grain_gives_the_same_ids(tokenizer, expected):
    grain = pytest.importorskip("grain")
    dataset = grain.MapDataset.source(TEXTS).map(tokenizer)
    assert as_lists(dataset) == expected


def test_a_length_is_kept_on_every_path(tokenizer, expected):
    padded = [(ids + [0] * 6)[:6] for ids in expected]
    fixed = ka.AlbertTokenizer(tokenizer.proto, sequence_length=6)
    assert np.asarray(fixed(TEXTS)).tolist() == padded
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS)
    for received in (
        dataset.map(fixed).batch(10),
        dataset.batch(10).map(fixed),
    ):
        assert next(iter(received)).numpy().tolist() == padded
    single = keras.ops.convert_to_numpy(fixed(TEXTS[0]))
    assert single.dtype == "int32" and single.tolist() == padded[0]


def test_text_is_folded_as_for_pretraining(tokenizer):
    plain = as_lists(tokenizer(["wake me at seven", "cafe naive", "a b"]))
    folded = tokenizer(["Wake ME at seven", "CAFÉ naïve", " a \t\n b "])
    assert as_lists(folded) == plain
    assert tokenizer.token_to_id("<unk>") not in plain[0]


def test_text_never_gives_special_tokens(tokenizer):
    (ids,) = as_lists(tokenizer(["[CLS] <pad> [SEP] [MASK]"]))
    special = {
        tokenizer.cls_token_id,
        tokenizer.sep_token_id,
        tokenizer.pad_token_id,
        tokenizer.mask_token_id,
    }
    assert special == {0, 2, 3, 4} and special.isdisjoint(ids)


def test_ids_of_the_published_models(data_folder):
    path = str(data_folder / "albert_vocab" / "spiece.model")
    tokenizer = ka.AlbertTokenizer(path)
    for text in ("this is a test", "This IS a Tést"):
        assert np.asarray(tokenizer(text)).tolist() == [48, 25, 21, 1289]


def test_cased_vocabularies_are_left_alone(cased):
    texts = ["The Quick Fox", "Zürich Café"]
    processor = sentencepiece.SentencePieceProcessor(model_proto=train())
    ids = as_lists(cased(texts))
    assert ids == processor.encode(texts)
    assert cased.detokenize(texts and ids) == texts
    assert as_lists(cased([text.lower() for text in texts])) != ids
    assert not cased.lowercase and not cased.strip_accents


def test_case_can_be_chosen():
    kept = ka.AlbertTokenizer(train(), lowercase=True)
    assert as_lists(kept(["The FOX"])) == as_lists(kept(["the fox"]))


def test_long_text(tokenizer):
    long = "wake me at seven " * 6000
    (once,) = as_lists(tokenizer(["wake me at seven"]))
    assert len(long) > 100_000
    assert np.asarray(tokenizer(long)).tolist() == once * 6000


def test_paths_and_bytes_are_alike(tokenizer, expected, tmp_path):
    path = tmp_path / "vocabulary.spm"
    path.write_bytes(tokenizer.proto)
    for proto in (tokenizer.proto, str(path)):
        assert as_lists(ka.AlbertTokenizer(proto)(TEXTS)) == expected


@pytest.mark.parametrize("make", [str, train], ids=["bundled", "own"])
def test_saving(tokenizer, tmp_path, make):
    if make is train:
        tokenizer = ka.AlbertTokenizer(train(), lowercase=True)
    expected = as_lists(tokenizer(TEXTS))
    tokenizer.save_to_preset(tmp_path / "preset")
    loaded = ka.AlbertTokenizer.from_preset(tmp_path / "preset")
    assert as_lists(loaded(TEXTS)) == expected
    assert loaded.get_config() == tokenizer.get_config()
    # What is saved gives these ids wherever SentencePiece runs.
    saved = tmp_path / "preset" / "assets" / "tokenizer" / "vocabulary.spm"
    plain = sentencepiece.SentencePieceProcessor(model_file=str(saved))
    assert plain.encode(TEXTS) == expected
    twin = ka.AlbertTokenizer.from_config(tokenizer.get_config())
    twin.set_proto(tokenizer.proto)
    assert as_lists(twin(TEXTS)) == expected


def test_pieces_for_people(tokenizer):
    pieces = ka.AlbertTokenizer(tokenizer.proto, dtype="string")
    assert "".join(pieces("Wake me")).replace("▁", " ") == " wake me"


@pytest.mark.parametrize("missing", ["[CLS]", "[SEP]", "[MASK]"])
def test_missing_special_tokens(missing):
    others = [t for t in ("[CLS]", "[SEP]", "[MASK]") if t != missing]
    model = train(control_symbols=others)
    with pytest.raises(ValueError, match=rf"\{missing[:-1]}"):
        ka.AlbertTokenizer(model)


def test_what_is_no_vocabulary(tmp_path):
    path = tmp_path / "vocabulary.spm"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    for proto in (path.read_bytes(), str(path)):
        with pytest.raises((ValueError, RuntimeError)):
            ka.AlbertTokenizer(proto)
    with pytest.raises(ValueError, match="No vocabulary"):
        ka.AlbertTokenizer()("text")


# === Odd texts and vocabularies ===


def _vocabulary(**options):
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["abc is a text of 26 letters, or of more"] * 9),
        model_writer=content,
        vocab_size=40,
        hard_vocab_limit=False,
        pad_id=0,
        pad_piece="<pad>",
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        minloglevel=2,
        **options,
    )
    return content.getvalue()


@pytest.mark.once
def test_invalid_bytes_are_unknown_everywhere():
    tokenizer = ka.AlbertTokenizer.from_preset("albert_tiny_en")
    texts = [b"a\xffb", b"\xc3", b"the \xed\xa0\x80 cat", b"caf\xc3\xa9"]
    in_graph = tf.data.Dataset.from_tensors(texts).map(tokenizer)
    expected = in_graph.get_single_element().to_list()
    assert [list(row) for row in tokenizer(texts)] == expected
    assert [list(row) for row in tokenizer(tf.constant(texts))] == expected


@pytest.mark.once
def test_half_a_surrogate_pair_is_refused():
    tokenizer = ka.AlbertTokenizer.from_preset("albert_tiny_en")
    for call in (tokenizer, tokenizer.tokenize_with_offsets):
        with pytest.raises(ValueError, match="index 1.*surrogate"):
            call(["ok", "a\ud800b"])


@pytest.mark.once
@pytest.mark.parametrize(
    "options, word",
    [
        ({"model_type": "bpe"}, "Unigram"),
        ({"treat_whitespace_as_suffix": True}, "before words"),
        ({"add_dummy_prefix": False}, "before the first word"),
    ],
)
def test_models_that_graphs_segment_otherwise_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        ka.AlbertTokenizer(_vocabulary(**options))


@pytest.mark.once
def test_symbols_that_folding_changes_are_text_everywhere():
    tokenizer = ka.AlbertTokenizer(_vocabulary(user_defined_symbols=["ABC"]))
    texts = ["ABC is a text", "of abc"]
    in_graph = tf.data.Dataset.from_tensors(texts).map(tokenizer)
    ids = [list(row) for row in tokenizer(texts)]
    assert ids == in_graph.get_single_element().to_list()
    assert tokenizer.token_to_id("ABC") not in ids[0]


@pytest.mark.once
@pytest.mark.parametrize("length", [0, -1, 2.5])
def test_a_sequence_length_that_is_none_is_refused(length):
    with pytest.raises(ValueError, match="sequence_length"):
        ka.AlbertTokenizer(sequence_length=length)
