"""Sums over the global batch while training, and what an evaluation says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leafdist.evaluation import scores
from leafdist.evaluation.intervals import wilson


@dataclass(frozen=True)
class Predictions:
    """One row a photo: labels, predicted (n,) int64; loss, confidence (n,) float64; logits (n,C) where asked for.

    In index order, then the photos that were set aside: predicted -1, which is wrong, at the loss of a guess.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    loss: NDArray[np.float64]
    confidence: NDArray[np.float64]
    logits: NDArray[np.float64] | None = None

    @property
    def hits(self) -> NDArray[np.bool_]:
        return np.equal(self.predicted, self.labels)

    @property
    def accuracy(self) -> float:
        return float(self.hits.mean())

    @property
    def mean_loss(self) -> float:
        return float(self.loss.mean())

    def summary(self, split: str, classes: tuple[str, ...]) -> dict[str, Any]:
        """What `eval-<split>.json` holds of the answers; shares from 0 to 1, with their 95 % interval."""
        assert self.logits is not None
        correct = int(self.hits.sum())
        matrix = scores.confusion_matrix(self.labels, self.predicted, len(classes))
        each = scores.by_class(self.labels, matrix, classes)
        return {
            "split": split,
            "images": len(self.labels),
            "unreadable": int((self.predicted == scores.UNREADABLE).sum()),
            "correct": correct,
            "accuracy": self.accuracy,
            "interval": wilson(correct, len(self.labels)),
            **scores.macro(each),
            "top3_accuracy": scores.top(self.labels, self.logits, 3),
            "loss": self.mean_loss,
            "classes": each,
            "confusion": matrix.tolist(),
            "confused": scores.confused(matrix, classes),
            "crops": scores.by_crop(self.labels, self.predicted, classes),
            "healthy": scores.health(self.labels, self.predicted, classes),
        }
