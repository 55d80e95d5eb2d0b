"""Sums over the global batch while training."""

from dataclasses import dataclass

import torch
from torch import Tensor

from leafdist.distributed.runtime import Runtime


@dataclass
class Totals:
    """Sums over samples, in float64 on the host and in step order: the same however often they were collected."""

    loss: float = 0.0
    correct: float = 0.0
    rows: float = 0.0

    def add(self, loss: float, correct: float, rows: float) -> None:
        """Add the sums of one step."""
        self.loss += loss
        self.correct += correct
        self.rows += rows

    @property
    def mean_loss(self) -> float:
        """Loss per sample, in nats."""
        return self.loss / self.rows

    @property
    def accuracy(self) -> float:
        """Share of the samples that were right, 0 to 1."""
        return self.correct / self.rows


class StepSums:
    """Sums of each step, left on the device until `collect`, where one reduction brings them all."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def push(self, sums: Tensor) -> None:
        """Add the sums over this rank's rows of one step: loss, hits and rows, (3,)."""
        self.steps.append(sums)

    def collect(self, runtime: Runtime, *totals: Totals) -> None:
        """Reduce the steps over all processes and add them to each of `totals`."""
        if self.steps:
            # float64: exact for float32 summands, so that no order of the ranks shows
            for step in runtime.sum(torch.stack(self.steps).double()).tolist():
                for total in totals:
                    total.add(*step)
        self.steps = []
