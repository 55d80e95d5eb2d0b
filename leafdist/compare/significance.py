"""Two classifiers on the same photos: is one better, by how much, and where? Statistics alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from leafdist.runs.results import RESAMPLES

Ints = NDArray[np.int64]
BEYOND_CHANCE = 0.05


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's test (1947, doi 10.1007/BF02295996), exact for few photos and for many.

    If both are equally good, each is equally likely to be the right one on a photo that only one gets right.
    """
    pairs = only_first + only_second
    return float(binomtest(only_first, pairs).pvalue) if pairs else 1.0


def sign_flips(gains: Ints) -> float:
    """McNemar's test where photos of a leaf are right or wrong together: `gains` is a sum over each leaf.

    Two-sided, exact: the chance of a total at least this large if a coin decided the sign of each leaf's sum.
    """
    chances = np.ones(1)  # of each total from -reach to reach
    for size in np.abs(gains[gains != 0]):
        flip = np.zeros(2 * size + 1)
        flip[[0, -1]] = 0.5
        chances = np.convolve(chances, flip)
    totals = np.arange(len(chances)) - len(chances) // 2
    return min(1.0, float(chances[np.abs(totals) >= abs(int(gains.sum()))].sum()))


def mean_interval(values: Ints, groups: Ints, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean over photos, whole groups drawn again (percentile bootstrap, Efron 1979).

    Groups of equal sum and size are one kind; the counts per kind are multinomial, so one call makes all draws.
    """
    sums = np.bincount(groups, weights=values)
    kinds, counts = np.unique(np.stack([sums, np.bincount(groups)]), axis=1, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(sums), counts / len(sums), RESAMPLES)
    low, high = np.quantile(drawn @ kinds[0] / (drawn @ kinds[1]), [0.025, 0.975])
    return float(low), float(high)


def holm(chances: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979): at most a 5 % chance that any falls below 0.05 by luck."""
    adjusted, least = [0.0] * len(chances), 0.0
    for rank, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        least = max(least, min(1.0, (len(chances) - rank) * chances[index]))
        adjusted[index] = least
    return adjusted
