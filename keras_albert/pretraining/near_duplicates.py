"""Near-duplicate documents, by MinHash and locality-sensitive hashing.

Source: Broder, "On the resemblance and containment of documents" (1997);
Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3;
signatures of a byte a permutation: Li and König, "b-Bit Minwise Hashing"
(2010).
"""

import numpy as np

# Documents resemble each other in their sequences of so many tokens.
SHINGLE = 5
_PERMUTATIONS = 64
# Two documents are compared when they agree in all rows of a band. With 16
# bands of 4, that happens to 99.98 % of pairs with a resemblance of 0.8.
BANDS = 16
_ROWS = _PERMUTATIONS // BANDS
_SHINGLES_AT_ONCE = 1024  # Their matrix stays in a core's cache.
# In a bucket. Without it, a bucket of many documents with a boilerplate in
# common would take quadratic time.
_MOST_COMPARED = 256

ENTRY = np.dtype(
    [
        ("band", "<u8"),
        ("high", "<u8"),
        ("low", "<u8"),
        ("signature", "u1", (_PERMUTATIONS,)),
    ]
)


def _mix(values: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64: each bit depends on each."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(
        0xBF58476D1CE4E5B9
    )
    values = (values ^ (values >> np.uint64(27))) * np.uint64(
        0x94D049BB133111EB
    )
    return values ^ (values >> np.uint64(31))


_COUNTERS = np.arange(1, 2 * _PERMUTATIONS + 1, dtype=np.uint64)
_RANDOM = _mix(_COUNTERS * np.uint64(0x9E3779B97F4A7C15))
_OFFSETS = _RANDOM[:_PERMUTATIONS, None]
_FACTORS = _RANDOM[_PERMUTATIONS:, None] | np.uint64(1)


def minhash(token_ids: np.ndarray) -> np.ndarray:
    """The signature of a document.

    Args:
        token_ids: `(tokens,)` integer, at least one.

    Returns:
        `(64,)` uint32. The share of equal numbers in two signatures estimates
        the Jaccard index of the documents' sets of 5-token sequences.
    """
    ids = token_ids.astype(np.uint64)
    width = min(SHINGLE, len(ids))
    shingles = np.zeros(len(ids) - width + 1, dtype=np.uint64)
    for offset in range(width):
        part = ids[offset : offset + len(shingles)]
        shingles = (shingles ^ part) * np.uint64(0x9E3779B97F4A7C15)
    shingles = _mix(shingles)
    smallest = np.full(_PERMUTATIONS, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(shingles), _SHINGLES_AT_ONCE):
        part = shingles[start : start + _SHINGLES_AT_ONCE]
        hashed = (part ^ _OFFSETS) * _FACTORS
        np.minimum(smallest, hashed.min(axis=1), out=smallest)
    return (smallest >> np.uint64(32)).astype(np.uint32)


def bucket_entries(signatures: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """What `near_duplicates` compares: an entry a band of each document.

    Args:
        signatures: `(documents, 64)` uint32, of `minhash`.
        documents: `(documents, 2)` uint64, the halves of their hashes.

    Returns:
        `(documents * 16,)` of type `ENTRY`.
    """
    rows = signatures.reshape(-1, BANDS, _ROWS).astype(np.uint64)
    bands = np.broadcast_to(
        np.arange(1, BANDS + 1, dtype=np.uint64), rows.shape[:2]
    )
    for row in range(_ROWS):
        bands = _mix(bands * np.uint64(0x9E3779B97F4A7C15) ^ rows[:, :, row])
    entries = np.empty(bands.shape, dtype=ENTRY)
    entries["band"] = bands
    entries["high"] = documents[:, :1]
    entries["low"] = documents[:, 1:]
    entries["signature"] = (signatures & 0xFF).astype(np.uint8)[:, None]
    return entries.reshape(-1)


def near_duplicates(entries: np.ndarray, similarity: float) -> np.ndarray:
    """Finds the documents that resemble one with a smaller hash.

    Of documents that resemble each other, directly or through others, the
    one with the smallest hash always stays, in whatever order they come.

    Args:
        entries: Of type `ENTRY`, all entries of the bands in them.
        similarity: Estimated Jaccard index, of sets of 5-token sequences,
            from which on a document is a near-duplicate.

    Returns:
        `(removed, 2)` uint64, the halves of hashes, each document once.
    """
    entries = entries[
        np.lexsort((entries["low"], entries["high"], entries["band"]))
    ]
    same_band = entries["band"][1:] == entries["band"][:-1]
    # Copies of a document have one hash, and are no near-duplicates.
    copy = (
        same_band
        & (entries["high"][1:] == entries["high"][:-1])
        & (entries["low"][1:] == entries["low"][:-1])
    )
    entries = (
        entries[np.concatenate([[True], ~copy])] if copy.any() else (entries)
    )
    edges = np.flatnonzero(entries["band"][1:] != entries["band"][:-1]) + 1
    starts = np.concatenate([[0], edges]).astype(np.int64)
    ends = np.concatenate([edges, [len(entries)]]).astype(np.int64)
    removed: set[tuple[int, int]] = set()
    for index in np.flatnonzero(ends - starts > 1):
        bucket = entries[starts[index] : ends[index]]
        for entry in bucket[_resembling(bucket["signature"], similarity)]:
            removed.add((int(entry["high"]), int(entry["low"])))
    return np.array(sorted(removed), dtype=np.uint64).reshape(-1, 2)


def _resembling(signatures: np.ndarray, similarity: float) -> list[int]:
    kept: list[int] = [0]
    resembling = []
    for index in range(1, len(signatures)):
        equal = (signatures[kept] == signatures[index]).mean(axis=1).max()
        # Bytes agree by chance once in 256.
        if (equal - 1 / 256) / (1 - 1 / 256) >= similarity:
            resembling.append(index)
        elif len(kept) < _MOST_COMPARED:
            kept.append(index)
    return resembling
