"""What a checkpoint holds besides weights and optimizer: where the training stands."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from leafdist.config.schema import Config
from leafdist.runs.facts import CheckpointMeta, Preprocessing, RunResult, score_text
from leafdist.system.plain import to_plain
from leafdist.training.selection import Judged, sort_key
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
    best_score: float | None = None
    epoch_totals: Totals = field(default_factory=Totals)
    log_totals: Totals = field(default_factory=Totals)
    scaler: dict[str, float] | None = None

    @property
    def position(self) -> tuple[int, int]:
        """Epoch and step."""
        return self.epoch, self.step

    def update_best(self, select: str, judged: Judged) -> bool:
        """Take `judged` as the best epoch if its figure is better, or equal with a lower loss; tell whether it is."""
        accuracy, loss, score = judged.val_accuracy, judged.val_loss, judged.val_score
        mine = sort_key(select, accuracy, loss, score)
        best = sort_key(select, self.best_accuracy, self.best_loss, self.best_score)
        # judged again, since a start that was killed may have left its files half written
        again = mine == best and self.epoch == self.best_epoch
        if self.best_epoch >= 0 and mine <= best and not again:
            return False
        loss = math.inf if math.isnan(loss) else loss
        self.best_epoch, self.best_accuracy, self.best_loss, self.best_score = judged.epoch, accuracy, loss, score
        return True

    def end_epoch(self) -> None:
        """Go to the first batch of the next epoch."""
        self.epoch, self.batch, self.epoch_seconds, self.epoch_totals = self.epoch + 1, 0, 0.0, Totals()

    def result(self) -> RunResult:
        """The run in a few numbers."""
        best = self.best_epoch, self.best_accuracy, self.best_loss, self.best_score
        return RunResult(self.step, self.seconds, *best)

    def best_text(self, select: str) -> str:
        """The best epoch in words; `select` names what it was selected by."""
        score = score_text(select, self.best_score)
        figures = f"accuracy {self.best_accuracy:.4f}" + (f", {score}," if score else "")
        return f"best val {figures} in epoch {self.best_epoch + 1}"

    def meta(self, classes: Sequence[str], config: Config) -> CheckpointMeta:
        """The header of the best checkpoint, but for the digest of its tensors."""
        best, preprocessing = self.result(), Preprocessing.from_config(config.data)
        figures = best.best_epoch, best.best_val_accuracy, best.best_val_loss
        return CheckpointMeta(list(classes), preprocessing, *figures, config, sha256="", val_score=best.best_val_score)

    def saved(self, scaler: dict[str, float] | None) -> dict[str, object]:
        """What state.json holds; no `best_score` where nothing is selected by one."""
        plain = to_plain(replace(self, scaler=scaler))
        return {key: value for key, value in plain.items() if value is not None or key != "best_score"}


class Lap:
    """Adds the time that passed to a state, also over restarts."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def add(self, state: TrainState) -> None:
        """Add the seconds since the last call to the run's and the epoch's."""
        now = time.monotonic()
        passed, self.last = now - self.last, now
        state.seconds, state.epoch_seconds = state.seconds + passed, state.epoch_seconds + passed
