"""The training loop: the plan's batches, the loss over the global batch, exact validation, checkpoints."""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from leafdist import checkpoint
from leafdist.config import Config, to_dict
from leafdist.data.loader import Loader
from leafdist.data.plan import EpochPlan, Share
from leafdist.evaluation import evaluate
from leafdist.metrics import Predictions, StepSums, Totals
from leafdist.progress import Progress
from leafdist.runtime import Runtime
from leafdist.setup import augmentation, crop_seed, preprocessing
from leafdist.step import TrainStep
from leafdist.tracking import Tracker


@dataclass
class TrainState:
    """All that a run is besides weights and optimizer: where it stands, and what it has seen."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_epoch: int = -1
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    epoch_totals: Totals = field(default_factory=Totals)
    log_totals: Totals = field(default_factory=Totals)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainState":
        totals = {name: Totals(**values[name]) for name in ("epoch_totals", "log_totals")}
        return cls(**{**values, **totals})


class Trainer:
    """Trains `model` as `config` says, on any number of processes the same."""

    def __init__(
        self, config: Config, model: nn.Module, loaders: dict[str, Loader], runtime: Runtime, folder: Path
    ) -> None:
        self.config, self.loaders, self.runtime, self.folder = config, loaders, runtime, folder
        self.index = loaders["train"].source.index
        self.steps_per_epoch = math.ceil(len(self.index) / config.train.batch_size)
        self.step = TrainStep(config, model, runtime, self.steps_per_epoch)
        self.eval_augment = augmentation(config.data).for_evaluation()
        total = config.train.epochs * self.steps_per_epoch
        self.total_steps = min(total, config.train.max_steps or total)
        self.state = TrainState()
        self.sums = StepSums()
        self.saved = time.monotonic()

    def resume(self) -> bool:
        """Go on from the newest checkpoint that verifies, if there is one; rank 0 chooses, all load."""
        path = self.runtime.agree(lambda: checkpoint.newest(self.folder / "last", self.runtime.say))
        if path is not None:
            self.state = TrainState.from_dict(checkpoint.load_last(path, self.step.model, self.step.optimizer))
            self.runtime.say(f"resumed from {path}: epoch {self.state.epoch + 1}, step {self.state.step}")
        return path is not None

    @property
    def finished(self) -> bool:
        return self.state.step >= self.total_steps

    def fit(self, tracker: Tracker) -> None:
        """Train to the end, from wherever `state` stands."""
        self.tracker = tracker
        place = {"epoch": self.state.epoch, "step": self.state.step}
        tracker.log({"event": "start", **place, "world_size": self.runtime.world})
        self.progress = Progress(self.total_steps, self.state.step, shown=self.runtime.is_main)
        while not self.finished:
            began = time.monotonic()
            self.train_epoch()
            self.finish_epoch(began)
        self.progress.close()

    def train_epoch(self) -> None:
        """The rest of the current epoch."""
        state, plan = self.state, self._plan()
        self.step.wrapped.train()
        self.window, self.rows = time.monotonic(), 0
        for share, (images, labels, _) in zip(self._shares(plan), self._batches(plan), strict=True):
            self.sums.push(*self.step(state.step, share, images, labels))
            state.step, state.batch, self.rows = state.step + 1, state.batch + 1, self.rows + share.total
            logged = state.step % self.config.train.log_every == 0
            if logged:
                self.log_step()
            if self._save_is_due(asked=logged):
                self.save()
            if self.finished:
                break
        self.step.watch.judge()

    def log_step(self) -> None:
        """One reduction for all steps since the last time, then a line."""
        state = self.state
        self.sums.collect(self.runtime, state.epoch_totals, state.log_totals)
        now = time.monotonic()
        event = {
            "event": "step",
            "epoch": state.epoch,
            "step": state.step,
            "loss": state.log_totals.mean_loss,
            "lr": self.step.rate(state.step - 1),
            "images_per_second": self.rows / (now - self.window),
        }
        state.log_totals, self.window, self.rows = Totals(), now, 0
        self.tracker.log(event)
        self.progress.step(event)

    def finish_epoch(self, began: float) -> None:
        """Validate, keep the best, save."""
        state = self.state
        self.sums.collect(self.runtime, state.epoch_totals, state.log_totals)
        validation = self.evaluate("val")
        training = self.evaluate("train") if self.config.train.evaluate_train else None
        seconds = time.monotonic() - began
        event = {
            "event": "epoch",
            "epoch": state.epoch,
            "step": state.step,
            "train_loss": training.mean_loss if training else state.epoch_totals.mean_loss,
            "train_accuracy": training.accuracy if training else state.epoch_totals.accuracy,
            "val_loss": validation.mean_loss,
            "val_accuracy": validation.accuracy,
            "seconds": seconds,
        }
        best = self.keep_best(validation)
        self.tracker.log(event)
        self.progress.epoch(event, best=best)
        state.seconds += seconds
        state.epoch, state.batch, state.epoch_totals = state.epoch + 1, 0, Totals()
        self.save()

    def evaluate(self, split: str) -> Predictions:
        """Exact, on all processes."""
        model, precision, seed = self.step.model, self.config.train.precision, crop_seed(self.config)
        return evaluate(
            model,
            self.loaders[split],
            self.eval_augment,
            self.runtime,
            precision=precision,
            random_crop_seed=seed,
        )

    def keep_best(self, validation: Predictions) -> bool:
        """Save `best/` when val accuracy rose, or stayed with a lower loss."""
        state = self.state
        found = (validation.accuracy, -validation.mean_loss)
        if found <= (state.best_accuracy, -state.best_loss):
            return False
        state.best_epoch, state.best_accuracy, state.best_loss = state.epoch, validation.accuracy, validation.mean_loss
        if self.runtime.is_main:
            checkpoint.save_best(self.folder / "best", self.step.model, self._meta())
        return True

    def save(self) -> None:
        """Write `last/` at the current step."""
        self.sums.collect(self.runtime, self.state.epoch_totals, self.state.log_totals)
        self.step.watch.judge()
        self.saved = time.monotonic()
        if self.runtime.is_main:
            checkpoint.save_last(
                self.folder / "last", self.state.step, self.step.model, self.step.optimizer, asdict(self.state)
            )

    def result(self) -> dict[str, Any]:
        """The run in a few numbers."""
        state = self.state
        return {
            "steps": state.step,
            "seconds": state.seconds,
            "best_epoch": state.best_epoch,
            "best_val_accuracy": state.best_accuracy,
            "best_val_loss": state.best_loss,
        }

    def _meta(self) -> dict[str, Any]:
        return {
            "classes": list(self.index.classes),
            "preprocessing": preprocessing(self.config.data),
            "epoch": self.state.best_epoch,
            "val_accuracy": self.state.best_accuracy,
            "val_loss": self.state.best_loss,
            "config": to_dict(self.config),
        }

    def _plan(self) -> EpochPlan:
        return EpochPlan(len(self.index), self.config.train.batch_size, self.config.seed, self.state.epoch)

    def _shares(self, plan: EpochPlan) -> Iterator[Share]:
        return plan.shares(self.runtime.rank, self.runtime.world, self.state.batch)

    def _batches(self, plan: EpochPlan) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return self.loaders["train"].batches(share.indices for share in self._shares(plan))

    def _save_is_due(self, *, asked: bool) -> bool:
        """By steps, or, when `asked`, by rank 0's clock; the end of an epoch saves anyway."""
        if self.finished or self.state.batch == self.steps_per_epoch:
            return False
        every, minutes = self.config.train.save_every, self.config.train.save_minutes
        if every > 0 and self.state.step % every == 0:
            return True
        return asked and self.runtime.decide(time.monotonic() - self.saved > 60 * minutes)
