"""The phases of a training: the head alone for `train.head_epochs`, then everything that is not frozen."""

import gc
import weakref
from functools import partial

from torch import nn

from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.data.loader import Loader
from leafdist.distributed.runtime import Runtime
from leafdist.models.freezing import HeadOnly, KeepsFrozen
from leafdist.training.head_features import compute_features
from leafdist.training.rates import describe
from leafdist.training.step import TrainStep


class Phases:
    """Makes the TrainStep of each phase. Which one an epoch is in depends on its number alone, on all ranks alike.

    class_weights: (C,), of the classes in the loss.
    """

    def __init__(
        self,
        config: Config,
        model: nn.Module,
        loader: Loader,
        runtime: Runtime,
        steps_per_epoch: int,
        *,
        class_weights: list[float] | None = None,
    ) -> None:
        self.model, self.runtime, self.train = model, runtime, config.train
        self.head_only: HeadOnly | None = None
        if self.train.head_epochs:
            assert isinstance(model, KeepsFrozen), "its head cannot be trained alone"
            self.head_only = HeadOnly(model, network(config.model.name).head)
        resident = loader.pack is not None
        self._features = partial(compute_features, config, model, loader, runtime)
        make = partial(TrainStep, config, model, runtime, steps_per_epoch, backgrounds=loader.backgrounds)
        self._make = partial(make, resident=resident, class_weights=class_weights)
        self.average: nn.Module | None = None  # of the weights, through all phases
        self._step: TrainStep | None = None

    @property
    def step(self) -> TrainStep:
        """The step of the epoch that was entered last, at first of epoch 0."""
        return self._step or self.enter(0)

    def enter(self, epoch: int, *, over: bool = False) -> TrainStep:
        """Return the step of `epoch`. At the thaw it is a new one, with a new optimizer; the one before is gone.

        over: training has ended; it is for its optimizer alone, with which a longer training goes on.
        """
        if self.head_only and epoch >= self.train.head_epochs:
            self.head_only.thaw()
            self.head_only = None
            self._drop()
        if self._step is None:
            features, how = self._features() if self.head_only else (None, "")
            self._step = self._make(features=features, average=self.average)
            self.average = self._step.kept_network() if self._step.average else None
            if not over:
                self._announce(how)
        return self._step

    def release(self) -> None:
        """Give back what must go before the process group."""
        if self._step:
            self._step.release()

    def _announce(self, how: str) -> None:
        """Say what a user would not see in the losses: what is trained, and at which rates."""
        if self.head_only:
            self.runtime.say(f"only the head is trained through epoch {self.train.head_epochs}, {how}")
        elif self.train.head_epochs:
            self.runtime.say(f"all layers are trained from epoch {self.train.head_epochs + 1} on")
        if rates := describe(self.step.groups):
            self.runtime.say(rates)

    def _drop(self) -> None:
        """Undo the wrapping of the step so far, if there is one, and give its memory back."""
        if self._step is None:
            return
        self._step.release()
        self.runtime.unwrap(self._step.model)
        before, self._step = weakref.ref(self._step), None
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        assert before() is None, "its wrapper would still reduce the head's gradients"
