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


def by_leaf(hits: NDArray[np.bool_], group: NDArray[np.int64], seed: int = 0) -> Interval:
    """Draw whole leaves with replacement: the percentile bootstrap of the accuracy (Efron 1979) over groups.

    group: the number of each photo's leaf, see `numbered`. Photos of one leaf are right or wrong together, so there are
    fewer independent answers than photos.
    """
    sizes = np.bincount(group)
    right = np.bincount(group, weights=hits)
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(0, len(sizes), len(sizes)) for _ in range(RESAMPLES))
    shares = [right[some].sum() / sizes[some].sum() for some in drawn]
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def macro_by_group(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, group: NDArray[np.int64]
) -> tuple[Interval, Interval]:
    """Intervals of macro F1 and of balanced accuracy, by the draws of `by_leaf`; predicted is -1 where unreadable.

    A class counts where it was drawn.
    """
    hits, answered, count = labels == predicted, predicted >= 0, int(group.max()) + 1
    generator, shares = np.random.default_rng(0), np.empty((RESAMPLES, 2))
    for row in shares:
        times = np.bincount(generator.integers(0, count, count), minlength=count)[group].astype(np.float64)
        truth, given, right = (
            np.bincount(of[rows], times[rows], classes)
            for of, rows in ((labels, slice(None)), (predicted, answered), (labels, hits))
        )
        drawn = truth > 0
        row[:] = (2 * right / np.maximum(truth + given, 1))[drawn].mean(), (right[drawn] / truth[drawn]).mean()
    low, high = np.quantile(shares, [0.025, 0.975], axis=0).tolist()
    return (low[0], high[0]), (low[1], high[1])


def numbered(groups: Sequence[object]) -> NDArray[np.int64]:
    """Return the number of the group of each photo, in the order of their names."""
    return np.unique(np.array([repr(group) for group in groups]), return_inverse=True)[1].astype(np.int64)
