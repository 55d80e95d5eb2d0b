"""The phases of a training: the head alone for `train.head_epochs`, then everything that is not frozen."""

import gc
import weakref
from functools import partial

from torch import nn

from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.distributed.runtime import Runtime
from leafdist.models.freezing import HeadOnly, KeepsFrozen
from leafdist.training.rates import describe
from leafdist.training.step import TrainStep


class Phases:
    """Makes the TrainStep of each phase. Which one an epoch is in depends on its number alone, on all ranks alike."""

    def __init__(
        self, config: Config, model: nn.Module, runtime: Runtime, steps_per_epoch: int, *, resident: bool
    ) -> None:
        self.runtime, self.head_epochs = runtime, config.train.head_epochs
        self.alone: HeadOnly | None = None
        if self.head_epochs:
            assert isinstance(model, KeepsFrozen), "its head cannot be trained alone"
            self.alone = HeadOnly(model, network(config.model.name).head)
        self._make = partial(TrainStep, config, model, runtime, steps_per_epoch, resident=resident)
        self.step = self._make()

    def enter(self, epoch: int) -> TrainStep:
        """Return the step of `epoch`. At the thaw it is a new one, with a new optimizer; the one before is gone."""
        if self.alone and epoch >= self.head_epochs:
            self.alone.thaw()
            self.alone = None
            self.step.release()
            self.runtime.unwrap(self.step.model)
            before = weakref.ref(self.step)
            del self.step
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            assert before() is None, "its wrapper would still reduce the head's gradients"
            self.step = self._make()
            self.announce()
        return self.step

    def announce(self) -> None:
        """Say what a user would not see in the losses: what is trained, and at which rates."""
        if self.alone:
            self.runtime.say(f"only the head is trained through epoch {self.head_epochs}")
        elif self.head_epochs:
            self.runtime.say(f"all layers are trained from epoch {self.head_epochs + 1} on")
        if rates := describe(self.step.groups):
            self.runtime.say(rates)
