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
    labels, answers = cells.nonzero()
    share, generator = cells[labels, answers] / cells.sum(), np.random.default_rng(0)
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):  # one at a time: together they fill the memory where there are many classes
        drawn = generator.multinomial(int(photos.sum()), share)
        labelled, answered = (np.bincount(some, drawn, len(photos) + 1)[:-1] for some in (labels, answers))
        hits = np.bincount(labels, drawn * (labels == answers), len(photos))
        means[number] = (2 * hits / np.maximum(labelled + answered, 1))[labelled > 0].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
