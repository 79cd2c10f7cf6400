import numpy as np
import pytest

from keras_albert.data.minhash import SHINGLE, minhash
from keras_albert.pretraining import near_duplicates as nd

pytestmark = pytest.mark.once


def shingles(ids):
    return {tuple(ids[i : i + SHINGLE]) for i in range(len(ids) - 4)}


def jaccard(a, b):
    a, b = shingles(a.tolist()), shingles(b.tolist())
    return len(a & b) / len(a | b)


def changed(ids, count, generator):
    """A copy with so many tokens replaced."""
    copy = ids.copy()
    places = generator.choice(len(ids), count, replace=False)
    copy[places] = generator.integers(0, 8000, count)
    return copy


@pytest.mark.parametrize("length", [300, 3000])
def test_estimate_agrees_with_the_jaccard_index(length):
    generator = np.random.default_rng(3)
    errors = []
    for _ in range(60):
        ids = generator.integers(0, 8000, length).astype(np.uint32)
        other = changed(ids, generator.integers(1, length // 8), generator)
        estimate = (minhash(ids) == minhash(other)).mean()
        errors.append(estimate - jaccard(ids, other))
    # Of 64 draws: a standard deviation of at most 1/16; the mean of 60.
    assert abs(np.mean(errors)) < 4 / 16 / np.sqrt(60)
    assert np.std(errors) < 1.5 / 16


def entries_of(documents, hashes=None):
    if hashes is None:
        hashes = [(i, 7 * i) for i in range(1, len(documents) + 1)]
    return nd.bucket_entries(
        np.array([minhash(ids) for ids in documents]),
        np.array(hashes, dtype=np.uint64),
    )


def test_near_duplicates_are_found_and_others_are_not():
    generator = np.random.default_rng(4)
    originals = generator.integers(0, 8000, (150, 400)).astype(np.uint32)
    copies = [changed(ids, 2, generator) for ids in originals]  # about 0.95
    unlike = [changed(ids, 60, generator) for ids in originals]  # about 0.33
    documents = [*originals, *copies, *unlike]
    removed = nd.near_duplicates(entries_of(documents), 0.8)
    assert removed[:, 0].tolist() == list(range(151, 301))
    assert (removed[:, 1] == 7 * removed[:, 0]).all()


def test_order_does_not_matter_and_the_smallest_hash_stays():
    generator = np.random.default_rng(5)
    ids = generator.integers(0, 8000, 500).astype(np.uint32)
    family = [ids] + [changed(ids, 1, generator) for _ in range(20)]
    entries = entries_of([*family, *family])  # Copies have other hashes here.
    expected = nd.near_duplicates(entries, 0.8)
    assert expected[:, 0].tolist() == list(range(2, 43))
    for _ in range(3):
        shuffled = generator.permutation(entries)
        assert (nd.near_duplicates(shuffled, 0.8) == expected).all()


def test_copies_with_one_hash_are_no_near_duplicates():
    ids = np.arange(50, dtype=np.uint32)
    entries = entries_of([ids, ids], [(5, 6), (5, 6)])
    assert len(nd.near_duplicates(entries, 0.8)) == 0


def test_documents_shorter_than_a_shingle():
    short = [np.array(ids, np.uint32) for ids in ([1], [2], [1, 2], [2, 1])]
    assert len(nd.near_duplicates(entries_of(short), 0.8)) == 0
    assert len(nd.near_duplicates(entries_of(short[:1] * 2), 0.8)) == 1
