import collections
import gzip
import itertools
import json
import os
import random

import pytest

from keras_albert.pretraining import documents
from keras_albert.pretraining.documents import (
    Block,
    TextFormat,
    check_text,
    read_chunks,
    sentences_of,
    text_files,
)

pytestmark = pytest.mark.once

TEXT, JSONL = TextFormat(), TextFormat("jsonl")


def documents_in(path, cuts=(), text_format=TEXT):
    """The documents, read in blocks that are cut at these bytes."""
    if cuts == ():
        blocks = [Block(str(path))]
    else:
        edges = [0, *sorted(cuts), path.stat().st_size]
        blocks = [
            Block(str(path), start, end)
            for start, end in itertools.pairwise(edges)
        ]
    return [
        document
        for block in blocks
        for chunk in read_chunks(block, text_format)
        for document in chunk
    ]


@pytest.mark.parametrize("text_format", [TEXT, JSONL])
def test_blocks_do_not_matter(tmp_path, text_format):
    generator = random.Random(1)
    choices = ["", "", " \r", "ab", "ü d"]
    lines = generator.choices(choices, k=60)
    content = "\n".join(lines).encode()
    path = tmp_path / "text"
    path.write_bytes(content)
    expected = documents_in(path, (), text_format)
    assert len(expected) > 9
    for cut in range(1, len(content)):
        assert documents_in(path, [cut], text_format) == expected, cut
    every = range(1, len(content))
    assert documents_in(path, every, text_format) == expected


def test_blank_lines_part_documents(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\n\na\nb\r\n\r\n \t\nc\n\nd")
    assert documents_in(path) == [b"a\nb\r\n", b"c\n", b"d"]
    packed = tmp_path / "text.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert documents_in(packed) == documents_in(path)


def test_long_lines_and_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "MAX_LINE_SIZE", 16)
    monkeypatch.setattr(documents, "MAX_DOCUMENT_SIZE", 40)
    text = "日本語のとても長い行です" * 9
    path = tmp_path / "text"
    path.write_text(text + "\nnext\n\nlast")
    found = documents_in(path)
    assert b"".join(found).decode() == path.read_text().replace("\n\n", "\n")
    assert max(map(len, found)) < 60
    assert all(part.decode() for part in found)  # No character is parted.
    for cut in range(1, path.stat().st_size):
        assert documents_in(path, [cut]) == found, cut


def test_lines_that_are_not_utf8(tmp_path):
    counts = collections.Counter()
    content = "\ufeffOne.\n".encode() + b"caf\xe9\n" + "Zwölf. Drei.".encode()
    (found,) = sentences_of(content, TextFormat(), counts)
    assert found == ["One.", "Zwölf.", "Drei."]
    assert counts == {"invalid_utf8_lines": 1}


def test_json_lines():
    counts = collections.Counter()
    rows = [
        json.dumps({"text": "One. Two.\n\nThree."}).encode(),
        b'{"text": "caf\xe9"}',
        rb'{"text": "\ud800"}',
        b'{"text": 3}',
        b'{"other": "a"}',
        b'["text"]',
        b"{",
        b"[" * 100_000,
    ]
    found = [list(sentences_of(row, JSONL, counts)) for row in rows]
    assert found == [[["One.", "Two.", "Three."]]] + [[[]]] * 7
    assert counts == {"invalid_utf8_lines": 2, "invalid_json_lines": 5}


def test_a_sentence_a_line():
    text_format = TextFormat(sentence_per_line=True)
    content = b"One. Still one.\n  two \n"
    found = sentences_of(content, text_format, collections.Counter())
    assert list(found) == [["One. Still one.", "two"]]


def test_a_long_document_in_json(tmp_path, monkeypatch):
    """It is longer than a line of text may be, and parted as text is."""
    monkeypatch.setattr(documents, "MAX_LINE_SIZE", 64)
    monkeypatch.setattr(documents, "MAX_DOCUMENT_SIZE", 40)
    lines = [f"This is line {i:03}." for i in range(20)]
    path = tmp_path / "text.jsonl"
    path.write_text(json.dumps({"text": "\n".join(lines)}) + "\n")
    (row,) = documents_in(path, [70], JSONL)
    counts = collections.Counter()
    in_json = list(sentences_of(row, JSONL, counts))
    assert not counts
    path.write_text("\n".join(lines) + "\n")
    in_text = [
        list(*sentences_of(row, TEXT, counts)) for row in documents_in(path)
    ]
    assert in_json == in_text and len(in_json) == 7


def test_folders(tmp_path):
    for name in ("b/c.txt", "a.txt", ".hidden", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    found = text_files([tmp_path, tmp_path / "a.txt"])
    assert found == [str(tmp_path / "a.txt"), str(tmp_path / "b" / "c.txt")]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        text_files([tmp_path / "nowhere"])
    # Links are followed, none twice; pipes would be waited for.
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path.parent / "elsewhere").mkdir()
    (tmp_path.parent / "elsewhere" / "d.txt").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path.parent / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    more = text_files([tmp_path])
    assert more == [*found, str(tmp_path / "link" / "d.txt")]
    with pytest.raises(ValueError, match="is a pipe"):
        text_files([tmp_path / "pipe"])
    (tmp_path / "link" / "broken").symlink_to("nothing")
    with pytest.raises(FileNotFoundError, match="broken is a link to nothing"):
        text_files([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty"):
        text_files([tmp_path / "empty"])


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "text".encode("utf-16")]
)
def test_binary_files(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with open(path, "rb") as file, pytest.raises(ValueError, match="binary"):
        check_text(str(path), file)


def test_cut_compressed_file(tmp_path):
    path = tmp_path / "text.gz"
    packed = gzip.compress(random.Random(0).randbytes(9000).hex().encode())
    path.write_bytes(packed[:5000])
    with pytest.raises(ValueError, match=r"text\.gz must be readable"):
        documents_in(path)
