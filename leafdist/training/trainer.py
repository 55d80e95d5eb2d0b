"""The training loop: the plan's batches, the loss over the global batch, exact validation, checkpoints."""

import gc
import time
from functools import partial
from pathlib import Path

from torch import nn

from leafdist.config.schema import Config
from leafdist.data.augment import Augment
from leafdist.data.epoch import plan_of
from leafdist.data.loader import Loader
from leafdist.data.open import counts
from leafdist.data.plan import EpochPlan
from leafdist.data.roots import VAL
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import Judging, evaluate
from leafdist.evaluation.predictions import Predictions
from leafdist.runs import checkpoint
from leafdist.runs.events import EpochEvent, StartEvent, StepEvent
from leafdist.runs.header import best_so_far
from leafdist.runs.layout import RunLayout
from leafdist.runs.tracker import NullTracker, Tracker
from leafdist.system import signals
from leafdist.system.console import counted
from leafdist.system.plain import read
from leafdist.training.checkpoint_writer import Writer, is_due, write_files
from leafdist.training.not_finite import NotFiniteError, explain
from leafdist.training.phases import Phases
from leafdist.training.progress import Progress
from leafdist.training.selection import figures_of, no_better, score_of
from leafdist.training.state import Lap, TrainState
from leafdist.training.step import TrainStep
from leafdist.training.sums import StepSums, Totals


class Trainer:
    """Trains `model` as `config` says, on any number of processes the same; `folder` is the run's."""

    def __init__(
        self,
        config: Config,
        model: nn.Module,
        loaders: dict[str, Loader],
        runtime: Runtime,
        folder: Path,
        *,
        class_weights: list[float] | None = None,
    ) -> None:
        self.config, self.loaders, self.runtime, self.layout = config, loaders, runtime, RunLayout(folder)
        self.index = loaders["train"].source.index
        plan = plan_of(config, self.index, 0)
        self.rows, self.steps_per_epoch = plan.rows, len(plan)  # of an epoch
        self.phases = Phases(config, model, loaders["train"], runtime, len(plan), class_weights=class_weights)
        self.eval_augment, self.writer = Augment.from_config(config.data).for_evaluation(), Writer()
        total = config.train.epochs * self.steps_per_epoch
        self.total_steps = min(total, config.train.max_steps or total)
        self.state, self.sums, self.lap = TrainState(), StepSums(), Lap()
        self.window_start, self.window_rows = time.monotonic(), 0  # since the last logged step
        self.saved_position, self.saved_time = self.state.position, time.monotonic()
        self.tracker: Tracker = NullTracker()  # `fit` has one that speaks, and a visible bar
        self.progress = Progress(self.total_steps, 0, shown=False)

    def resume(self) -> None:
        """Continue from the newest checkpoint that verifies, if there is one; rank 0 chooses, all load."""
        path = self.runtime.once(lambda: checkpoint.newest(self.layout.last, self.runtime.say))
        if path is not None:
            self.state = self.runtime.everywhere(partial(read, TrainState, path / "state.json"))
            # before the features are computed that the head is trained on
            self.runtime.everywhere(partial(checkpoint.load_model, path, self.phases.model))
        step = self.phases.enter(self.state.epoch, over=self.finished)
        if path is not None:
            self.runtime.everywhere(partial(checkpoint.load_optimizer, path, step.optimizer))
            if self.state.scaler is not None:
                step.scaler.load_state_dict(self.state.scaler)
            if self.phases.average is not None:
                self.runtime.everywhere(partial(checkpoint.load_model, path, self.phases.average, checkpoint.AVERAGE))
            self.saved_position = self.state.position
            self.runtime.say(f"resumed from {path}: epoch {self.state.epoch + 1}, step {self.state.step}")
        if best := self.runtime.once(lambda: best_so_far(self.layout.path, self.runtime.say)):
            self.state.update_best(self.config.train.select, best)  # only what beats it may replace it

    @property
    def step(self) -> TrainStep:
        """What takes the optimizer steps of the current epoch."""
        return self.phases.step

    @property
    def finished(self) -> bool:
        """Nothing is left to do, not even a validation."""
        return self.state.batch == 0 and self.why_over(self.state.step) is not None

    def why_over(self, step: int) -> str | None:
        """Say why training is over after `step`, the last of an epoch; None while it goes on."""
        if step >= self.total_steps:
            return counted(step, "step")
        return no_better(self.config.train, step // self.steps_per_epoch, self.state.best_epoch)

    @property
    def epoch_trained(self) -> bool:
        """Nothing is left of the current epoch but its validation."""
        state = self.state
        return state.batch > 0 and (state.batch == self.steps_per_epoch or state.step >= self.total_steps)

    def fit(self, tracker: Tracker) -> None:
        """Train to the end, from wherever `state` stands. Raises Interrupted, all saved, when told to stop."""
        state = self.state
        aside = {split: count for split, count in counts(self.loaders)["set_aside"].items() if count}
        self.tracker, self.lap = tracker, Lap()
        self.progress = Progress(self.total_steps, state.step, self.config.train.select, shown=self.runtime.is_main)
        tracker.log(StartEvent(state.epoch, state.step, self.runtime.world, aside or None))
        self.poll()
        if self.runtime.world == 1:  # several agree on a signal between steps only
            for loader in self.loaders.values():
                loader.idle = self.poll
        gc.unfreeze()  # of a training before this one, in a notebook
        gc.collect()
        gc.freeze()  # later collections, in the middle of a step, pass over what exists now
        try:
            while not self.finished:
                self.train_epoch()
                self.finish_epoch()
        except NotFiniteError as error:
            step = error.step
            raise FloatingPointError(self.runtime.once(lambda: self._explain(step))) from None
        finally:
            self.progress.close()
            self.phases.release()
        if state.step < self.total_steps:
            self.runtime.say(str(self.why_over(state.step)))
        self.runtime.once(self.writer.wait, patient=False)

    def train_epoch(self) -> None:
        """Train the rest of the current epoch."""
        if self.epoch_trained:  # interrupted in its validation
            return
        state, train = self.state, self.config.train
        self.step.wrapped.train()
        self.window_start, self.window_rows = time.monotonic(), 0
        shares = self._plan().shares(self.runtime.rank, self.runtime.world, state.batch)
        for batch in self.loaders["train"].batches(shares):
            self.runtime.watchdog.beat()
            self.sums.push(self.step(state.step, batch))
            state.step, state.batch = state.step + 1, state.batch + 1
            self.window_rows += batch.share.total
            if state.step % train.log_every == 0:
                self.log_step()
            if self.epoch_trained:
                break
            if train.save_every and state.step % train.save_every == 0:
                self.save()
            if state.step % self.runtime.poll_every == 0:
                self.poll()
        self.step.watch.judge()

    def train_first(self, steps: int) -> int:
        """Train the first `steps` steps of epoch 0, for measurements; returns the number of photos."""
        self.state, self.total_steps = TrainState(), steps
        self.train_epoch()
        self._collect()
        self.step.release()
        return int(self.state.epoch_totals.rows)

    def log_step(self) -> None:
        """Report the steps since the last time, after one reduction for all of them."""
        self._collect()
        state, now = self.state, time.monotonic()
        speed, taken = self.window_rows / (now - self.window_start), state.step - 1
        rate, rates = self.step.rate(taken), self.step.rates(taken)
        event = StepEvent(state.epoch, state.step, state.log_totals.mean_loss, rate, speed, rates)
        state.log_totals, self.window_start, self.window_rows = Totals(), now, 0
        self.tracker.log(event)
        self.progress.step(event)

    def finish_epoch(self) -> None:
        """Validate; save if it is the best epoch or the last one, or if a checkpoint is due."""
        state = self.state
        self._collect()
        self.step.release_if_tight()
        validation = self.evaluate("val")
        roots = {name.removeprefix(VAL): self.evaluate(name) for name in self.loaders if name.startswith(VAL)}
        training = self.evaluate("train") if self.config.train.evaluate_train else state.epoch_totals
        self.lap.add(state)
        figures = training.mean_loss, training.accuracy, validation.mean_loss, validation.accuracy
        select = self.config.train.select
        score = score_of(select, validation, self.index.classes, roots)
        event = EpochEvent(state.epoch, state.step, *figures, state.epoch_seconds, score, figures_of(roots))
        best = state.update_best(select, event)
        self.tracker.log(event)
        self.progress.epoch(event, best=best)
        state.end_epoch()
        self.phases.enter(state.epoch, over=self.finished)
        # last/ follows best/ at once: resumed from an older last/, GPUs or other processes may train to other bits, and
        # best/ be of an epoch that the run never had. Nothing in `save` is collective here: rank 0's clock decides
        if best or self.finished or is_due(self.config.train, state.step, time.monotonic() - self.saved_time):
            self.save(validation if best else None)

    def evaluate(self, split: str) -> Predictions:
        """Predict each photo of `split`, of classes of the run, once, on all processes together."""
        judging = Judging(self.config.train.precision, self.config.crop_seed)
        network, loader, augment = self.step.kept_network(), self.loaders[split], self.eval_augment
        return evaluate(network, loader, augment, self.runtime, judging, between=self.poll).known

    def poll(self) -> None:
        """Agree with all ranks, on GPUs one call later: save if it is time, leave if told to or if saving failed."""
        self.runtime.watchdog.beat()
        minutes = (time.monotonic() - self.saved_time) / 60
        due = self.runtime.is_main and minutes > self.config.train.save_minutes
        self.saved_time = time.monotonic() if due else self.saved_time  # asked once; the answer may come a call later
        wishes = signals.received() is not None, self.writer.broken, due
        stop, broken, due = map(bool, self.runtime.highest_later(*wishes))
        if broken:
            self.runtime.once(self.writer.wait, patient=False)
        if stop or due:
            self.save()
        if stop:
            self.runtime.once(self.writer.wait, patient=False)
            names = [name for name in self.runtime.gather(signals.received()) if name]
            raise signals.Interrupted(f"interrupted by {names[0]}: saved at step {self.state.step}")

    def save(self, best: Predictions | None = None) -> None:
        """Write `last/` of the training as it stands, in the background; and `best/` if its validation is given."""
        state = self.state
        self._collect()
        self.step.watch.judge()
        self.lap.add(state)
        self.saved_time = time.monotonic()
        if state.position == self.saved_position:
            return
        self.saved_position = state.position
        if self.runtime.is_main:
            self.writer.make_room()
            average = self.step.kept_network() if self.step.average else None
            values = state.saved(self.step.scaler_state())
            snapshot = checkpoint.Snapshot.of(self.step.model, self.step.optimizer, values, average)
            meta, val = state.meta(self.index.classes, self.config), self.loaders["val"].source.index
            work = partial(write_files, self.layout, state.step, snapshot, meta, val)
            self.writer.submit(partial(work, best=best, validated=not self.epoch_trained))

    def _explain(self, step: int) -> str:
        batch = step - (self.state.step - self.state.batch)
        names = [self.index.names[i] for i in self._plan().share(batch).own]
        return explain(step, self.state.epoch, self.step.rate(step), names, self.layout.not_finite)

    def _collect(self) -> None:
        self.sums.collect(self.runtime, self.state.epoch_totals, self.state.log_totals)

    def _plan(self) -> EpochPlan:
        return plan_of(self.config, self.index, self.state.epoch)
