"""A run folder for lists, comparisons and reports: read only, without torch, also while the run trains."""

import statistics
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from leafdist.config.schema import Config
from leafdist.runs.evaluations import read_calibration, read_evaluation
from leafdist.runs.events import EpochEvent, Event, StepEvent
from leafdist.runs.facts import CheckpointMeta, RunFacts, read_facts
from leafdist.runs.header import read_meta
from leafdist.runs.layout import BY_LEAF, RunLayout
from leafdist.runs.metrics_log import read_events
from leafdist.runs.photo_tables import Probabilities, read_predictions, read_probabilities
from leafdist.runs.results import Calibration, Evaluation
from leafdist.runs.saved_config import config_path, read_config
from leafdist.system import locks


class RunRecord:
    """A run folder, each file read when it is first asked for; a damaged one raises a ValueError that names it."""

    def __init__(self, path: Path, facts: RunFacts, results: Path) -> None:
        self.path, self.facts, self.layout, self.results = path, facts, RunLayout(path), RunLayout(results)

    @classmethod
    def open(cls, path: Path | str, results: Path | None = None) -> "RunRecord":
        """Open a run folder, whose evaluations are in `results` if given. Raises ValueError if it is not one."""
        config_path(path := Path(path))
        return cls(path, read_facts(path), results or path)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.resolve().name

    @cached_property
    def state(self) -> str:
        """The state in run.json, or "dead": it says running, but the process is gone."""
        return state_of(self.path, self.facts)

    @property
    def restarts(self) -> int:
        """How often the run was started again."""
        return max(0, len(self.facts.starts) - 1)

    @cached_property
    def config(self) -> Config:
        """The resolved configuration."""
        return read_config(self.path)

    @cached_property
    def meta(self) -> CheckpointMeta | None:
        """The header of the best checkpoint; None before there is one."""
        return read_meta(self.path)

    @cached_property
    def events(self) -> list[Event]:
        """The events of metrics.jsonl, in order."""
        return read_events(self.layout.metrics)

    @property
    def epochs(self) -> list[EpochEvent]:
        """The epochs that ended."""
        return [event for event in self.events if isinstance(event, EpochEvent)]

    @property
    def steps(self) -> list[StepEvent]:
        """The steps that were logged."""
        return [event for event in self.events if isinstance(event, StepEvent)]

    @property
    def images_per_second(self) -> float | None:
        """The median rate of training over all processes; None before a step was logged."""
        return median_rate(self.events)

    @property
    def device_hours(self) -> dict[str, float]:
        """Hours of the epochs that ended, validation included, times their processes; by kind of device.

        An epoch counts for the start that ended it: the last one that began at an earlier step.
        """
        hours: dict[str, float] = {}
        for epoch in self.epochs:
            starts = [start for start in self.facts.starts if start.step < epoch.step]
            if starts:
                kind = starts[-1].device.split(":")[0]
                hours[kind] = hours.get(kind, 0.0) + epoch.seconds / 3600 * starts[-1].world_size
        return hours

    @property
    def gpu_hours(self) -> float:
        """The hours of `device_hours` on GPUs; 0 on CPUs."""
        return self.device_hours.get("cuda", 0.0)

    @cached_property
    def evaluations(self) -> dict[str, Evaluation]:
        """What evaluate.py wrote, by name of the evaluation; with the interval by leaf where leaf ids were given."""
        return {name: self._evaluation(name) for name in self.results.evaluated()}

    def _evaluation(self, name: str) -> Evaluation:
        plain = read_evaluation(self.results.path, name)
        if not self.results.evaluation(name + BY_LEAF).exists():
            return plain
        found = read_evaluation(self.results.path, name + BY_LEAF)
        return found if (found.data, found.checkpoint) == (plain.data, plain.checkpoint) else plain

    def outdated(self, evaluation: Evaluation) -> list[str]:
        """A remark where the answers are not those of the best checkpoint as it is now."""
        best = self.meta.sha256 if self.meta else None
        if evaluation.checkpoint in (None, best):
            return []
        return [f"the answers of {self.path} are of an earlier checkpoint: run evaluate.py again"]

    @cached_property
    def calibration(self) -> tuple[Calibration | None, str]:
        """The calibration of the best checkpoint and "", or None and why there is none."""
        checkpoint = self.meta.sha256 if self.meta else None
        found, reason = read_calibration(self.results.path, checkpoint)
        return (found, reason) if found else read_calibration(self.path, checkpoint)

    def predictions(self, split: str) -> list[dict[str, str]]:
        """Read path, label, predicted (empty: unreadable) and confidence of each photo. Raises ValueError."""
        return read_predictions(self.results.predictions(split))

    def probabilities(self, split: str) -> Probabilities:
        """Read the probabilities of each photo, uncalibrated. Raises ValueError."""
        return read_probabilities(self.results.probabilities(split))


def state_of(run: Path, facts: RunFacts) -> str:
    """Return the state in run.json, or "dead" if it says running and no process holds the lock."""
    dead = facts.state == "running" and locks.held(RunLayout(run).lock) is False
    return "dead" if dead else facts.state


def median_rate(events: Sequence[Event]) -> float | None:
    """Return the median of the images per second of the steps among `events`; None without steps."""
    rates = [event.images_per_second for event in events if isinstance(event, StepEvent)]
    return statistics.median(rates) if rates else None
