"""Whether a confidence of 0.9 is right nine times in ten, and the temperature that makes it so."""

import numpy as np
from numpy.typing import NDArray

from leafdist.runs.results import Bin, Calibration, CalibrationScores

BINS = 15  # of equal width, as in Guo et al. 2017
RANGE = (0.05, 20.0)  # of temperatures
Logits = NDArray[np.float64]
Labels = NDArray[np.int64]


def fit(logits: Logits, labels: Labels, split: str, checkpoint: str) -> Calibration:
    """Find the temperature with the least cross-entropy (Guo et al. 2017, arXiv 1706.04599); logits (n,C)."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - a training starts without it

    found = minimize_scalar(
        lambda log: cross_entropy(logits / np.exp(log), labels),
        bounds=tuple(np.log(RANGE)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = float(np.exp(found.x))
    before, after = cross_entropy(logits, labels), cross_entropy(logits / temperature, labels)
    return Calibration(temperature, split, len(labels), before, after, checkpoint)


def cross_entropy(logits: Logits, labels: Labels) -> float:
    """Mean over the photos, in nats."""
    return float(-_log_softmax(logits)[np.arange(len(labels)), labels].mean())


def _log_softmax(logits: Logits) -> Logits:
    from scipy.special import log_softmax  # noqa: PLC0415

    return np.asarray(log_softmax(logits, axis=1))


def reliability(logits: Logits, labels: Labels) -> tuple[float, list[Bin]]:
    """Expected calibration error (0 to 1) and the bins that are not empty (Naeini et al. 2015,
    doi 10.1609/aaai.v29i1.9602)."""
    confidence, hits = np.exp(_log_softmax(logits).max(1)), logits.argmax(1) == labels
    numbers = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = []
    for number in np.unique(numbers).tolist():
        some = numbers == number
        means = float(confidence[some].mean()), float(hits[some].mean())
        bins.append(Bin(number / BINS, (number + 1) / BINS, int(some.sum()), *means))
    return sum(row.images * abs(row.confidence - row.accuracy) for row in bins) / len(hits), bins


def score(logits: Logits, labels: Labels, fitted: Calibration | None) -> CalibrationScores:
    """Calibration before and, with a temperature, after it; photos without an answer (NaN) are left out."""
    readable = ~np.isnan(logits[:, 0])
    logits, labels = logits[readable], labels[readable]
    ece, bins = reliability(logits, labels)
    before = ece, cross_entropy(logits, labels), bins
    if not fitted:
        return CalibrationScores(None, None, *before)
    cooled = logits / fitted.temperature
    ece, bins = reliability(cooled, labels)
    return CalibrationScores(fitted.temperature, fitted.split, *before, ece, cross_entropy(cooled, labels), bins)
