"""A run folder in the dataclasses of runs/: a bridge until runs/record.py itself speaks them."""

import math
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from leafdist.config.schema import Config, from_dict
from leafdist.runs.events import EpochEvent, StepEvent
from leafdist.runs.facts import CheckpointMeta, Preprocessing, RunFacts
from leafdist.runs.layout import RunLayout
from leafdist.runs.record import Probabilities
from leafdist.runs.record import RunRecord as Untyped
from leafdist.runs.results import Calibration, Evaluation
from leafdist.system import plain

Event = TypeVar("Event", EpochEvent, StepEvent)


class RunRecord:
    """A run folder, read where asked for."""

    def __init__(self, untyped: Untyped) -> None:
        self.untyped, self.path, self.name = untyped, untyped.path, untyped.name
        self.layout = RunLayout(untyped.path)

    @classmethod
    def open(cls, path: Path) -> "RunRecord":
        """Open a run folder. Raises ValueError where it is none."""
        return cls(Untyped.open(path))

    @property
    def state(self) -> str:
        return self.untyped.state

    @property
    def restarts(self) -> int:
        return self.untyped.restarts

    @property
    def config(self) -> Config:
        return self.untyped.config

    @property
    def images_per_second(self) -> float | None:
        return self.untyped.images_per_second

    @property
    def device_hours(self) -> dict[str, float]:
        return self.untyped.device_hours

    @property
    def gpu_hours(self) -> float:
        return self.untyped.gpu_hours

    @cached_property
    def facts(self) -> RunFacts:
        return plain.from_plain(RunFacts, self.untyped.run, self.layout.facts)

    @cached_property
    def meta(self) -> CheckpointMeta | None:
        found = self.untyped.meta
        if found is None:
            return None
        config = from_dict(found["config"])
        return CheckpointMeta(
            classes=found["classes"],
            preprocessing=Preprocessing.from_config(config.data),
            epoch=found["epoch"],
            val_accuracy=found["val_accuracy"],
            val_loss=found.get("val_loss", math.nan),
            config=config,
            sha256=found["sha256"],
        )

    @cached_property
    def epochs(self) -> list[EpochEvent]:
        return self._events(EpochEvent)

    @cached_property
    def steps(self) -> list[StepEvent]:
        return self._events(StepEvent)

    def _events(self, kind: type[Event]) -> list[Event]:
        found = [event for event in self.untyped.events if event.get("event") == kind.event]
        return [plain.from_plain(kind, event, self.layout.metrics) for event in found]

    @cached_property
    def evaluations(self) -> dict[str, Evaluation]:
        names = self.layout.evaluated()
        return {name: plain.read(Evaluation, self.layout.evaluation(name)) for name in names}

    @cached_property
    def calibration(self) -> tuple[Calibration | None, str]:
        found, reason = self.untyped.calibration
        return (None if found is None else plain.from_plain(Calibration, vars(found), self.layout.calibration)), reason

    def predictions(self, split: str) -> list[dict[str, str]]:
        return self.untyped.predictions(split)

    def probabilities(self, split: str) -> Probabilities:
        return self.untyped.probabilities(split)
