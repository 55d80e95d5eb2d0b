"""What a checkpoint holds besides weights and optimizer: where the training stands."""

import math
import time
from dataclasses import dataclass, field

from leafdist.runs.facts import RunResult
from leafdist.training.sums import Totals


@dataclass
class TrainState:
    """Integers, sums and times; `batch` counts batches of the current epoch, `step` optimizer steps of the run.

    `scaler` is that of the gradients, which fp16 alone has; it is filled in when the state is saved.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    best_epoch: int = -1
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    epoch_totals: Totals = field(default_factory=Totals)
    log_totals: Totals = field(default_factory=Totals)
    scaler: dict[str, float] | None = None

    @property
    def position(self) -> tuple[int, int]:
        """Epoch and step."""
        return self.epoch, self.step

    def better(self, accuracy: float, loss: float, epoch: int | None = None) -> bool:
        """Whether val accuracy rose, or stayed with a lower loss; then `epoch` (default: this one) is the best now."""
        loss = math.inf if math.isnan(loss) else loss
        mine, best = (accuracy, -loss), (self.best_accuracy, -self.best_loss)
        again = (
            mine == best and self.epoch == self.best_epoch
        )  # its files may be half written by a start that was killed
        if mine <= best and not again:
            return False
        epoch = self.epoch if epoch is None else epoch
        self.best_epoch, self.best_accuracy, self.best_loss = epoch, accuracy, loss
        return True

    def end_epoch(self) -> None:
        """Go to the first batch of the next epoch."""
        self.epoch, self.batch, self.epoch_seconds, self.epoch_totals = self.epoch + 1, 0, 0.0, Totals()

    def result(self) -> RunResult:
        """The run in a few numbers."""
        return RunResult(self.step, self.seconds, self.best_epoch, self.best_accuracy, self.best_loss)


class Lap:
    """Adds the time that passed to a state, also over restarts."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def add(self, state: TrainState) -> None:
        """Add the seconds since the last call to the run's and the epoch's."""
        now = time.monotonic()
        passed, self.last = now - self.last, now
        state.seconds, state.epoch_seconds = state.seconds + passed, state.epoch_seconds + passed
