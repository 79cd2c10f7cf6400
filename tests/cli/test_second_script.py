"""Scripts without spaces, from text to a model by the three commands."""

import csv
import json
import math
import random
import unicodedata

import numpy as np
import pytest

import keras_albert as ka
from keras_albert.cli import main
from keras_albert.pretraining.dataset import PretrainingBatches
from keras_albert.pretraining.records import read_dataset

pytest.importorskip("apache_beam", reason="needs the extra [beam]")
pytest.importorskip("google_crc32c", reason="needs the extra [beam]")

pytestmark = pytest.mark.once

IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
# ruff: noqa: E501
# When, who, where, what; between them nothing, and now and then a number or a
# Latin word, which are words of several pieces.
THAI = (
    ["ตอนเช้า", "เมื่อวานนี้", "ทุกวันอาทิตย์", "หลังฝนตก", "ก่อนพระอาทิตย์ตก", "ในปี {}"],
    ["แม่ของฉัน", "เด็กๆ", "ครูใหญ่", "ชาวนา", "พี่ชาย", "คนขับรถ", "หมอ Tanaka", "ปู่กับย่า"],
    ["ที่บ้าน", "ในสวน", "ริมแม่น้ำ", "ข้างวัด", "ที่โรงเรียน", "ใต้ต้นมะม่วง", "ใกล้ร้าน wifi"],
    ["อ่านหนังสือเก่า", "ทำอาหารเย็น", "ขี่จักรยาน", "ร้องเพลง", "รดน้ำต้นไม้", "เขียนจดหมายถึงเพื่อน"],
)  # fmt: skip
CHINESE = (
    ["早上", "昨天", "每个星期天", "下雨以后", "太阳落山以前", "{}年"],
    ["我的妈妈", "孩子们", "老师", "农民", "哥哥", "司机", "Tanaka医生", "爷爷和奶奶"],
    ["在家里", "在花园里", "在河边", "在庙旁边", "在学校", "在大树下", "在wifi商店附近"],
    ["读一本旧书", "做晚饭", "骑自行车", "唱歌", "给花浇水", "给朋友写信"],
)  # fmt: skip
# Thai has marks that folding would drop, and a space where a sentence ends.
SCRIPTS = {"th": (THAI, " ", ["--keep-accents"]), "zh": (CHINESE, "。", [])}
SPECIAL = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
PIECES = 220
SIZES = {"hidden-dim": 32, "num-layers": 2, "num-heads": 2,
         "embedding-dim": 16, "intermediate-dim": 64}  # fmt: skip


def write_corpus(path, parts, end):
    generator = random.Random(7)

    def sentence():
        text = "".join(generator.choice(choices) for choices in parts)
        return text.format(generator.randint(1900, 2600)) + end

    path.write_text(
        "\n\n".join(
            "\n".join(
                "".join(sentence() for _ in range(generator.randint(3, 6)))
                for _ in range(generator.randint(1, 3))
            )
            for _ in range(300)
        ),
        encoding="utf-8",
    )


@pytest.fixture(scope="module", params=SCRIPTS)
def run(request, tmp_path_factory):
    """The folder, and the reports that the commands printed."""
    folder = tmp_path_factory.mktemp(request.param)
    parts, end, options = SCRIPTS[request.param]
    write_corpus(folder / "text.txt", parts, end)
    return folder, options


def printed(capsys, *command):
    assert main(list(map(str, command))) == 0
    return json.loads(capsys.readouterr().out)


def test_three_commands(run, capsys):
    folder, options = run
    text, vocabulary = folder / "text.txt", folder / "vocabulary.spm"
    report = printed(
        capsys,
        *("train-vocab", text, "--vocabulary-size", PIECES),
        *("-o", folder, "--json", *options),
    )
    assert report["unknown_rate"] == 0
    report = printed(
        capsys,
        *("prepare-pretraining", text, "--vocabulary", vocabulary),
        *("-o", folder / "data", "--dev-fraction", 0.1, "--runner"),
        *(IN_PROCESS, "--max-segment-tokens", 40, "--json"),
    )
    assert report["documents_read"] == 300
    assert report["unknown_tokens"] == 0 < report["tokens_read"]
    kept = report["train_documents"] + report["dev_documents"]
    assert kept > 280  # They resemble each other, but not so much.
    assert report["one_segment"] < 0.1 * kept
    metrics = printed(
        capsys,
        *("pretrain", folder / "data", "--vocabulary", vocabulary),
        *("-o", folder / "run", "--steps", 100, "--checkpoint-every", 50),
        *("--sequence-length", 64, "--batch-size", 16),
        *("--learning-rate", 0.01),
        *(part for name in SIZES for part in (f"--{name}", SIZES[name])),
    )
    assert metrics["step"] == 100
    assert metrics["val_mlm_loss"] < 0.8 * math.log(PIECES)
    assert metrics["val_loss"] < math.log(PIECES) + math.log(2)
    with open(folder / "run" / "history.csv", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert float(second["loss"]) < float(first["loss"])
    pretrainer = ka.AlbertPretrainer.from_preset(folder / "run" / "model")
    check_masks(folder, pretrainer.preprocessor.tokenizer)


def check_masks(folder, tokenizer):
    dataset = read_dataset(folder / "data")
    batches = PretrainingBatches(dataset, tokenizer, 64, 400)
    inputs, targets, weights = next(batches.one_epoch().as_numpy_iterator())
    pieces = [tokenizer.id_to_token(i) for i in range(PIECES)]
    special = [pieces.index(piece) for piece in SPECIAL]
    of_several_pieces = 0
    for row, length in enumerate(inputs["padding_mask"].sum(axis=1)):
        seen = inputs["token_ids"][row, :length]
        used = weights["mlm"][row] > 0
        masked = inputs["mask_positions"][row][used]
        assert len(set(masked)) == len(masked)
        assert abs(len(masked) - 0.15 * length) <= 1
        original = seen.copy()
        original[masked] = targets["mlm"][row][used]
        ends = np.isin(original, special).nonzero()[0]
        # [CLS] first [SEP] second [SEP], as it was and as it is seen.
        assert [pieces[i] for i in original[ends]] == ["[CLS]"] + ["[SEP]"] * 2
        assert (seen[ends] == original[ends]).all()
        replaced = seen[masked]
        replaced = replaced[replaced != pieces.index("[MASK]")]
        assert not np.isin(replaced, special).any()
        parted = 0
        for word in words([pieces[i] for i in original]):
            of_several_pieces += len(word) > 1
            parted += len({position in masked for position in word}) > 1
        assert parted <= 1  # Where the budget ends.
    assert of_several_pieces > 100


def words(pieces):
    """Positions of each word, by what Unicode says of the characters."""
    found = []
    for position, piece in enumerate(pieces):
        text = piece.removeprefix("▁")
        continues = (
            found
            and text == piece
            and is_spelled(text)
            and is_spelled(pieces[position - 1].removeprefix("▁"), or_space=1)
        )
        if piece in SPECIAL:
            continue
        if continues and found[-1][-1] == position - 1:
            found[-1].append(position)
        else:
            found.append([position])
    return found


def is_spelled(text, or_space=False):
    """Whether it is written with spaces around words: Latin, digits."""
    if not text:
        return bool(or_space)
    names = [unicodedata.name(character) for character in text]
    return any(c.isalnum() for c in text) and not any(
        name.startswith(("CJK", "THAI")) for name in names
    )
