"""95 % intervals of accuracies."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leafdist.runs.results import RESAMPLES, Interval


def wilson(correct: int, images: int) -> Interval:
    """Wilson's interval of a share of independent photos, 0 to 1 (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    from scipy.stats import binomtest  # noqa: PLC0415 - a training starts without it

    if not images:
        return 0.0, 1.0
    low, high = binomtest(correct, images).proportion_ci(method="wilson")
    return float(low), float(high)


def by_leaf(hits: NDArray[np.bool_], leaves: Sequence[object], seed: int = 0) -> Interval:
    """Draw whole leaves with replacement: the percentile bootstrap of the accuracy (Efron 1979) over groups.

    Photos of one leaf are right or wrong together, so there are fewer independent answers than photos.
    """
    _, group = np.unique(np.array([repr(leaf) for leaf in leaves]), return_inverse=True)
    sizes = np.bincount(group)
    right = np.bincount(group, weights=hits)
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(0, len(sizes), len(sizes)) for _ in range(RESAMPLES))
    shares = [right[some].sum() / sizes[some].sum() for some in drawn]
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)
