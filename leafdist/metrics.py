"""Sums over the global batch while training, and what an evaluation says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leafdist.intervals import wilson
from leafdist.runtime import Runtime


@dataclass
class Totals:
    """Sums over samples, in float64 on the host and in step order: the same however often they were collected."""

    loss: float = 0.0
    correct: float = 0.0
    rows: float = 0.0

    def add(self, loss: float, correct: float, rows: float) -> None:
        self.loss += loss
        self.correct += correct
        self.rows += rows

    @property
    def mean_loss(self) -> float:
        return self.loss / self.rows

    @property
    def accuracy(self) -> float:
        return self.correct / self.rows


class StepSums:
    """Sums of each step, left on the device until `collect`, where one reduction brings them all."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def push(self, loss: Tensor, correct: Tensor, rows: int) -> None:
        """Sums over this rank's rows of one step, scalars."""
        self.steps.append(torch.stack([loss, correct.to(loss.dtype), torch.full_like(loss, rows)]))

    def collect(self, runtime: Runtime, *totals: Totals) -> None:
        if self.steps:
            # float64: exact for float32 summands, so that no order of the ranks shows
            for step in runtime.sum(torch.stack(self.steps).double()).tolist():
                for total in totals:
                    total.add(*step)
        self.steps = []


@dataclass(frozen=True)
class Predictions:
    """One row a photo: labels, predicted (n,) int64; loss, confidence (n,) float64.

    In index order, then the photos that were set aside: predicted -1, which is wrong, at the loss of a guess.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    loss: NDArray[np.float64]
    confidence: NDArray[np.float64]

    @property
    def hits(self) -> NDArray[np.bool_]:
        return np.equal(self.predicted, self.labels)

    @property
    def accuracy(self) -> float:
        return float(self.hits.mean())

    @property
    def mean_loss(self) -> float:
        return float(self.loss.mean())

    def macro_f1(self, classes: int) -> float:
        """Mean over the classes of 2 TP / (2 TP + FP + FN)."""
        hits = self.hits
        right = np.bincount(self.labels[hits], minlength=classes)
        answers = np.bincount(self.predicted[self.predicted >= 0], minlength=classes)
        return float((2 * right / np.maximum(answers + np.bincount(self.labels, minlength=classes), 1)).mean())

    def summary(self, split: str, classes: tuple[str, ...]) -> dict[str, Any]:
        """What `eval-<split>.json` holds; accuracies from 0 to 1, with their 95 % interval."""
        hits = self.hits
        images = np.bincount(self.labels, minlength=len(classes))
        correct = np.bincount(self.labels[hits], minlength=len(classes))
        return {
            "split": split,
            "images": len(hits),
            "unreadable": int((self.predicted < 0).sum()),
            "correct": int(hits.sum()),
            "accuracy": self.accuracy,
            "interval": wilson(int(hits.sum()), len(hits)),
            "macro_f1": self.macro_f1(len(classes)),
            "loss": self.mean_loss,
            "classes": {
                name: {"images": int(n), "correct": int(k), "accuracy": float(k / n)}
                for name, n, k in zip(classes, images, correct, strict=True)
            },
        }
