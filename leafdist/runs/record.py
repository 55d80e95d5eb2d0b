"""A run folder as what it tells: for lists, comparisons, reports. Reads only, without torch, also while it trains."""

import csv
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leafdist.config.schema import Config
from leafdist.runs.evaluations import read_calibration
from leafdist.system import files, locks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leafdist.runs.results import Calibration

STATES = ("new", "running", "dead", "interrupted", "failed", "finished")


@dataclass(frozen=True)
class Probabilities:
    """Of each photo of a split; a row of NaN for one that cannot be read."""

    paths: list[str]
    labels: list[str]
    classes: list[str]
    values: "NDArray[np.float64]"

    def at(self, temperature: float) -> "NDArray[np.float64]":
        """Calibrated: the softmax of the logits divided by `temperature`."""
        import numpy as np

        powers = np.power(self.values, 1 / temperature)
        result: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
        return result


class RunRecord:
    """`open` one. What is damaged raises a ValueError that names the file, when it is asked for."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path, self.run = path, run

    @classmethod
    def open(cls, path: Path) -> "RunRecord":
        """Raises ValueError for what is no run."""
        if not (path / "config.yaml").is_file():
            raise ValueError(f"{path} is not a run folder: it has no config.yaml. Name one such as runs/resnet50")
        return cls(path, read_run(path))

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @cached_property
    def state(self) -> str:
        """One of STATES. dead: it says that it runs, but the process that ran it is gone."""
        return state_of(self.path, self.run)

    @property
    def reason(self) -> str | None:
        """Why it failed or was interrupted."""
        return self.run.get("reason")

    @property
    def starts(self) -> list[dict[str, Any]]:
        return list(self.run["starts"])

    @property
    def restarts(self) -> int:
        return max(0, len(self.starts) - 1)

    @cached_property
    def config(self) -> Config:
        from leafdist.runs.folder import read_config  # and with it all that tracks a run

        return read_config(self.path)

    @cached_property
    def meta(self) -> dict[str, Any] | None:
        """Of the best checkpoint, from the checkpoint itself; None before there is one."""
        from safetensors import SafetensorError, safe_open

        path = self.path / "best" / "model.safetensors"
        if not path.exists():
            return None
        try:
            with safe_open(path, "numpy") as file:
                return dict(json.loads((file.metadata() or {})["leafdist"]))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is damaged or not a checkpoint of leafdist: {error}") from error

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Of metrics.jsonl, in order."""
        return files.read_json_lines(self.path / "metrics.jsonl")

    @property
    def epochs(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("event") == "epoch"]

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Those that were logged."""
        return [event for event in self.events if event.get("event") == "step"]

    @property
    def images_per_second(self) -> float | None:
        """The median of training, over all processes; None before a step was logged."""
        return median_rate(self.events)

    @property
    def device_hours(self) -> dict[str, float]:
        """Hours of each kind of device, times processes, in the epochs that ended, their validation included.

        An epoch counts for the start that ended it: the last one that began at an earlier step.
        """
        hours: dict[str, float] = {}
        for epoch in self.epochs:
            starts = [start for start in self.starts if start.get("step", 0) < epoch["step"]]
            if starts:
                kind = str(starts[-1]["device"]).split(":")[0]
                hours[kind] = hours.get(kind, 0.0) + epoch["seconds"] / 3600 * starts[-1]["world_size"]
        return hours

    @property
    def gpu_hours(self) -> float:
        """As `device_hours`; 0 on CPUs."""
        return self.device_hours.get("cuda", 0.0)

    @cached_property
    def evaluations(self) -> dict[str, dict[str, Any]]:
        """What evaluate.py wrote, by split."""
        found = sorted(self.path.glob("eval-*.json"))
        return {path.stem.removeprefix("eval-"): files.read_object(path, accuracy=float, images=int) for path in found}

    @cached_property
    def calibration(self) -> "tuple[Calibration | None, str]":
        """Of the best checkpoint, and an empty text; else None and why there is none."""
        return read_calibration(self.path, self.meta["sha256"] if self.meta else None)

    def predictions(self, split: str) -> list[dict[str, str]]:
        """A dictionary a photo: path, label, predicted (empty: unreadable), confidence. Raises ValueError."""
        header, rows = self._table(f"predictions-{split}.csv", ("path", "label", "predicted", "confidence"))
        return [dict(zip(header, row, strict=True)) for row in rows]

    def probabilities(self, split: str) -> Probabilities:
        """Uncalibrated; see `calibration` and `Probabilities.at`. Raises ValueError."""
        import numpy as np

        header, rows = self._table(name := f"probabilities-{split}.csv", ("path", "label"))
        try:
            values = np.array([[cell or "nan" for cell in row[2:]] for row in rows], np.float64)
        except ValueError as error:
            raise ValueError(f"{self.path / name} is damaged: {error}") from None
        values = values.reshape(len(rows), len(header) - 2)
        return Probabilities([row[0] for row in rows], [row[1] for row in rows], header[2:], values)

    def _table(self, name: str, first: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        path = self.path / name
        if not path.is_file():
            raise ValueError(f"{path} is missing: run python evaluate.py {self.path} --split {path.stem.split('-')[1]}")
        with path.open(newline="", **files.TEXT) as file:
            header, *rows = list(csv.reader(file)) or [[]]
        if header[: len(first)] != list(first) or any(len(row) != len(header) for row in rows):
            raise ValueError(f"{path} is damaged: it is no table that begins with {','.join(first)}. Evaluate again")
        return header, rows


def read_run(path: Path) -> dict[str, Any]:
    """run.json; a run that is just being made has none yet. Raises ValueError."""
    if not (path / "run.json").exists():
        return {"state": "new", "starts": []}
    return files.read_object(path / "run.json", state=str, starts=list)


def state_of(path: Path, run: dict[str, Any]) -> str:
    """One of STATES."""
    dead = run["state"] == "running" and locks.held(path / ".lock") is False
    return "dead" if dead else str(run["state"])


def median_rate(events: Sequence[dict[str, Any]]) -> float | None:
    """Images a second, over the steps among them."""
    rates = [event["images_per_second"] for event in events if event.get("event") == "step"]
    return statistics.median(rates) if rates else None
