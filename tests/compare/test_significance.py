"""The statistics of a comparison, against calculations by hand and against simulated truth."""

from math import comb

import numpy as np
import pytest

from leafdist.compare.significance import holm, mcnemar, mean_interval, sign_flips

SIMULATIONS = 600


def by_hand(first: int, second: int) -> float:
    """Twice the lower tail of a binomial of n coins."""
    n = first + second
    tail: float = sum(comb(n, k) for k in range(min(first, second) + 1)) / 2**n
    return min(1.0, 2 * tail)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (0, 6), (1, 9), (9, 1), (5, 5), (10, 25), (249, 301)])
def test_mcnemar_is_the_two_sided_binomial(first: int, second: int) -> None:
    assert mcnemar(first, second) == pytest.approx(by_hand(first, second), rel=1e-9)


def test_mcnemar_of_textbook_figures() -> None:
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(0, 6) == pytest.approx(2 / 64)


def test_single_photo_leaves_give_mcnemar() -> None:
    gains = np.array([1] * 25 + [-1] * 10 + [0] * 300)
    assert sign_flips(gains) == pytest.approx(mcnemar(10, 25), rel=1e-9)


def test_leaf_test_counts_every_sign_pattern() -> None:
    # leaves of 3, 2 and 1: totals 6 4 2 0 0 -2 -4 -6, of which 4 of 8 are at least 4 away from 0
    assert sign_flips(np.array([3, 2, -1, 0])) == pytest.approx(4 / 8)
    assert sign_flips(np.array([0, 0])) == 1


def test_photos_of_a_leaf_count_once() -> None:
    assert mcnemar(0, 8) == pytest.approx(2 / 256)
    assert sign_flips(np.array([4, 4])) == pytest.approx(2 / 4)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert holm([]) == []


def test_interval_is_reproducible_and_holds_mean() -> None:
    gains = np.array([1] * 30 + [-1] * 10 + [0] * 160)
    low, high = mean_interval(gains, np.arange(200))
    assert (low, high) == mean_interval(gains, np.arange(200))
    spread = 1.96 * np.sqrt((40 / 200 - 0.1**2) / 200)  # of a mean of values -1, 0, 1
    assert (low, high) == pytest.approx((0.1 - spread, 0.1 + spread), abs=0.006)


def test_agreeing_runs_have_no_difference() -> None:
    assert mean_interval(np.zeros(50, np.int64), np.arange(50)) == (0, 0)


def coverage(leaf: int, *, by_leaf: bool) -> float:
    """Return how often the 95 % interval holds the truth, for 300 photos in leaves of so many that agree."""
    random, held, photos = np.random.default_rng(1), 0, 300
    chances, truth = [0.15, 0.75, 0.10], -0.05  # of -1, 0 and 1
    leaves = np.arange(photos) // leaf
    for _ in range(SIMULATIONS):
        gains = random.choice([-1, 0, 1], photos // leaf, p=chances).repeat(leaf)
        low, high = mean_interval(gains, leaves if by_leaf else np.arange(photos))
        held += low <= truth <= high
    return held / SIMULATIONS


def test_interval_covers_95_percent_when_simulated() -> None:
    assert 0.93 <= coverage(1, by_leaf=False) <= 0.97


def test_correlated_photos_need_intervals_by_leaf() -> None:
    assert coverage(4, by_leaf=True) >= 0.92
    assert coverage(4, by_leaf=False) < 0.80
