"""The training loop: the plan's batches, the loss over the global batch, exact validation, checkpoints."""

import gc
import math
import time
from dataclasses import asdict
from functools import partial
from itertools import tee
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from leafdist.config.schema import Config, to_dict
from leafdist.data.augment import Augment
from leafdist.data.loader import Loader
from leafdist.data.plan import EpochPlan
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import Judging, evaluate
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.tables import write_predictions
from leafdist.runs import checkpoint
from leafdist.runs.facts import Preprocessing
from leafdist.runs.tracker import Tracker
from leafdist.system import files, signals
from leafdist.system.plain import to_plain
from leafdist.training.checkpoint_writer import Writer
from leafdist.training.optim import NotFiniteError
from leafdist.training.progress import Progress
from leafdist.training.state import Lap, TrainState
from leafdist.training.step import TrainStep
from leafdist.training.sums import StepSums, Totals

HEED_EVERY = 4  # optimizer steps between looks at signals, the writer and the clock: one small CPU reduction each,
HEED_SHARE = 8  # whose time grows with the ranks; above 32 of them a look every ranks / 8 steps


class Trainer:
    """Trains `model` as `config` says, on any number of processes the same."""

    def __init__(
        self, config: Config, model: nn.Module, loaders: dict[str, Loader], runtime: Runtime, folder: Path
    ) -> None:
        self.config, self.loaders, self.runtime, self.folder = config, loaders, runtime, folder
        self.index = loaders["train"].source.index
        self.steps_per_epoch = math.ceil(len(self.index) / config.train.batch_size)
        self.step = TrainStep(config, model, runtime, self.steps_per_epoch)
        self.eval_augment = Augment.from_config(config.data).for_evaluation()
        total = config.train.epochs * self.steps_per_epoch
        self.total_steps = min(total, config.train.max_steps or total)
        self.state = TrainState()
        self.sums = StepSums()
        self.writer = Writer()
        self.saved_place, self.saved_time = self.state.place, time.monotonic()

    def resume(self) -> None:
        """Go on from the newest checkpoint that verifies, if there is one; rank 0 chooses, all load."""
        path = self.runtime.once(lambda: checkpoint.newest(self.folder / "last", self.runtime.say))
        if path is not None:
            load = partial(checkpoint.load_last, path, self.step.model, self.step.optimizer)
            values = self.runtime.everywhere(load)
            self.step.load_scaler(values.pop("scaler", None))
            self.state = TrainState.from_dict(values)
            self.saved_place = self.state.place
            self.runtime.say(f"resumed from {path}: epoch {self.state.epoch + 1}, step {self.state.step}")

    @property
    def finished(self) -> bool:
        """All steps are taken, and the last epoch is validated."""
        return self.state.step >= self.total_steps and self.state.batch == 0

    @property
    def _epoch_trained(self) -> bool:
        """Nothing is left of the current epoch but its validation."""
        return self.state.batch > 0 and (
            self.state.batch == self.steps_per_epoch or self.state.step >= self.total_steps
        )

    def fit(self, tracker: Tracker) -> None:
        """Train to the end, from wherever `state` stands. Raises Interrupted, all saved, when told to stop."""
        self.tracker, self.lap = tracker, Lap()
        place = {"epoch": self.state.epoch, "step": self.state.step}
        aside = {split: count for split, one in self.loaders.items() if (count := len(one.source.index.set_aside))}
        noted = {"set_aside": aside} if aside else {}
        tracker.log({"event": "start", **place, "world_size": self.runtime.world, **noted})
        self.progress = Progress(self.total_steps, self.state.step, shown=self.runtime.is_main)
        self.heed()
        gc.collect()
        gc.freeze()  # what stands now is not looked through again in mid-step
        try:
            while not self.finished:
                self.train_epoch()
                self.finish_epoch()
        except NotFiniteError as error:
            step = error.step
            raise FloatingPointError(self.runtime.once(lambda: self.explain(step))) from None
        self.runtime.once(self.writer.wait, patient=False)
        self.progress.close()

    def train_epoch(self) -> None:
        """The rest of the current epoch."""
        if self._epoch_trained:  # interrupted in its validation
            return
        state, plan, every = self.state, self._plan(), self.config.train.save_every
        self.step.wrapped.train()
        self.window, self.rows = time.monotonic(), 0
        shares, ahead = tee(plan.shares(self.runtime.rank, self.runtime.world, state.batch))
        batches = self.loaders["train"].batches(share.indices for share in ahead)
        for share, (images, labels, _) in zip(shares, batches, strict=True):
            self.sums.push(*self.step(state.step, share, images, labels))
            state.step, state.batch, self.rows = state.step + 1, state.batch + 1, self.rows + share.total
            if state.step % self.config.train.log_every == 0:
                self.log_step()
            if self._epoch_trained:
                break
            if every and state.step % every == 0:
                self.save()
            if state.step % max(HEED_EVERY, self.runtime.world // HEED_SHARE) == 0:
                self.heed()
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

    def finish_epoch(self) -> None:
        """Validate, keep the best, save."""
        state = self.state
        self.sums.collect(self.runtime, state.epoch_totals, state.log_totals)
        validation = self.evaluate("val")
        training = self.evaluate("train") if self.config.train.evaluate_train else None
        self.lap.add(state)
        event = {
            "event": "epoch",
            "epoch": state.epoch,
            "step": state.step,
            "train_loss": training.mean_loss if training else state.epoch_totals.mean_loss,
            "train_accuracy": training.accuracy if training else state.epoch_totals.accuracy,
            "val_loss": validation.mean_loss,
            "val_accuracy": validation.accuracy,
            "seconds": state.epoch_seconds,
        }
        best = state.better(validation.accuracy, validation.mean_loss)
        if best and self.runtime.is_main:
            tensors = checkpoint.tensors_of(self.step.model)
            self.writer.submit(partial(self._write_best, tensors, self._meta(), validation))
        self.tracker.log(event)
        self.progress.epoch(event, best=best)
        state.end_epoch()
        self.save()

    def evaluate(self, split: str) -> Predictions:
        """Exact, on all processes."""
        return evaluate(
            self.step.model,
            self.loaders[split],
            self.eval_augment,
            self.runtime,
            Judging(self.config.train.precision, self.config.crop_seed),
            between=self.heed,
        )

    def heed(self) -> None:
        """All ranks together: leave when one was told to or cannot save, and save when it is time."""
        self.runtime.sentinel.beat()
        minutes = (time.monotonic() - self.saved_time) / 60
        due = self.runtime.is_main and minutes > self.config.train.save_minutes
        stop, broken, due = map(bool, self.runtime.highest(signals.received() is not None, self.writer.broken, due))
        if broken:
            self.runtime.once(self.writer.wait, patient=False)
        if stop or due:
            self.save()
        if stop:
            self.runtime.once(self.writer.wait, patient=False)
            names = [name for name in self.runtime.gather(signals.received()) if name]
            raise signals.Interrupted(f"interrupted by {names[0]}: saved at step {self.state.step}")

    def save(self) -> None:
        """Write `last/` as it is now, in the background."""
        state = self.state
        self.sums.collect(self.runtime, state.epoch_totals, state.log_totals)
        self.step.watch.judge()
        self.lap.add(state)
        self.saved_time = time.monotonic()
        if state.place == self.saved_place:
            return
        self.saved_place = state.place
        if self.runtime.is_main:
            values = asdict(state) | self.step.scaler_state()
            snapshot = checkpoint.Snapshot.of(self.step.model, self.step.optimizer, values)
            validated = not self._epoch_trained
            self.writer.submit(partial(self._write_last, state.step, snapshot, validated=validated))

    def _write_last(self, step: int, snapshot: checkpoint.Snapshot, *, validated: bool) -> None:
        files.flush(self.folder / "metrics.jsonl")  # the checkpoint relies on its lines
        checkpoint.save_last(self.folder / "last", step, snapshot, validated=validated)

    def _write_best(self, tensors: dict[str, Tensor], meta: dict[str, Any], validation: Predictions) -> None:
        """With what it answered on val: nobody has to ask it again."""
        folder, index = self.folder / "best", self.loaders["val"].source.index
        checkpoint.save_best(folder, tensors, meta)
        write_predictions(folder / "predictions-val.csv", index.every_name, index.classes, validation)

    def explain(self, step: int) -> str:
        """What is known of a step that is not finite; the files of its batch go to not-finite.json."""
        batch = step - (self.state.step - self.state.batch)
        names = [self.index.names[i] for i in self._plan().share(batch).indices]
        facts = {"step": step + 1, "epoch": self.state.epoch + 1, "learning_rate": self.step.rate(step), "files": names}
        files.write_json(path := self.folder / "not-finite.json", facts)
        return (
            f"the gradient is not finite at step {step + 1}, epoch {facts['epoch']}, learning rate "
            f"{self.step.rate(step):.3g}, files {', '.join(names[:3])} … ({len(names)}, all in {path}): that step was "
            "refused, the last good checkpoint is kept. Try a lower optim.lr, train.clip_norm=1, or train.precision=no"
        )

    def _meta(self) -> dict[str, Any]:
        return {
            "classes": list(self.index.classes),
            "preprocessing": to_plain(Preprocessing.from_config(self.config.data)),
            "epoch": self.state.best_epoch,
            "val_accuracy": self.state.best_accuracy,
            "val_loss": self.state.best_loss,
            "config": to_dict(self.config),
        }

    def _plan(self) -> EpochPlan:
        return EpochPlan(len(self.index), self.config.train.batch_size, self.config.seed, self.state.epoch)
