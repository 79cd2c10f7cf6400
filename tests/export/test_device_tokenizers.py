"""The tokenizers of export/android and export/web give Python's ids."""

import csv
import functools
import gzip
import html
import io
import pathlib
import random
import shutil
import struct
import subprocess

import numpy as np
import pytest
import sentencepiece

import keras_albert as ka
from keras_albert.export.device_vocabulary import device_vocabulary

pytestmark = pytest.mark.once

REPOSITORY = pathlib.Path(__file__).parents[2]
HARNESS = pathlib.Path(__file__).parent / "device"

LANGUAGES = ("java", "javascript")
# Python refuses these; devices read a lone surrogate as U+FFFD.
LONE_SURROGATES = ("a\ud83d b", "\ude00", "x\ud83d\ud83d\ude00", "\ud83d")
HARD = (
    "",
    " ",
    " \t\n ",
    "\u00a0\u3000\u2028",
    "nul\x00byte",
    "\x00",
    "The QUICK brown Fox",
    "CAFÉ naïve Ünïcödé café n\u0303 a\u0323\u0302",
    "ＦＵＬＬ　ｗｉｄｔｈ １２３ ﬁsh oﬃce Ⅳ ½ ™ …",
    "👨\u200d👩\u200d👧 ❤\ufe0f 😀😀 🇩🇪 \U0001f9d1\U0001f3fd",
    "\U0001d4d7\U0001d4ee\U0001d4f5\U0001d4f5\U0001d4f8 \U00020000\U0010fffd",
    "ΟΔΥΣΣΕΥΣ λόγος Σ İstanbul ıssız ẞ ŉ ﷺ",
    "한국어 각각 漢字 かな ｶﾞ パ สวัสดี ПРИВЕТ ё",
    "zero\u200bwidth\u2060\ufeffspace soft\u00adhyphen \ufffd",
    "\ufeffmark first, bell\x07 escape\x1b delete\x7f",
    "in 2019, 2020, 11,424 and 1,000,000, x2019, 2019,, ,2019 １９９９，",
    "``quoted'' 'text' '''three''' \"fine\" (almost) - – £5 €6 .",
    "▁under ▁ ▁▁score ▁",
    "!!!! ??? ... --- 888 kkk hahahaha noooooo",
    "<pad> [CLS] [SEP] [MASK] <unk> <s>",
    "\u0301 starts with a mark",
    "#hashtag @someone http://t.co/HtfgJJ7kYt RT &amp; :-) ¯\\_(ツ)_/¯",
    "a" * 300,
)
LONG = (
    "x" * 100_000,
    "é😀 " * 25_000,
    # So many close calls that the precision of large sums shows.
    "".join(random.Random(0).choices("etaoinshrdlu   ,.", k=100_000)),
)


@pytest.fixture(scope="session")
def run_tokenizer(tmp_path_factory):
    """Runs a language's tokenizer; gives the lines that it prints."""
    classes = tmp_path_factory.mktemp("classes")
    sources = [
        *(REPOSITORY / "export" / "android").rglob("*.java"),
        HARNESS / "Tokenize.java",
    ]
    commands = {}

    def command(language):
        if language == "javascript":
            if not shutil.which("node"):
                pytest.skip("Node is not installed")
            return ["node", HARNESS / "tokenize.mjs"]
        if not shutil.which("javac"):
            pytest.skip("no JDK is installed")
        # What Android has is the Java library of release 8 at most.
        compile_ = ["javac", "--release", "8", "-Xlint:all,-options", "-Werror"]
        subprocess.run([*compile_, "-d", classes, *sources], check=True)
        return ["java", "-cp", classes, "Tokenize"]

    def run(language, *arguments, texts=(), code=0):
        if language not in commands:
            commands[language] = command(language)
        finished = subprocess.run(
            [*commands[language], *map(str, arguments)],
            input=b"".join(map(record, texts)),
            capture_output=True,
        )
        assert finished.returncode == code, finished.stderr.decode()
        return finished.stdout.decode().split("\n")[:-1]

    return run


def record(text):
    if text is None:
        return struct.pack(">i", -1)
    units = text.encode("utf-16-be", "surrogatepass")
    return struct.pack(">i", len(units) // 2) + units


def train(lines, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines * 4),
        model_writer=model,
        minloglevel=2,
        **{
            "vocab_size": 400,
            "hard_vocab_limit": False,
            "pad_id": 0,
            "unk_id": 1,
            "bos_id": -1,
            "eos_id": -1,
            "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
            **options,
        },
    )
    return model.getvalue()


def readable():
    return [text for text in HARD if text and "\0" not in text]


@pytest.fixture(scope="module")
def tokenizers(tokenizer):
    """By name, tokenizers that have between them all that there can be."""
    years = ("in 2019, and", "by 2020, or", "by 2019,", "in 2020,") * 20
    cased = train([*readable(), *years], character_coverage=1.0)
    symbols = train(
        [*readable(), *years],
        split_by_number=False,
        user_defined_symbols=["😀😀", "é", " is ", "[MASK]x"],
    )
    spaces = train(
        readable(),
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
    )
    return {
        "bundled": tokenizer,
        "cased": ka.AlbertTokenizer(cased),
        "symbols, years": ka.AlbertTokenizer(symbols, lowercase=True),
        "plain": ka.AlbertTokenizer(spaces, replace_quotes=True),
    }


@pytest.fixture(scope="module")
def vocabulary_file(tokenizers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabularies")

    def file(name):
        path = folder / f"{name}.bin"
        path.write_bytes(device_vocabulary(tokenizers[name].proto))
        return path

    return file


def python_ids(tokenizer, texts):
    fixed = [
        text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        for text in texts
    ]
    return [[int(i) for i in ids] for ids in tokenizer(fixed)]


def differences(texts, received, expected):
    return [
        (text[:80], ids, expected_ids)
        for text, line, expected_ids in zip(
            texts, received, expected, strict=True
        )
        if (ids := [int(i) for i in line.split()]) != expected_ids
    ]


# === Ids ===


@pytest.mark.parametrize(
    "name", ["bundled", "cased", "symbols, years", "plain"]
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_same_ids_on_hard_texts(
    run_tokenizer, tokenizers, vocabulary_file, language, name
):
    texts = [*HARD, *LONE_SURROGATES, *LONG]
    path = vocabulary_file(name)
    received = run_tokenizer(language, path, "tokenize", texts=texts)
    expected = python_ids(tokenizers[name], texts)
    assert differences(texts, received, expected) == []


def test_the_hard_tokenizers_are_hard(tokenizers):
    """That what they are for does occur."""
    assert tokenizers["symbols, years"]._splits
    assert not tokenizers["cased"].lowercase
    ids = tokenizers["symbols, years"](["é😀😀 in 2019, is "])[0]
    names = [tokenizers["symbols, years"].id_to_token(int(i)) for i in ids]
    assert {"😀😀", "é", ","} <= set(names)


@functools.cache
def real_texts(folder, count):
    """Lines of real text: tweets with their emoji, reviews, translations."""
    tweets = []
    with gzip.open(
        folder / "davidson_hate" / "labeled_data.csv.gz", "rt", "utf-8"
    ) as file:
        tweets += [html.unescape(row[6]) for row in csv.reader(file)]
    with gzip.open(folder / "wnut17" / "train.conll.gz", "rt", "utf-8") as file:
        sentences = file.read().split("\n\n")
        tweets += [
            " ".join(line.split("\t")[0] for line in text.splitlines())
            for text in sentences
        ]
    others = []
    for pair in ("en-de", "et-en", "ro-en"):
        path = folder / "mlqe" / f"{pair}.dev.tsv.gz"
        with gzip.open(path, "rt", "utf-8") as file:
            for line in file:
                others += line.split("\t")[1:3]
    for path in sorted((folder / "pretrain").glob("*.txt.gz")):
        with gzip.open(path, "rt", "utf-8") as file:
            others += [line for _, line in zip(range(3000), file, strict=False)]
    generator = random.Random(0)
    chosen = generator.sample(sorted(set(tweets)), count // 2)
    return chosen + generator.sample(sorted(set(others)), count - count // 2)


@pytest.mark.parametrize("vocabulary", ["bundled", "published"])
def test_same_ids_on_real_texts(
    run_tokenizer, tokenizer, data_folder, tmp_path, vocabulary
):
    if vocabulary == "published":
        model = data_folder / "albert_vocab" / "spiece.model"
        tokenizer = ka.AlbertTokenizer(model.read_bytes())
    texts = real_texts(data_folder, 10_000)
    assert any("😂" in text for text in texts)
    path = tmp_path / "vocabulary.bin"
    path.write_bytes(device_vocabulary(tokenizer.proto))
    expected = python_ids(tokenizer, texts)
    for language in LANGUAGES:
        received = run_tokenizer(language, path, "tokenize", texts=texts)
        assert differences(texts, received, expected) == []


# === Packing ===


@pytest.mark.parametrize("truncate", ["round_robin", "waterfall"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_packs_as_the_preprocessor(
    run_tokenizer, tokenizer, vocabulary_file, language, truncate
):
    short, long = "Wake me at seven", "What a fine day it was. " * 3
    items = [
        (first, second)
        for first in (short, long, "", " ", "Hm.")
        for second in (None, short, long, "", "Hm.")
    ]
    for length in (4, 5, 6, 9, 16, 64):
        preprocessor = ka.AlbertTextClassifierPreprocessor(
            tokenizer, sequence_length=length, truncate=truncate
        )
        lines = run_tokenizer(
            language,
            vocabulary_file("bundled"),
            "pack",
            length,
            truncate,
            texts=[text for item in items for text in item],
        )
        expected = [packed(preprocessor, *item) for item in items]
        assert [
            [[int(number) for number in row.split()] for row in line.split("|")]
            for line in lines
        ] == expected


def packed(preprocessor, first, second):
    """Ids, segments and mask that the preprocessor gives, unpadded."""
    batch = [first] if second is None else ([first], [second])
    features = {
        name: np.asarray(value)[0]
        for name, value in preprocessor(batch, y=None).items()
    }
    tokens = features["padding_mask"].sum()
    return [
        features[name][:tokens].astype(int).tolist()
        for name in ("token_ids", "segment_ids", "padding_mask")
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_room_for_special_tokens(run_tokenizer, vocabulary_file, language):
    (line,) = run_tokenizer(
        language,
        vocabulary_file("bundled"),
        "pack",
        2,
        "round_robin",
        texts=["a", "b"],
    )
    assert line.startswith("maxLength must be at least 3")


@pytest.mark.parametrize("language", LANGUAGES)
def test_reads_labels(run_tokenizer, tmp_path, language):
    path = tmp_path / "labels.txt"
    path.write_bytes("alarm\nWetter \n\ndéjà vu\n".encode())
    received = run_tokenizer(language, path, "labels")
    assert received == ["alarm|Wetter ||déjà vu"]


# === Bad files ===


def damaged(content):
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    return {
        "": "must start with ALBV",
        content[:10]: "must start with ALBV",
        b"\x0a\x0e" + content: "must start with ALBV",
        content[:-1]: f"must have {len(content)} bytes",
        content + b"\0": f"must have {len(content)} bytes",
        bytes(flipped): "is damaged",
        content[:4] + b"\x02" + content[5:]: "must be of version 1",
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_refuses_bad_files(run_tokenizer, tokenizer, tmp_path, language):
    path = tmp_path / "vocabulary.bin"
    cases = damaged(device_vocabulary(tokenizer.proto))
    for content, message in cases.items():
        path.write_bytes(content or b"")
        (line,) = run_tokenizer(language, path, "tokenize", code=3)
        assert message in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"byte_fallback": True, "vocab_size": 700}, "does not know"),
        ({"model_type": "bpe", "vocab_size": 300}, "Unigram"),
        ({"treat_whitespace_as_suffix": True}, "before words"),
        ({"control_symbols": ["[CLS]", "[SEP]"]}, r"lacks \[MASK\]"),
    ],
)
def test_refuses_what_devices_cannot_do(options, message):
    with pytest.raises(ValueError, match=message):
        device_vocabulary(train(readable(), **options))


def test_no_model_is_refused():
    with pytest.raises(ValueError, match="SentencePiece model"):
        device_vocabulary(b"something else")
