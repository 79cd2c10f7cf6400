"""MinHash signatures, by which texts that resemble each other are found.

Source: Broder, "On the resemblance and containment of documents" (1997);
Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3.
"""

import numpy as np

# Documents resemble each other in their sequences of so many tokens.
SHINGLE = 5
PERMUTATIONS = 64
# Two documents are compared when they agree in all rows of a band. With 16
# bands of 4, that happens to 99.98 % of pairs with a resemblance of 0.8.
BANDS = 16
_ROWS = PERMUTATIONS // BANDS
_SHINGLES_AT_ONCE = 1024  # Their matrix stays in a core's cache.


def _mix(values: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64: each bit depends on each."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(
        0xBF58476D1CE4E5B9
    )
    values = (values ^ (values >> np.uint64(27))) * np.uint64(
        0x94D049BB133111EB
    )
    return values ^ (values >> np.uint64(31))


_COUNTERS = np.arange(1, 2 * PERMUTATIONS + 1, dtype=np.uint64)
_RANDOM = _mix(_COUNTERS * np.uint64(0x9E3779B97F4A7C15))
_OFFSETS = _RANDOM[:PERMUTATIONS, None]
_FACTORS = _RANDOM[PERMUTATIONS:, None] | np.uint64(1)


def shingle_hashes(token_ids: np.ndarray, width: int) -> np.ndarray:
    """A hash for each sequence of so many tokens.

    Args:
        token_ids: `(tokens,)` integer, at least `width`.
        width: int.

    Returns:
        `(tokens - width + 1,)` uint64.
    """
    ids = token_ids.astype(np.uint64)
    shingles = np.zeros(len(ids) - width + 1, dtype=np.uint64)
    for offset in range(width):
        part = ids[offset : offset + len(shingles)]
        shingles = (shingles ^ part) * np.uint64(0x9E3779B97F4A7C15)
    return _mix(shingles)


def minhash(token_ids: np.ndarray) -> np.ndarray:
    """The signature of a document.

    Args:
        token_ids: `(tokens,)` integer, at least one.

    Returns:
        `(64,)` uint32. The share of equal numbers in two signatures estimates
        the Jaccard index of the documents' sets of 5-token sequences.
    """
    shingles = shingle_hashes(token_ids, min(SHINGLE, len(token_ids)))
    smallest = np.full(PERMUTATIONS, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(shingles), _SHINGLES_AT_ONCE):
        part = shingles[start : start + _SHINGLES_AT_ONCE]
        hashed = (part ^ _OFFSETS) * _FACTORS
        np.minimum(smallest, hashed.min(axis=1), out=smallest)
    return (smallest >> np.uint64(32)).astype(np.uint32)


def minhash_rows(shingles: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The signatures of many short documents, in one go.

    Args:
        shingles: `(shingles of all documents,)` uint64, see `shingle_hashes`.
        starts: `(documents,)` int, where in it each document's begin; each
            has at least one.

    Returns:
        `(documents, 64)` uint32, what `minhash` gives for each.
    """
    signatures = np.empty((len(starts), PERMUTATIONS), np.uint32)
    pairs = zip(_OFFSETS[:, 0], _FACTORS[:, 0], strict=True)
    for column, (offset, factor) in enumerate(pairs):
        hashed = (shingles ^ offset) * factor
        smallest = np.minimum.reduceat(hashed, starts)
        signatures[:, column] = smallest >> np.uint64(32)
    return signatures


def band_keys(signatures: np.ndarray, band: int) -> np.ndarray:
    """What documents have in common that are to be compared.

    Args:
        signatures: `(documents, 64)` uint32, of `minhash`.
        band: int, below `BANDS`.

    Returns:
        `(documents,)` uint64. Those of different bands differ.
    """
    rows = signatures[:, band * _ROWS : (band + 1) * _ROWS].astype(np.uint64)
    keys = np.full(len(rows), band + 1, np.uint64)
    for row in range(_ROWS):
        keys = _mix(keys * np.uint64(0x9E3779B97F4A7C15) ^ rows[:, row])
    return keys
