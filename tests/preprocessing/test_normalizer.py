"""The reference, the folded model, and the runtimes that run it."""

import io
import os
import pathlib
import random
import subprocess
import sys
import unicodedata

import pytest
import sentencepiece

from keras_albert.preprocessing import normalizer
from keras_albert.preprocessing.normalizer import (
    encode_ids,
    encode_pieces,
    fold_sentencepiece,
    is_folded,
    normalize_text,
    round_scores,
    vocabulary_case,
)
from keras_albert.pretraining.vocabulary import train_vocabulary

pytestmark = pytest.mark.once

LINES = (
    "the cat sat on the mat, and the dog saw it in 2019, 2020, and 2021,",
    "in 2019, she had 1,000 cats; in 2020, he had 2,000 dogs.",
    "cafe naive fiance resume uber strasse office fish",
    "σοφος λογος οδυσσευς σημα",
    "한국어 각 가나다 각각",
    "สวัสดี ครับ ประเทศไทย",
    "漢字 中文 かな カナ",
    "привет мир",
    "what's this? it's (almost) \"fine\" - 50% of $3.99 & more!",
    "👨 👩 👧 ❤ 😀",
)
CASED_LINES = (*LINES, *(line.title() for line in LINES), "Café Zürich Straße")

# === Texts that are hard to get right ===

TRICKY = (
    "",
    " ",
    " \t\n ",
    "The Cat",
    "CAFÉ naïve Résumé",
    "cafe\u0301 n\u0303 a\u0323\u0302",
    "ＦＵＬＬ　ｗｉｄｔｈ １２３",
    "oﬃce ﬁsh ﬂag Ⅳ ½ ℃ ™ …",
    "👨\u200d👩\u200d👧 ❤\ufe0f 😀😀",
    "ΟΔΥΣΣΕΥΣ ΛΟΓΟΣ σοφός Σ",
    "İstanbul IĞDIR ıssız",
    "한국어 각각",
    unicodedata.normalize("NFD", "한국어 각각"),
    "สวัสดี ครับ",
    "漢字 中文 が ｶﾞ パ",
    "ПРИВЕТ Йод ё",
    "non\u00a0breaking\u2009thin\u3000wide\u2028line\u0085next",
    "zero\u200bwidth\u200c\u200d\u2060\ufeffspace soft\u00adhyphen",
    "bell\x07 escape\x1b delete\x7f unit\x1fseparator",
    "nul\x00byte",
    "2019, 1,000",
    "in 2019, 2020, 2021,2019,",
    "x2019, 2019,, ,2019",
    "１９９９， ²⁰¹⁹,",
    "``quoted'' 'text' '''three'''",
    "▁under ▁ ▁▁score",
    "a" * 300,
    "ﷺ ǅ ß ẞ ŉ",
    "\u0301 starts with a mark",
    "<pad> [CLS] [SEP] [MASK] <unk>",
    "!!! ??? ... ---",
)


def train(lines, **options):
    """A SentencePiece model as anyone would train it: nothing folded."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines * 8),
        model_writer=model,
        minloglevel=2,
        **{
            "vocab_size": 400,
            "hard_vocab_limit": False,
            "character_coverage": 1.0,
            "pad_id": 0,
            "unk_id": 1,
            "bos_id": -1,
            "eos_id": -1,
            "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
            "user_defined_symbols": ["(", ")", '"', "-", "."],
            **options,
        },
    )
    return model.getvalue()


def load(model):
    return sentencepiece.SentencePieceProcessor(model_proto=model)


def piece_types(model):
    """Piece → type, read with sentencepiece itself."""
    processor = load(model)
    return {
        processor.id_to_piece(i): "control"
        if processor.is_control(i)
        else "unknown"
        if processor.is_unknown(i)
        else "normal"
        for i in range(processor.get_piece_size())
    }


@pytest.fixture(scope="module")
def raw():
    # As in the real vocabulary, there are pieces of digits with a comma.
    years = ("in 2019, and", "by 2020, or", "by 2019,", "in 2020,") * 20
    model = train((*LINES, *years), split_by_number=False)
    # In so small a vocabulary many pieces have the same score.
    return round_scores(model)


@pytest.fixture(scope="module")
def cased():
    return train(CASED_LINES)


# === Reference ===


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("  a \t b\n", "a b"),
        ("a\u00a0b\u3000c\u2028d", "a b c d"),
        ("CAFÉ naïve", "cafe naive"),
        ("cafe\u0301", "cafe"),
        ("ＦＵＬＬ", "full"),
        ("oﬃce", "office"),
        ("İstanbul", "istanbul"),
        ("ΛΟΓΟΣ", "λογος"),
        ("Ørsted Łódź ß", "ørsted łodz ß"),
        ("``a''", "``a''"),
    ],
)
def test_normalize_text(text, expected):
    assert normalize_text(text) == expected


def test_normalize_text_switches():
    assert normalize_text("É", strip_accents=False) == "é"
    assert normalize_text("É", lowercase=False) == "E"
    assert normalize_text("``a''", replace_quotes=True) == '"a"'


def test_digits_with_a_comma_are_split(raw):
    processor = load(raw)
    assert "▁2019," in processor.encode("in 2019, she", out_type=str)
    pieces = encode_pieces(processor, "In 2019, she had 1,000")
    assert "".join(pieces) == "▁in▁2019,▁she▁had▁1,000"
    assert not any(len(p) > 1 and p[-1] == "," for p in pieces)
    year = processor.encode("2019", out_type=str)
    start = len(processor.encode("in"))
    assert pieces[start : start + len(year) + 1] == [*year, ","]


def test_text_never_gives_a_control_piece():
    model = train(("lower case words", "nothing else here"))
    processor = load(model)
    # "[CLS]" comes out of SentencePiece as one unknown piece, whose name is
    # that of the control piece.
    ids = encode_ids(processor, "[CLS]", lowercase=False)
    assert processor.piece_to_id("[CLS]") not in ids
    assert processor.unk_id() in ids


LATIN = tuple(
    text
    for text in TRICKY
    # Hugging Face strips by category, not by combining class, lower-cases
    # sigma without looking around, normalizes by grapheme, and knows special
    # tokens in text: not the original's ways.
    if all(
        ord(c) < 0x250 or 0x300 <= ord(c) < 0x370 or 0xFB00 <= ord(c) < 0xFB07
        for c in text
    )
    and not any(unicodedata.category(c) == "Cc" for c in text)
    and "[" not in text
    and text.strip()
    and not text.startswith("\u0301")
)


def test_reference_is_that_of_hugging_face(raw):
    transformers = pytest.importorskip("transformers")
    assert hugging_face_differences(transformers, raw, LATIN) == []


def hugging_face_differences(transformers, model, texts):
    processor = load(model)
    charsmap = normalizer._parse(model).normalizer_spec.precompiled_charsmap
    vocabulary = []
    for i in range(processor.get_piece_size()):
        piece, score = processor.id_to_piece(i), processor.get_score(i)
        # As its converter of SentencePiece models does.
        comma = len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()
        vocabulary.append((piece, score - 100 if comma else score))
    tokenizer = transformers.AlbertTokenizer(
        vocab=vocabulary, _spm_precompiled_charsmap=charsmap
    )
    return [
        (text, received, expected)
        for text in texts
        if (received := encode_ids(processor, text, replace_quotes=True))
        != (expected := tokenizer.encode(text, add_special_tokens=False))
    ]


# === The folded model ===

SWITCHES = (
    {},
    {"strip_accents": False},
    {"lowercase": False},
    {"replace_quotes": True},
    {"lowercase": False, "strip_accents": False},
)


@pytest.mark.parametrize("text", TRICKY)
@pytest.mark.parametrize("options", SWITCHES[:4], ids=str)
def test_folded_model_agrees_with_reference(raw, text, options):
    folded = load(fold_sentencepiece(raw, **options))
    assert folded.encode(text) == encode_ids(load(raw), text, **options)


def test_folded_model_agrees_on_random_text(raw):
    characters = [
        chr(code)
        for code in (*range(1, 0xD800), *range(0x1F300, 0x1F700))
        # Sigma is among the exceptions that the module names.
        if unicodedata.category(chr(code)) != "Cn"
        and "Σ" not in unicodedata.normalize("NFKD", chr(code))
    ]
    seen = sorted(set("".join(LINES)))
    generator = random.Random(0)
    reference, folded = load(raw), load(fold_sentencepiece(raw))
    for _ in range(2000):
        text = "".join(
            generator.choice(generator.choice((characters, seen)))
            for _ in range(12)
        )
        assert folded.encode(text) == encode_ids(reference, text), ascii(text)


def test_known_exceptions_are_still_exceptions(raw):
    """Where the module's docstring is wrong, it should not stay so."""
    reference, folded = load(raw), load(fold_sentencepiece(raw))
    for text in ("Σ", "ΑΣ.Α"):
        assert folded.encode(text) != encode_ids(reference, text)


@pytest.fixture(scope="module")
def text_tokenizers(raw):
    tensorflow_text = pytest.importorskip("tensorflow_text")
    folded = fold_sentencepiece(raw)
    return {
        "sentencepiece": tensorflow_text.SentencepieceTokenizer(folded),
        "fast": tensorflow_text.FastSentencepieceTokenizer(folded),
    }


@pytest.mark.parametrize("name", ["sentencepiece", "fast"])
def test_tensorflow_text_agrees_with_reference(raw, text_tokenizers, name):
    received = text_tokenizers[name].tokenize(list(TRICKY)).to_list()
    processor = load(raw)
    differences = [
        (text, ids)
        for text, ids in zip(TRICKY, received, strict=True)
        if ids != encode_ids(processor, text)
    ]
    assert differences == []


def test_folding_keeps_ids_and_scores(raw):
    before, after = load(raw), load(fold_sentencepiece(raw))
    assert after.get_piece_size() == before.get_piece_size()
    for i in range(before.get_piece_size()):
        assert after.id_to_piece(i) == before.id_to_piece(i)
        assert after.get_score(i) == before.get_score(i)


def test_digits_with_a_comma_become_control(raw):
    before, after = piece_types(raw), piece_types(fold_sentencepiece(raw))
    changed = {piece for piece in before if before[piece] != after[piece]}
    assert "▁2019," in changed
    assert all(piece[-2].isdigit() and piece[-1] == "," for piece in changed)


@pytest.mark.parametrize("options", SWITCHES, ids=str)
def test_folding_is_idempotent(raw, options):
    folded = fold_sentencepiece(raw, **options)
    assert is_folded(folded) and not is_folded(raw)
    assert fold_sentencepiece(folded, **options) == folded
    assert fold_sentencepiece(folded) == folded


def test_folding_is_deterministic(raw):
    first = fold_sentencepiece(raw)
    normalizer._folded_charsmap.cache_clear()
    assert fold_sentencepiece(raw) == first


@pytest.mark.parametrize(
    "name", ["identity", "nfkc", "nmt_nfkc", "nmt_nfkc_cf"]
)
def test_folding_composes_with_the_models_own_normalizer(name):
    model = round_scores(train(LINES, normalization_rule_name=name))
    reference, folded = load(model), load(fold_sentencepiece(model))
    for text in TRICKY:
        assert folded.encode(text) == encode_ids(reference, text), ascii(text)


def test_folding_composes_with_rules_of_the_users_own(tmp_path):
    rules = tmp_path / "rules.tsv"
    # Code points in hexadecimal: "ph" → "f", "€" → "euro".
    rules.write_text("70 68\t66\n20AC\t65 75 72 6F\n", encoding="utf-8")
    model = train(
        ("foto euro fisik phase", *LINES), normalization_rule_tsv=str(rules)
    )
    reference, folded = load(model), load(fold_sentencepiece(model))
    for text in ("photo", "Photo PHASE", "3 €", "Éuro"):
        ids = encode_ids(reference, text)
        assert folded.encode(text) == ids
    assert folded.encode("Photo") == reference.encode("foto")


def test_folding_drops_self_test_samples():
    model = train(LINES, self_test_sample_size=5)
    folded = fold_sentencepiece(model)
    assert load(folded).encode("The CAT") == encode_ids(load(model), "The CAT")


def test_white_space_collapses_though_the_model_would_keep_it():
    model = train(LINES, remove_extra_whitespaces=False)
    folded = load(fold_sentencepiece(model))
    assert folded.encode("  the   cat ") == folded.encode("the cat")


# === Cased vocabularies ===


def test_vocabulary_case(raw, cased):
    assert vocabulary_case(raw) == (True, True)
    assert vocabulary_case(cased) == (False, False)
    accents = train(("café naïve", "zürich"))
    assert vocabulary_case(accents) == (True, False)
    # Voiced kana are letters with a mark; Hangul syllables are not.
    assert vocabulary_case(train(("かな がぎ", "です"))) == (True, False)
    assert vocabulary_case(train(("한국어", "각각"))) == (True, True)


def test_special_pieces_do_not_make_a_vocabulary_cased(raw):
    assert load(raw).piece_to_id("[CLS]") == 2
    assert vocabulary_case(fold_sentencepiece(raw)) == (True, True)


def test_cased_vocabulary_is_left_alone(cased):
    lowercase, strip_accents = vocabulary_case(cased)
    folded = load(
        fold_sentencepiece(
            cased, lowercase=lowercase, strip_accents=strip_accents
        )
    )
    processor = load(cased)
    for text in ("The Cat", "Café Zürich", "the cat", "ΛΟΓΟΣ", "ＦＵＬＬ"):
        assert folded.encode(text) == processor.encode(text)
    assert folded.encode("The Cat") != folded.encode("the cat")


def test_accents_can_be_kept_while_case_goes():
    model = train(("café naïve zürich cafe", "ガ ｶ パ"))
    lowercase, strip_accents = vocabulary_case(model)
    folded = load(
        fold_sentencepiece(
            model, lowercase=lowercase, strip_accents=strip_accents
        )
    )
    for text in ("CAFÉ", "Cafe\u0301", "CAFE\u0301", "ｶﾞ", "ﾊﾟ"):
        expected = load(model).encode(
            unicodedata.normalize("NFKC", text).lower()
        )
        assert folded.encode(text) == expected, ascii(text)


# === Rounded scores ===


def test_rounded_scores_settle_ties(raw):
    model = round_scores(fold_sentencepiece(raw))
    before, after = load(raw), load(model)
    for i in range(before.get_piece_size()):
        score = after.get_score(i)
        assert (score * 1024).is_integer()
        assert abs(score - before.get_score(i)) <= 1 / 2048


# === Errors and imports ===


@pytest.mark.parametrize(
    "function", [fold_sentencepiece, is_folded, vocabulary_case, round_scores]
)
@pytest.mark.parametrize(
    "model",
    [
        b"",
        b"<!DOCTYPE html><html></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"\x1f\x8b\x08\x00compressed",
        bytes(100),
    ],
)
def test_bytes_that_are_no_model(function, model):
    with pytest.raises(ValueError, match="must be a SentencePiece model"):
        function(model)


def test_a_path_in_place_of_bytes(tmp_path):
    with pytest.raises(TypeError, match="read_bytes"):
        fold_sentencepiece(str(tmp_path / "spiece.model"))


def test_truncated_model(raw):
    with pytest.raises(ValueError, match="downloaded in full"):
        fold_sentencepiece(raw[: len(raw) // 2 + 3])


def test_import_is_cheap():
    code = (
        "import sys, keras_albert.preprocessing.normalizer;"
        "assert not {'tensorflow', 'keras', 'google.protobuf'}"
        " & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# === Trained vocabularies ===


def test_trained_vocabulary(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(CASED_LINES * 8), encoding="utf-8")
    path = train_vocabulary([text], 150, tmp_path / "made" / "a.spm")
    model = path.read_bytes()
    processor = load(model)
    assert [processor.id_to_piece(i) for i in range(5)] == [
        "<pad>",
        "<unk>",
        "[CLS]",
        "[SEP]",
        "[MASK]",
    ]
    assert processor.get_piece_size() == 150
    assert processor.unk_id() == 1
    assert all(processor.is_control(i) for i in (0, 2, 3, 4))
    assert is_folded(model) and fold_sentencepiece(model) is model
    assert vocabulary_case(model) == (True, True)
    assert processor.encode("THE Café") == processor.encode("the cafe")
    assert not [
        piece for piece in piece_types(model) if "," in piece and piece != ","
    ]
    again = train_vocabulary([text], 150, tmp_path / "b.spm")
    assert again.read_bytes() == model


def test_trained_vocabulary_samples_by_seed(tmp_path):
    text = tmp_path / "text.txt"
    words = [f"word{i} is number {i}\n" for i in range(400)]
    text.write_text("".join(words) * 2, encoding="utf-8")
    models = [
        train_vocabulary(
            [text], 150, tmp_path / "a.spm", seed=seed, max_sentences=200
        ).read_bytes()
        for seed in (0, 0, 1)
    ]
    assert models[0] == models[1] != models[2]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b" \n\n", {}, "at least one line of text"),
        (b"caf\xe9 is latin1\n", {}, "must be UTF-8"),
        (b"too little text\n" * 9, {}, "must fit the text"),
        (b"text\n", {"max_sentences": 0}, "at least 1"),
    ],
)
def test_texts_that_make_no_vocabulary(tmp_path, content, options, message):
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        train_vocabulary([text], 5000, tmp_path / "a.spm", **options)
    assert list(tmp_path.iterdir()) == [text]


# === Real data ===


@pytest.fixture(scope="module")
def data():
    folder = os.environ.get("KERAS_ALBERT_DATA")
    if not folder:
        pytest.skip("KERAS_ALBERT_DATA names no folder with the real data")
    return pathlib.Path(folder)


@pytest.fixture(scope="module")
def real(data):
    return (data / "albert_vocab" / "spiece.model").read_bytes()


@pytest.fixture(scope="module")
def sst2(data):
    lines = (data / "glue/SST-2/dev.tsv").read_text(encoding="utf-8")
    return [line.split("\t")[0] for line in lines.splitlines()[1:]]


def test_real_vocabulary(real):
    # The ids that the published models' tokenizers give.
    expected = [48, 25, 21, 1289]
    assert encode_ids(load(real), "this is a test") == expected
    folded = fold_sentencepiece(real)
    assert load(folded).encode("This IS a Tést") == expected
    assert vocabulary_case(real) == (True, True)


def test_real_vocabulary_as_hugging_face(real, sst2):
    transformers = pytest.importorskip("transformers")
    sentences = [text.title() for text in sst2]
    differences = hugging_face_differences(transformers, real, sentences)
    # Rust sums scores in float64: ties may come out another way.
    assert len(differences) <= 1


def test_real_text_agrees(real, sst2, text_tokenizers):
    import tensorflow_text

    reference, model = load(real), fold_sentencepiece(real)
    expected = [encode_ids(reference, text.title()) for text in sst2]
    texts = [text.title() for text in sst2]
    assert load(model).encode(texts) == expected
    fast = tensorflow_text.FastSentencepieceTokenizer(model)
    assert fast.tokenize(texts).to_list() == expected
    graph = tensorflow_text.SentencepieceTokenizer(model)
    differences = sum(
        received != ids
        for received, ids in zip(
            graph.tokenize(texts).to_list(), expected, strict=True
        )
    )
    # Ties, see docs/tokenization.md.
    assert differences <= len(texts) // 200
