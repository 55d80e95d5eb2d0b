"""The lines of metrics.jsonl. Epochs count from 0, steps over the whole run."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class StartEvent:
    """A start of the run; set_aside: photos of each split that cannot be read."""

    event: ClassVar[str] = "start"
    epoch: int
    step: int
    world_size: int
    set_aside: dict[str, int] | None = None


@dataclass(frozen=True)
class StepEvent:
    """Means over the steps since the event before; images_per_second over all processes.

    lr: of the head; rates: those of the groups of parameters, where they differ.
    """

    event: ClassVar[str] = "step"
    epoch: int
    step: int
    loss: float
    lr: float
    images_per_second: float
    rates: dict[str, float] | None = None


@dataclass(frozen=True)
class RootFigures:
    """The validation on the photos of a root of `data.extra`; no loss where it is not finite."""

    accuracy: float
    loss: float | None = None


@dataclass(frozen=True)
class EpochEvent:
    """An epoch and its validation; val_score: what train.select names, where it is neither accuracy nor loss.

    roots: the validation on each root of `data.extra`, by its name.
    """

    event: ClassVar[str] = "epoch"
    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float
    val_score: float | None = None
    roots: dict[str, RootFigures] | None = None


@dataclass(frozen=True)
class EndEvent:
    """How the run ended; the figures of RunResult where it got so far."""

    event: ClassVar[str] = "end"
    state: str
    steps: int | None = None
    seconds: float | None = None
    best_epoch: int | None = None
    best_val_accuracy: float | None = None
    best_val_loss: float | None = None
    best_val_score: float | None = None


Event = StartEvent | StepEvent | EpochEvent | EndEvent
