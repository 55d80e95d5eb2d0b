"""The training loop: the plan's batches, the loss over the global batch, exact validation, checkpoints."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leafdist import checkpoint
from leafdist.config import Config, to_dict
from leafdist.data.loader import Loader
from leafdist.data.plan import EpochPlan, Share, micro_batches
from leafdist.evaluation import evaluate
from leafdist.metrics import Predictions, StepSums, Totals
from leafdist.models.dropout import seek
from leafdist.optim import FiniteWatch, build_optimizer, gradient_norm, guard_update, learning_rate
from leafdist.progress import Progress
from leafdist.runtime import Runtime
from leafdist.setup import augmentation, crop_seed, preprocessing
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
        format_ = torch.channels_last if config.train.channels_last else torch.contiguous_format
        self.model = model.to(runtime.device, memory_format=format_)  # type: ignore[call-overload]
        self.memory_format = format_
        self.optimizer = build_optimizer(self.model, config.optim)
        self.wrapped = runtime.wrap(self.model)
        self.augment = augmentation(config.data)
        self.index = loaders["train"].source.index
        self.steps_per_epoch = -(-len(self.index) // config.train.batch_size)
        total = config.train.epochs * self.steps_per_epoch
        self.total_steps = min(total, config.train.max_steps or total)
        self.state = TrainState()
        self.sums, self.watch = StepSums(), FiniteWatch()
        self.saved = time.monotonic()

    def resume(self) -> bool:
        """Go on from the newest checkpoint that verifies, if there is one; rank 0 chooses, all load."""
        path = self.runtime.agree(lambda: checkpoint.newest(self.folder / "last", self.runtime.say))
        if path is not None:
            self.state = TrainState.from_dict(checkpoint.load_last(path, self.model, self.optimizer))
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
        self.wrapped.train()
        self.window, self.rows = time.monotonic(), 0
        for share, (images, labels, _) in zip(self._shares(plan), self._batches(plan), strict=True):
            rate = self.train_step(share, images, labels)
            state.step, state.batch, self.rows = state.step + 1, state.batch + 1, self.rows + share.total
            logged = state.step % self.config.train.log_every == 0
            if logged:
                self.log_step(rate)
            if self._save_is_due(asked=logged):
                self.save()
            if self.finished:
                break
        self.watch.judge()

    def train_step(self, share: Share, images: Tensor, labels: Tensor) -> float:
        """One optimizer step on this rank's share of a global batch; returns the learning rate."""
        rate = learning_rate(self.config.optim, self.state.step, self.steps_per_epoch, self.config.train.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        parts = micro_batches(len(share), self.config.train.accumulate, self.config.train.max_rows)
        if share.empty:
            _batchnorm_eval(self.wrapped)
        loss, correct = images.new_zeros((), dtype=torch.get_default_dtype()), labels.new_zeros(())
        for part in parts:
            with self.runtime.no_sync(self.wrapped, when=part is not parts[-1]):
                part_loss, part_correct = self.backward(share, part, images[part], labels[part])
            loss, correct = loss + part_loss, correct + part_correct
        norm = gradient_norm(self.model.parameters(), self.config.train.clip_norm)
        self.watch.push(guard_update(self.optimizer, norm), self._where(rate))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if share.empty:
            self.wrapped.train()
        rows = 0 if share.empty else len(share)
        self.runtime.average_batchnorm(self.model, rows / share.total)
        self.sums.push(loss, correct, rows)
        return rate

    def backward(self, share: Share, part: slice, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of one micro-batch; returns its sums of loss and of correct predictions."""
        draws = torch.from_numpy(share.draws[part]).to(images.device, non_blocking=True)
        seek(self.model, self.config.seed, self.state.step, share.first + part.start)
        pixels = self.augment(images, draws).contiguous(memory_format=self.memory_format)
        logits = self.wrapped(pixels)
        weight = 0.0 if share.empty else 1.0
        smoothing = self.config.optim.label_smoothing
        loss = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing) * weight
        # DistributedDataParallel averages over the ranks: times world, the gradient is that of the global mean
        (loss * (self.runtime.world / share.total)).backward()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum() * int(weight)

    def log_step(self, rate: float) -> None:
        """One reduction for all steps since the last time, then a line."""
        state = self.state
        self.sums.collect(self.runtime, state.epoch_totals, state.log_totals)
        now = time.monotonic()
        event = {
            "event": "step",
            "epoch": state.epoch,
            "step": state.step,
            "loss": state.log_totals.mean_loss,
            "lr": rate,
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
        augment = self.augment.for_evaluation()
        return evaluate(self.model, self.loaders[split], augment, self.runtime, crop_seed(self.config))

    def keep_best(self, validation: Predictions) -> bool:
        """Save `best/` when val accuracy rose, or stayed with a lower loss."""
        state = self.state
        found = (validation.accuracy, -validation.mean_loss)
        if found <= (state.best_accuracy, -state.best_loss):
            return False
        state.best_epoch, state.best_accuracy, state.best_loss = state.epoch, validation.accuracy, validation.mean_loss
        if self.runtime.is_main:
            checkpoint.save_best(self.folder / "best", self.model, self._meta())
        return True

    def save(self) -> None:
        """Write `last/` at the current step."""
        self.sums.collect(self.runtime, self.state.epoch_totals, self.state.log_totals)
        self.watch.judge()
        self.saved = time.monotonic()
        if self.runtime.is_main:
            checkpoint.save_last(self.folder / "last", self.state.step, self.model, self.optimizer, asdict(self.state))

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
        if self.state.batch == self.steps_per_epoch:
            return False
        every, minutes = self.config.train.save_every, self.config.train.save_minutes
        if every > 0 and self.state.step % every == 0:
            return True
        return asked and self.runtime.decide(time.monotonic() - self.saved > 60 * minutes)

    def _where(self, rate: float) -> str:
        return f"step {self.state.step + 1}, epoch {self.state.epoch + 1}, learning rate {rate:.3g}"


def _batchnorm_eval(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
