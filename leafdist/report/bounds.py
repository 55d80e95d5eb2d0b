"""95 % intervals that the evaluation does not hold."""

import numpy as np

from leafdist.evaluation.intervals import wilson
from leafdist.runs.results import RESAMPLES, Evaluation, Interval


def accuracy_interval(accuracy: float, photos: int) -> Interval:
    """The interval of an accuracy on so many photos."""
    return wilson(round(accuracy * photos), photos)


def macro_f1_interval(result: Evaluation) -> Interval | None:
    """The interval of a macro F1: photos drawn again as counts of the confusion matrix (bootstrap of Efron 1979)."""
    if not result.images or not result.confusion:
        return None
    cells = np.array(result.confusion, np.float64)
    photos = np.array([scores.images for scores in result.classes.values()], np.float64)
    cells = np.column_stack([cells, photos - cells.sum(1)])  # unreadable ones are in no column
    share = (cells / cells.sum()).ravel()
    drawn = np.random.default_rng(0).multinomial(int(photos.sum()), share, RESAMPLES).reshape(-1, *cells.shape)
    hits = np.einsum("rii->ri", drawn[:, :, :-1])
    labelled = drawn.sum(2)
    each, present = 2 * hits / np.maximum(labelled + drawn.sum(1)[:, :-1], 1), labelled > 0
    low, high = np.quantile((each * present).sum(1) / present.sum(1), [0.025, 0.975])
    return float(low), float(high)
