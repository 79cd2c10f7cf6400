import itertools

import numpy as np
import pytest

import keras_albert as ka
from keras_albert.pretraining.encoding import (
    DocumentEncoder,
    document_hash,
    read_vocabulary,
    serialize_document,
    tfrecord,
)

pytestmark = pytest.mark.once

SENTENCES = ["The Quick brown fox, in 2,019.", "", "Café — ﬁne!", "x" * 40]


@pytest.fixture
def vocabulary(tmp_path, tokenizer):
    path = tmp_path / "vocabulary.spm"
    path.write_bytes(tokenizer.proto)
    return path


def ids_by(tokenizer, sentences):
    return [tokenizer(s).tolist() for s in sentences]


def joined(rows):
    return list(itertools.chain.from_iterable(rows))


def test_same_ids_as_the_tokenizer(vocabulary, tokenizer):
    read = read_vocabulary(vocabulary)
    assert read.model == tokenizer.proto
    assert read.size == tokenizer.vocabulary_size()
    assert read.special_ids == {
        "pad": 0,
        "unk": 1,
        "cls": 2,
        "sep": 3,
        "mask": 4,
    }
    ids, lengths = DocumentEncoder(read.model, 128).encode(SENTENCES)
    rows = [row for row in ids_by(tokenizer, SENTENCES) if row]
    assert lengths.tolist() == [len(row) for row in rows]
    assert ids.tolist() == joined(rows)


def test_same_ids_with_the_original_vocabulary(data_folder):
    path = data_folder / "albert_vocab" / "spiece.model"
    tokenizer = ka.AlbertTokenizer(str(path))
    read = read_vocabulary(path)
    assert read.model == tokenizer.proto
    ids, _ = DocumentEncoder(read.model, 128).encode(SENTENCES)
    assert ids.tolist() == joined(ids_by(tokenizer, SENTENCES))


def test_long_segments_are_cut_at_words(vocabulary, tokenizer):
    encoder = DocumentEncoder(read_vocabulary(vocabulary).model, 16)
    sentences = ["short one", "international organizations " * 30, "y" * 200]
    ids, lengths = encoder.encode(sentences)
    whole, whole_lengths = DocumentEncoder(
        read_vocabulary(vocabulary).model, 10_000
    ).encode(sentences)
    assert ids.tolist() == whole.tolist()
    assert lengths.sum() == whole_lengths.sum()
    assert lengths.max() <= 16
    # No tiny rests, and no edge of a sentence is lost.
    assert lengths[1:].min() >= 4
    ends = set(np.cumsum(lengths).tolist())
    assert ends >= set(np.cumsum(whole_lengths).tolist())
    pieces = [tokenizer.id_to_token(int(i)) for i in ids]
    second = whole_lengths[:2].sum()
    assert all(pieces[end].startswith("▁") for end in ends if end < second)


def test_records_are_examples():
    tf = pytest.importorskip("tensorflow")
    ids = np.array([0, 1, 127, 128, 16383, 16384, 2**21, 2**31 - 1])
    record = serialize_document(ids, np.array([3, 5] * 200))
    features = tf.train.Example.FromString(record).features.feature
    assert features["token_ids"].int64_list.value == ids.tolist()
    lengths = features["segment_lengths"].int64_list.value
    assert lengths == [3, 5] * 200


def test_tfrecords(tmp_path):
    pytest.importorskip("google_crc32c", reason="needs the extra [beam]")
    tf = pytest.importorskip("tensorflow")
    records = [b"", b"a", b"b" * 5000]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(b"".join(map(tfrecord, records)))
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for record in records:
            writer.write(record)
    assert ours.read_bytes() == theirs.read_bytes()


def test_documents_are_known_by_their_tokens():
    ids = np.array([5, 6, 7], dtype=np.uint32)
    assert document_hash(ids) == document_hash(ids.astype(np.int64))
    assert document_hash(ids) != document_hash(ids[::-1])


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\x04abcd"])
def test_no_vocabulary(tmp_path, content):
    path = tmp_path / "file.spm"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.spm"):
        read_vocabulary(path)


def test_vocabulary_without_special_tokens(tmp_path):
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a few words to train on"] * 20),
        model_writer=model,
        vocab_size=20,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path = tmp_path / "plain.spm"
    path.write_bytes(model.getvalue())
    with pytest.raises(ValueError, match=r"lacks .*\[MASK\].*train-vocab"):
        read_vocabulary(path)
