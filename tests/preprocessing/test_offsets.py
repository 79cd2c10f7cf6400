"""Each token knows where it stands in the string that the user gave."""

import random
import unicodedata

import pytest
import sentencepiece

import keras_albert as ka
from keras_albert.preprocessing.normalizer import encode_pieces

pytestmark = pytest.mark.once

TEXTS = [
    "Wake me at SEVEN, please.",
    "",
    " \t\n ",
    "  Café  naïve \n cafe\u0301  ",
    "ﬁne ﬃ ½ № ℃ ㎏ … ＦＵＬＬ　ＷＩＤＴＨ",
    "🙂 👩\u200d👩\u200d👧 ok\ufe0f 🇪🇪!",
    "in 2019, and 1,000 or 11,424, 12,?",
    "ΟΔΥΣΣΕΥΣ. Σ ΣΣΆx ΑΣ.Α, Ὀδυσσεύς",
    "漢字 и Русский ÅNGSTRÖM İstanbul Straße",
    "zero\u200bwidth soft\u00adhyphen no\u00a0break a´b ¨",
    "[CLS] <pad> [MASK] a▁b",
    "1⁄2 \u0301cat a\u0300\u0301\u0302b",
]


def characters(text, options):
    """The normalized text by characters, each with where it came from.

    The original's folding and then nmt_nfkc, a character at a time: neither
    the folded model nor SentencePiece's own alignment has a part in it.
    """
    own = sentencepiece.SentencePieceNormalizer(
        rule_name="nmt_nfkc",
        add_dummy_prefix=False,
        escape_whitespaces=False,
        remove_extra_whitespaces=False,
    )
    result = [("▁", None)]
    for index, character in enumerate(text):
        folded = " " if character.isspace() else character
        if options["strip_accents"]:
            folded = "".join(
                c
                for c in unicodedata.normalize("NFKD", folded)
                if not unicodedata.combining(c)
            )
        if options["lowercase"]:
            folded = folded.lower()
        for c in own.Normalize(folded):
            if c not in " ▁":
                result.append((c, index))
            elif result[-1][0] != "▁":
                result.append(("▁", None))
    return result[:-1] if result[-1][0] == "▁" else result


def expected_spans(processor, text, options):
    """For each piece the first and the last character it was made from."""
    made = characters(text, options)
    spans, begin = [], 0
    for piece in encode_pieces(processor, text, **options):
        part = made[begin : begin + len(piece)]
        begin += len(piece)
        # The end of a word makes another sigma, of the same place.
        assert [c.replace("ς", "σ") for c, _ in part] == list(
            piece.replace("ς", "σ")
        )
        places = [index for _, index in part if index is not None]
        spans.append((places[0], places[-1] + 1) if places else None)
    assert begin == len(made) or not text.strip()
    return spans


def is_dropped(text):
    """Whether folding leaves nothing of it."""
    return all(unicodedata.combining(c) or c in "\ufe0f" for c in text)


def check(tokenizer, processor, texts):
    options = {
        "lowercase": tokenizer.lowercase,
        "strip_accents": tokenizer.strip_accents,
    }
    all_ids, all_spans = tokenizer.tokenize_with_offsets(texts)
    assert all_ids == tokenizer.tokenize(texts)
    for text, ids, spans in zip(texts, all_ids, all_spans, strict=True):
        expected = expected_spans(processor, text, options)
        assert len(ids) == len(spans) == len(expected)
        for (start, end), place in zip(spans, expected, strict=True):
            if place is None:
                assert start == end
                continue
            assert start == place[0]
            assert end >= place[1] and is_dropped(text[place[1] : end])
        check_order(text, spans, options)


def check_order(text, spans, options):
    """Spans go forward, and all that became something is in one."""
    starts, ends = zip(*spans, strict=True) if spans else ((), ())
    assert sorted(starts) == list(starts) and sorted(ends) == list(ends)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    covered = {index for span in spans for index in range(*span)}
    made = {index for c, index in characters(text, options) if c != "▁"}
    assert made <= covered
    assert not any(text[index].isspace() for index in covered)


@pytest.fixture(scope="module")
def processor(tokenizer):
    return sentencepiece.SentencePieceProcessor(model_proto=tokenizer.proto)


def test_spans_are_those_of_the_original_algorithm(tokenizer, processor):
    check(tokenizer, processor, TEXTS)


def test_spans_are_of_the_string_as_given(tokenizer):
    text = "  The ﬁrst CAFÉ\u0301 of Zürich 🙂"
    _, spans = tokenizer.tokenize_with_offsets(text)
    words = [text[start:end] for start, end in spans]
    assert "".join(words) == "".join(text.split())
    assert words[:2] == ["The", "ﬁrst"] and words[-1] == "🙂"


def test_one_string_gives_one_result(tokenizer):
    ids, spans = tokenizer.tokenize_with_offsets("Wake me")
    assert ids == list(tokenizer.tokenize("Wake me"))
    assert spans[-1] == (5, 7)
    many = tokenizer.tokenize_with_offsets(["Wake me"])
    assert many == ([ids], [spans])
    assert tokenizer.tokenize_with_offsets([]) == ([], [])


def test_random_strings(tokenizer, processor):
    draw = random.Random(0)
    alphabet = "aB1,. éÉÅﬁ½Σς漢Я🙂ｋＡ\u0301\u0323\u200d\u00a0\n'`"
    check(
        tokenizer,
        processor,
        [
            "".join(draw.choices(alphabet, k=draw.randint(1, 30)))
            for _ in "x" * 500
        ],
    )


def test_quotes_are_found_where_they_were(tokenizer):
    quotes = ka.AlbertTokenizer(
        _unfolded(tokenizer), replace_quotes=True, lowercase=True
    )
    text = "a ``b''"
    _, spans = quotes.tokenize_with_offsets(text)
    assert [text[a:b] for a, b in spans if b > a] == ["a", "``", "b", "''"]


def test_a_split_piece_has_the_places_of_its_parts(tokenizer):
    commas = [("▁2019,", -1.0, 1), ("7,", -1.0, 1)]
    split = ka.AlbertTokenizer(_unfolded(tokenizer, commas), lowercase=True)
    text = "in 2019, or 987, yes"
    ids, spans = split.tokenize_with_offsets(text)
    assert ids == list(split.tokenize(text)) and len(ids) == len(spans)
    words = [text[start:end] for start, end in spans]
    assert "".join(words) == text.replace(" ", "")
    assert words.count(",") == 2


def _unfolded(tokenizer, more=()):
    """The pieces of a vocabulary and more, with no normalizer of their own."""
    from keras_albert.checkpoints.sentencepiece_model import (
        make_model,
        read_model,
    )

    pieces, _ = read_model(tokenizer.proto)
    return make_model([*pieces, *more], b"")


def test_case_and_accents_that_are_kept():
    from .test_tokenizer import train

    cased = ka.AlbertTokenizer(train())
    processor = sentencepiece.SentencePieceProcessor(model_proto=train())
    texts = ["The Quick  Zürich", "Zu\u0308rich", "Straße und CAFÉ"]
    ids, spans = cased.tokenize_with_offsets(texts)
    assert ids == processor.encode(texts)
    assert spans[1][0][0] == 0 and spans[1][-1][1] == 7
    word = "".join(texts[1][a:b] for a, b in spans[1])
    assert word == texts[1]


def test_what_is_no_string_is_refused(tokenizer):
    with pytest.raises(ValueError, match="index 1: None"):
        tokenizer.tokenize_with_offsets(["a", None])
    with pytest.raises(ValueError, match="No vocabulary"):
        ka.AlbertTokenizer().tokenize_with_offsets("a")


def test_vocabularies_of_bytes_are_refused():
    from .test_tokenizer import train

    with pytest.raises(ValueError, match="byte_fallback"):
        ka.AlbertTokenizer(train(byte_fallback=True, vocab_size=350))


# === Real text ===


@pytest.fixture(scope="module")
def real(data_folder):
    path = data_folder / "albert_vocab" / "spiece.model"
    return ka.AlbertTokenizer(str(path)), path.read_bytes()


def read(data_folder):
    """Some hundred texts of each of several kinds."""
    import csv
    import gzip

    def lines(name):
        path = data_folder / name
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            yield from file

    (tweets,) = data_folder.glob("davidson_hate/*.csv*")
    texts = [row[6] for row in csv.reader(lines(tweets))][1:400]
    for pattern in ("mlqe/en-de.*", "mlqe/et-en.*", "mlqe/ro-en.*"):
        path = sorted(data_folder.glob(pattern))[0]
        rows = [line.split("\t") for line in lines(path)][1:300]
        texts += [text for row in rows for text in row[1:3]]
    return texts


def test_real_text(data_folder, real):
    tokenizer, raw = real
    processor = sentencepiece.SentencePieceProcessor(model_proto=raw)
    check(tokenizer, processor, read(data_folder))


def test_real_text_as_in_transformers(data_folder, real, tmp_path):
    transformers = pytest.importorskip("transformers")
    from keras_albert.checkpoints.sentencepiece_model import read_model

    pieces, charsmap = read_model(real[1])
    theirs = transformers.AlbertTokenizer(
        vocab=[(piece, score) for piece, score, _ in pieces],
        _spm_precompiled_charsmap=charsmap,
    )
    ours = ka.AlbertTokenizer(
        real[1], replace_quotes=True, split_digit_commas=False
    )
    texts = read(data_folder)
    encoded = theirs(
        texts, add_special_tokens=False, return_offsets_mapping=True
    )
    all_ids, all_spans = ours.tokenize_with_offsets(texts)
    compared = 0
    for text, ids, spans, their_ids, offsets in zip(
        texts,
        all_ids,
        all_spans,
        encoded["input_ids"],
        encoded["offset_mapping"],
        strict=True,
    ):
        if ids != their_ids:  # Ties, see docs/tokenization.md.
            continue
        for (start, end), offset in zip(spans, offsets, strict=True):
            # Theirs: a space alone is what follows it, two quotes that
            # became one are the second.
            if start == end or text[start:end] in ("``", "''"):
                continue
            assert start == offset[0]
            assert end >= offset[1] and is_dropped(text[offset[1] : end])
            compared += 1
    assert compared > 0.8 * sum(map(len, all_ids))
