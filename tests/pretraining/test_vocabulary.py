import gzip
import json
import random

import pytest
import sentencepiece

from keras_albert.pretraining.documents import TextFormat
from keras_albert.pretraining.sampling import sample_lines
from keras_albert.pretraining.vocabulary import train_and_report

pytestmark = pytest.mark.once

CHINESE = "今天 天气 很好 我们 去 公园 你 喜欢 读书 昨天 买了 三本 ， 。"
THAI = "วันนี้ อากาศ ดี มาก ฉัน ชอบ อ่าน หนังสือ ที่บ้าน เขา ซื้อ สาม เล่ม"


def sample(*paths, max_lines=1000, max_bytes=10**6, **options):
    return sample_lines(
        paths, max_lines=max_lines, max_bytes=max_bytes, **options
    )


@pytest.fixture
def numbered(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n\n".join(f"line {i:03d}" for i in range(200)))
    return path


def test_all_lines_in_order_when_they_fit(numbered):
    found = sample(numbered)
    assert found.lines == [f"line {i:03d}" for i in range(200)]
    assert found.lines_read == 200
    assert found.bytes_read == numbered.stat().st_size


@pytest.mark.parametrize("limit", [{"max_lines": 20}, {"max_bytes": 167}])
def test_each_line_has_the_same_chance(numbered, limit):
    counts = dict.fromkeys(range(200), 0)
    for seed in range(400):
        found = sample(numbered, seed=seed, **limit)
        assert len(found.lines) == 20
        assert found.lines == sorted(set(found.lines))
        for line in found.lines:
            counts[int(line.split()[1])] += 1
    # Chi-square with 199 degrees of freedom (draws without replacement vary
    # less); its 0.001 quantiles.
    statistic = sum((count - 40) ** 2 / 36 for count in counts.values())
    assert 138 < statistic < 266
    assert sample(numbered, **limit) == sample(numbered, **limit)


@pytest.mark.parametrize("seed", range(20))
def test_long_lines_do_not_favour_what_comes_later(tmp_path, seed):
    """As many as fit of the lines in a random order, and no others."""
    generator = random.Random(99)
    lines = [f"{i:03d}" + "x" * generator.choice((1, 200)) for i in range(300)]
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(lines))
    generator = random.Random(seed)
    expected, left = [], 3000
    for _, line in sorted((generator.random(), line) for line in lines):
        left -= len(line)
        if left < 0:
            break
        expected.append(line)
    found = sample(path, max_bytes=3000, seed=seed)
    assert found.lines == sorted(expected)


def test_folders_compressed_text_and_json_lines(tmp_path):
    rows = [json.dumps({"body": f"a\nb {i}"}) + "\n" for i in range(3)]
    (tmp_path / "rows").mkdir()
    path = tmp_path / "rows" / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("".join([*rows, "{}\n"]).encode()))
    found = sample(tmp_path, text_format=TextFormat("jsonl", "body"))
    assert found.lines == ["a", "b 0", "a", "b 1", "a", "b 2"]
    assert found.invalid_json_lines == 1


def test_invalid_lines_are_counted(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"good\ncaf\xe9\nalso good\n")
    found = sample(path)
    assert found.lines == ["good", "also good"]
    assert found.invalid_utf8_lines == 1


def test_report(tmp_path):
    """Counted again here, from what SentencePiece says of each line."""
    generator = random.Random(0)
    lines = [
        "".join(generator.choices("abcdefgh ", k=30)) + "." for _ in range(2000)
    ]
    # Beyond the coverage of characters that is asked for.
    lines[7] += " ☃"
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines))
    report = train_and_report([path], 150, tmp_path / "v.spm")
    processor = sentencepiece.SentencePieceProcessor(model_file=report.path)
    ids = [processor.encode(line) for line in lines]
    tokens = sum(map(len, ids))
    characters = sum(len(line.replace(" ", "")) for line in lines)
    assert report.vocabulary_size == 150
    assert report.lines_read == report.lines_used == 2000
    assert report.unknown_rate == sum(row.count(1) for row in ids) / tokens > 0
    assert report.character_coverage == 1 - 1 / characters
    assert report.characters_per_token == characters / tokens


@pytest.mark.parametrize("words", [CHINESE, THAI], ids=["zh", "th"])
def test_scripts_without_spaces(tmp_path, words):
    generator = random.Random(0)
    path = tmp_path / "text.txt"
    path.write_text(
        "\n".join(
            "".join(generator.choices(words.split(), k=9)) for _ in range(400)
        )
    )
    report = train_and_report([path], 160, tmp_path / "v.spm")
    assert report.character_coverage == 1
    assert report.unknown_rate == 0
    assert report.characters_per_token > 1.05


@pytest.mark.parametrize(
    ("word", "lost"), [("ปู่", 2), ("ปลา", 0), ("café", 0), ("й", 1)]
)
def test_marks_that_are_no_accents(tmp_path, word, lost):
    """Folding drops Thai vowels and tones; the report tells."""
    path = tmp_path / "text.txt"
    lines = ["the old river", "under a quiet road", "winter children"] * 5
    path.write_text("\n".join([*lines, *[word] * 9]))
    characters = len("".join(lines)) + 9 * len(word)
    report = train_and_report([path], 82, tmp_path / "v.spm")
    assert report.marks_lost == pytest.approx(100 * 9 * lost / characters)
    kept = train_and_report([path], 82, tmp_path / "v.spm", strip_accents=False)
    assert kept.marks_lost == 0
