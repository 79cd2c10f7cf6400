"""Masks follow the distribution that the docstring defines."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_albert.preprocessing.masking import WholeWordMasker
from keras_albert.preprocessing.words import (
    ALONE,
    BEGINS,
    CONTINUES,
    SPACE,
    ordinary_ids,
    word_role,
)

pytestmark = pytest.mark.once

# Fixed seeds: what passes once passes always. A wrong distribution gives
# values far below.
UNLIKELY = 1e-4
CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def ids(tokenizer):
    """Ids of pieces: of some that begin words, and that continue them."""

    def of(pieces):
        found = [tokenizer.token_to_id(piece) for piece in pieces.split()]
        assert 1 not in found
        return found

    return of("▁the ▁king ▁said ▁house ▁time"), of("s ed ing er ly")


def make_row(words, ids, special_after):
    """A row of words of so many pieces, and the positions of each."""
    begins, continues = ids
    row, positions = [CLS], []
    for index, size in enumerate(words):
        pieces = [begins[index % 5], *continues[: size - 1]]
        positions.append(list(range(len(row), len(row) + size)))
        row += pieces
        if index == special_after:
            row.append(SEP)
    return [*row, SEP], positions


# === The intended distribution, by enumeration ===


def tilings(words, sizes=((1, 6 / 11), (2, 3 / 11), (3, 2 / 11))):
    """All ways to lay words out in n-grams, each with its probability."""
    if not words:
        yield [], 1.0
        return
    for size, probability in sizes:
        for rest, factor in tilings(words[size:]):
            yield [words[:size], *rest], probability * factor


def divide(tiling, after):
    tiles, word = [], 0
    for tile in tiling:
        at = after + 1 - word
        word += len(tile)
        tiles += [t for t in (tile[: max(at, 0)], tile[max(at, 0) :]) if t]
    return tiles


def masked_positions(tiles, budget):
    words = [word for tile in tiles for word in tile]
    chosen = []
    while words and len(chosen) + len(words[0]) <= budget:
        chosen += words.pop(0)
    if len(chosen) < budget:
        broken = words.pop(0)
        singles = [word for word in words if len(word) == 1]
        for word in singles[: budget - len(chosen)]:
            chosen += word
        chosen += broken[: budget - len(chosen)]
    return tuple(sorted(chosen))


def intended(positions, special_after, budget):
    probabilities = {}
    for tiling, probability in tilings(positions):
        tiles = divide(tiling, special_after)
        orders = list(itertools.permutations(tiles))
        for order in orders:
            chosen = masked_positions(order, budget)
            probabilities.setdefault(chosen, 0.0)
            probabilities[chosen] += probability / len(orders)
    assert sum(probabilities.values()) == pytest.approx(1.0)
    return probabilities


@pytest.mark.parametrize(
    ("words", "special_after", "budget"),
    [
        ([1, 1, 1, 1, 1, 1, 1], 6, 3),
        ([1, 1, 1, 1, 1, 1], 2, 2),
        ([1, 2, 1, 3, 1, 2], 3, 3),
        ([3, 2, 4, 3, 2], 1, 4),
    ],
)
def test_100_000_sequences_match_the_intended_distribution(
    tokenizer, ids, words, special_after, budget
):
    row, positions = make_row(words, ids, special_after)
    masker = WholeWordMasker(tokenizer, mask_rate=budget / len(row))
    assert masker.slots(len(row)) == budget
    sequences = 100_000
    masked = masker(tf.constant([row] * sequences), [1, len(words)])
    assert masked["mask_weights"].numpy().all()
    observed = {}
    for chosen in map(tuple, masked["mask_positions"].numpy().tolist()):
        observed[chosen] = observed.get(chosen, 0) + 1
    expected = intended(positions, special_after, budget)
    assert set(observed) <= set(expected)
    counts = np.array([observed.get(chosen, 0) for chosen in expected])
    result = stats.chisquare(
        counts, sequences * np.array(list(expected.values()))
    )
    assert result.pvalue > UNLIKELY


def test_budget_is_kept_at_every_length(tokenizer):
    lengths = np.arange(8, 513)
    generator = np.random.default_rng(0)
    ordinary = ordinary_ids(tokenizer)
    rows = np.zeros((len(lengths), 512), "int32")
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = generator.choice(ordinary, length)
        row[[0, length // 2, length - 1]] = CLS, SEP, SEP
    masked = WholeWordMasker(tokenizer)(tf.constant(rows), [0, 0])
    counts = masked["mask_weights"].numpy().sum(axis=1)
    assert np.abs(counts - 0.15 * lengths).max() <= 1.0
    # Nor of the tokens that are not special.
    assert np.abs(counts - 0.15 * (lengths - 3)).max() <= 1.0
    for row, positions, labels, weights in zip(
        rows,
        *(
            masked[name].numpy()
            for name in ("mask_positions", "mask_ids", "mask_weights")
        ),
        strict=True,
    ):
        used = positions[weights > 0]
        assert (np.diff(used) > 0).all()
        np.testing.assert_array_equal(labels[weights > 0], row[used])
        assert not positions[weights == 0].any()
        assert not labels[weights == 0].any()


def test_replacements(tokenizer):
    ordinary = ordinary_ids(tokenizer)
    generator = np.random.default_rng(1)
    rows = generator.choice(ordinary, (4000, 128)).astype("int32")
    rows[:, [0, 60, 127]] = CLS, SEP, SEP
    rows[:, 5] = tokenizer.token_to_id("<unk>")
    masked = WholeWordMasker(tokenizer)(tf.constant(rows), [7, 7])
    received = masked["token_ids"].numpy()
    positions = masked["mask_positions"].numpy()
    assert masked["mask_weights"].numpy().all()
    for special in (0, 5, 60, 127):
        assert not (positions == special).any()
    is_masked = np.zeros(rows.shape, bool)
    np.put_along_axis(is_masked, positions, True, axis=1)
    np.testing.assert_array_equal(received[~is_masked], rows[~is_masked])

    before, after = rows[is_masked], received[is_masked]
    is_mask = after == tokenizer.mask_token_id
    is_kept = after == before
    random = after[~is_mask & ~is_kept]
    # A random token may be the one that was there.
    kept_by_chance = 0.1 / len(ordinary)
    expected = np.array([0.8, 0.1 + kept_by_chance, 0.1 - kept_by_chance])
    counts = [is_mask.sum(), is_kept.sum(), len(random)]
    assert stats.chisquare(counts, expected * len(after)).pvalue > UNLIKELY
    assert np.isin(random, ordinary).all()
    places = np.searchsorted(ordinary, random)
    bins = np.bincount(places * 50 // len(ordinary), minlength=50)
    assert stats.chisquare(bins).pvalue > UNLIKELY
    # Token by token: of two masks side by side, one does not tell the other.
    pairs = is_masked[:, 1:] & is_masked[:, :-1]
    is_mask_token = received == tokenizer.mask_token_id
    both = (is_mask_token[:, 1:] & is_mask_token[:, :-1])[pairs].sum()
    assert stats.binomtest(both, pairs.sum(), 0.64).pvalue > UNLIKELY


def test_same_seed_same_masks_also_in_a_pipeline(tokenizer):
    masker = WholeWordMasker(tokenizer)
    generator = np.random.default_rng(2)
    rows = generator.choice(ordinary_ids(tokenizer), (6, 4, 40))
    seeds = np.stack([np.full(6, 3), np.arange(6)], axis=1)
    dataset = tf.data.Dataset.from_tensor_slices((rows, seeds))
    for row, seed, masked in zip(
        rows, seeds, dataset.map(masker, num_parallel_calls=3), strict=True
    ):
        again = masker(row, seed)
        for name, value in masked.items():
            np.testing.assert_array_equal(value, again[name])
    first, other = (
        masker(rows[0], seed)["mask_positions"] for seed in ([3, 0], [3, 1])
    )
    assert not np.array_equal(first, other)


def test_rows_of_special_tokens_and_padding_alone(tokenizer):
    row = np.zeros((2, 16), "int32")
    row[0, :3] = CLS, SEP, SEP
    masked = WholeWordMasker(tokenizer)(tf.constant(row), [0, 0])
    np.testing.assert_array_equal(masked["token_ids"], row)
    assert not masked["mask_weights"].numpy().any()


@pytest.mark.parametrize(
    ("piece", "role"),
    [
        ("▁king", BEGINS),
        ("ing", CONTINUES),
        ("é", CONTINUES),
        ("ção", CONTINUES),
        ("ние", CONTINUES),
        ("습니다", CONTINUES),  # Korean writes spaces.
        ("من", CONTINUES),
        ("19", CONTINUES),
        ("'", CONTINUES),
        ("▁été", BEGINS),
        (",", ALONE),
        ("—", ALONE),
        ("€", ALONE),
        ("▁(", ALONE),
        ("...", ALONE),
        ("中国", ALONE),
        ("▁我们", ALONE),
        ("ประเทศ", ALONE),
        ("็", ALONE),  # A Thai vowel sign by itself.
        ("です", ALONE),
        ("カメラ", ALONE),
        ("ກັບ", ALONE),
        ("▁", SPACE),
    ],
)
def test_roles_of_pieces(piece, role):
    assert word_role(piece) == role


def test_what_stands_alone_ends_the_word(tokenizer, ids):
    # the|house|(|s|)|ing|house + a bare space joined to a quotation mark
    begins, continues = ids
    pieces = [begins[0], begins[3], *(tokenizer.token_to_id(p) for p in "(s)")]
    pieces += [continues[2], begins[3], tokenizer.token_to_id("▁")]
    pieces += [tokenizer.token_to_id('"')]
    row = tf.constant([[CLS, *pieces, SEP]])
    masker = WholeWordMasker(tokenizer)
    maskable = tf.constant([[False, *[True] * len(pieces), False]])
    found = masker._word_begins(row, maskable).numpy()[0, 1:-1].tolist()
    assert found == [True] * 8 + [False]


def test_wrong_rates(tokenizer):
    with pytest.raises(ValueError, match="mask_rate"):
        WholeWordMasker(tokenizer, mask_rate=0.0)
    with pytest.raises(ValueError, match="random_token_rate=0.3"):
        WholeWordMasker(tokenizer, random_token_rate=0.3)
    with pytest.raises(ValueError, match="max_ngram"):
        WholeWordMasker(tokenizer, max_ngram=0)
