"""Splits of the benchmarks have no row of another."""

import pytest

import splits

pytestmark = pytest.mark.once

ROWS = [(f"the {n} of {n * n} men went home", "ab"[n % 2]) for n in range(200)]


def test_duplicates_are_dropped_before_splitting():
    doubled = [*ROWS, *((text.upper(), label) for text, label in ROWS)]
    rows = splits.without_duplicates(doubled, ROWS[:5])
    texts = {text for text, _ in rows}
    assert texts <= {text for text, _ in ROWS[5:]}
    train, dev, test = splits.split(rows, parts=(0.1, 0.3))
    assert sorted(train + dev + test) == sorted(rows)
    assert len(dev) == round(0.1 * len(rows))
    assert len(test) == round(0.3 * len(rows))
    assert splits.split(rows, ROWS[:5])[2] == ROWS[:5]


def test_leakage_stops_the_benchmark(tmp_path, capsys):
    train = [("wake me at seven", "alarm"), ("will it rain", "weather")]
    dev = [("snooze for ten minutes", "alarm")]
    pairs = [(("a b c", "d"), 0.5)], [(("a b", "c d"), 1)], [(("x", "y"), 2)]
    splits.prove_no_leakage((train, dev, [("snow?", "weather")]), tmp_path, 16)
    splits.prove_no_leakage(pairs, tmp_path, 16, regression=True)
    assert capsys.readouterr().out.count("leakage: none") == 2
    with pytest.raises(RuntimeError, match="must not share rows"):
        splits.prove_no_leakage((train, dev, train[:1]), tmp_path, 16)
