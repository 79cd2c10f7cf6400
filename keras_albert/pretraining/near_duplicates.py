"""Near-duplicate documents, by MinHash and locality-sensitive hashing.

Source: see `keras_albert.data.minhash`; signatures of a byte a permutation:
Li and König, "b-Bit Minwise Hashing" (2010).
"""

import numpy as np

from keras_albert.data.minhash import BANDS, PERMUTATIONS, band_keys

# In a bucket. Without it, a bucket of many documents with a boilerplate in
# common would take quadratic time.
_MOST_COMPARED = 256

ENTRY = np.dtype(
    [
        ("band", "<u8"),
        ("high", "<u8"),
        ("low", "<u8"),
        ("signature", "u1", (PERMUTATIONS,)),
    ]
)


def bucket_entries(signatures: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """What `near_duplicates` compares: an entry a band of each document.

    Args:
        signatures: `(documents, 64)` uint32, of `minhash`.
        documents: `(documents, 2)` uint64, the halves of their hashes.

    Returns:
        `(documents * 16,)` of type `ENTRY`.
    """
    bands = np.stack(
        [band_keys(signatures, band) for band in range(BANDS)], axis=1
    )
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
