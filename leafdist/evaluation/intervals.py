"""How sure an accuracy is: 95 % intervals."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Z = 1.959964  # two-sided 95 %
RESAMPLES = 2000


def wilson(correct: int, images: int) -> tuple[float, float]:
    """Of a share of independent photos, 0 to 1: Wilson 1927, doi 10.1080/01621459.1927.10502953."""
    if not images:
        return 0.0, 1.0
    share, spread = correct / images, Z * Z / images
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / images + spread / images / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def by_leaf(hits: NDArray[np.bool_], leaves: Sequence[object], seed: int = 0) -> tuple[float, float]:
    """Of an accuracy, by drawing whole leaves again (the percentile bootstrap of Efron 1979 over groups).

    Photos of one leaf are right or wrong together, so that there are fewer independent answers than photos.
    """
    _, group = np.unique(np.array([repr(leaf) for leaf in leaves]), return_inverse=True)
    sizes = np.bincount(group)
    right = np.bincount(group, weights=hits)
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(0, len(sizes), len(sizes)) for _ in range(RESAMPLES))
    shares = [right[some].sum() / sizes[some].sum() for some in drawn]
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)
