"""All that a report tells of a run, read once, and what is missing for it, with the command that brings it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leafdist.evaluation.intervals import RESAMPLES
from leafdist.runs.record import RunRecord
from leafdist.system import files

SPLITS = ("test", "val", "train")  # the first that is evaluated is shown


class Missing(NamedTuple):
    """command: what brings it."""

    what: str
    command: str


@dataclass(frozen=True)
class Answers:
    """A row a photo: labels, predicted (-1: unreadable) (n,); confidence (n,); probabilities (n,C), where kept."""

    paths: list[str]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return np.asarray((self.predicted != self.labels) & (self.predicted >= 0))

    def of_pair(self, label: int, predicted: int) -> list[int]:
        """Places of those photos, the surest first."""
        places = np.flatnonzero((self.labels == label) & (self.predicted == predicted))
        return [int(place) for place in places[np.argsort(-self.confidence[places], kind="stable")]]

    def of_label(self, place: int) -> float | None:
        """Probability that the model gave to what is right."""
        return None if self.probabilities is None else float(self.probabilities[place, self.labels[place]])


class Facts:
    """All that a report says of a run, read once from its folder. Raises ValueError where it is none."""

    def __init__(self, run: Path) -> None:
        self.path = run
        self.record = RunRecord.open(run)
        self.meta: dict[str, Any] = self.record.meta or {}
        evaluations = self.record.evaluations
        self.elsewhere = {split: found for split, found in evaluations.items() if "elsewhere" in found}
        self.split = next((split for split in (*SPLITS, *self.elsewhere) if split in evaluations), "test")
        self.evaluation: dict[str, Any] | None = evaluations.get(self.split)

    @property
    def classes(self) -> list[str]:
        return list(self.evaluation["classes"] if self.evaluation else self.record.run.get("classes", []))

    @property
    def root(self) -> Path:
        """Where the photos lay when they were evaluated, or trained on."""
        return Path((self.evaluation or {}).get("root") or self.record.config.data.root)

    @property
    def folder(self) -> Path:
        """Of the photos that were evaluated: class/file."""
        return Path((self.evaluation or {}).get("elsewhere") or self.root / self.split)

    def photos(self, split: str) -> int:
        """0 where it is not known."""
        evaluation = self.record.evaluations.get(split)
        known: dict[str, Any] = self.record.run.get("data", {})
        return int(evaluation["images"] if evaluation else known.get(split, {}).get("photos", 0))

    @cached_property
    def steps_per_epoch(self) -> float:
        first = next((row for row in self.record.epochs if row["epoch"] == 0), None)
        last = self.record.steps[-1]["step"] if self.record.steps else 1
        return float(first["step"] if first else last)

    @property
    def restarted_at(self) -> list[float]:
        """In epochs."""
        steps = [start.get("step") for start in self.record.starts[1:]]
        return [step / self.steps_per_epoch for step in steps if step is not None]

    @cached_property
    def temperature(self) -> float | None:
        """None where the run is not calibrated, or was so for another checkpoint."""
        found = self.record.calibration[0]
        return None if found is None else found.temperature

    @property
    def calibrated(self) -> bool:
        """Whether the evaluation knew that temperature too."""
        found = (self.evaluation or {}).get("calibration") or {}
        return self.temperature is not None and "ece_calibrated" in found

    @cached_property
    def answers(self) -> Answers | None:
        """Calibrated where that is possible; None where the table is not there."""
        if not self.evaluation or not (self.path / f"predictions-{self.split}.csv").is_file():
            return None
        rows = self.record.predictions(self.split)
        place = {name: number for number, name in enumerate(self.classes)}
        predicted = np.array([place.get(row["predicted"], -1) for row in rows])
        confidence = np.array([float(row["confidence"] or 0) for row in rows])
        values = self._probabilities()
        if values is not None:
            confidence = np.where(predicted >= 0, np.nan_to_num(values[np.arange(len(rows)), predicted]), 0.0)
        labels = np.array([place[row["label"]] for row in rows])
        return Answers([row["path"] for row in rows], labels, predicted, confidence, values)

    def _probabilities(self) -> NDArray[np.float64] | None:
        if not (self.path / f"probabilities-{self.split}.csv").is_file():
            return None
        return self.record.probabilities(self.split).at(self.temperature or 1.0)

    @cached_property
    def macro_f1_interval(self) -> tuple[float, float] | None:
        """By drawing the photos again, as counts of the confusion matrix: the percentile bootstrap of Efron 1979."""
        result = self.evaluation
        if not result or not result["images"]:
            return None
        cells = np.array(result["confusion"], np.float64)
        photos = np.array([entry["images"] for entry in result["classes"].values()], np.float64)
        cells = np.column_stack([cells, photos - cells.sum(1)])  # unreadable ones are in no column
        share = (cells / cells.sum()).ravel()
        drawn = np.random.default_rng(0).multinomial(int(photos.sum()), share, RESAMPLES).reshape(-1, *cells.shape)
        hits = np.einsum("rii->ri", drawn[:, :, :-1])
        labelled = drawn.sum(2)
        each, present = 2 * hits / np.maximum(labelled + drawn.sum(1)[:, :-1], 1), labelled > 0
        low, high = np.quantile((each * present).sum(1) / present.sum(1), [0.025, 0.975])
        return float(low), float(high)

    @cached_property
    def split_report(self) -> dict[str, Any]:
        """split.json of the data, where it still lies there."""
        path = self.root / "split.json"
        return dict(files.read_json(path)) if path.is_file() else {}

    @property
    def training_photos(self) -> dict[str, int]:
        """Of each class, as split.json has it, if that is what was evaluated."""
        report, result = self.split_report, self.evaluation or {}
        digest = report.get("digests", {}).get(self.split)
        if not digest or digest != result.get("split_digest"):
            return {}
        return {name: counts["train"] for name, counts in report["classes"].items()}

    @cached_property
    def audit(self) -> dict[str, Any] | None:
        places = [folder / "audit.json" for folder in (self.path, self.root)]
        return next((dict(files.read_json(path)) for path in places if path.is_file()), None)

    @cached_property
    def set_aside(self) -> list[dict[str, str]]:
        path = self.path / "set-aside.json"
        return list(files.read_json(path)) if path.is_file() else []

    def missing(self) -> list[Missing]:
        evaluate = f"python evaluate.py {self.path}"
        found = []
        if not self.meta:
            found.append(Missing("A best checkpoint: no epoch has ended yet.", f"cat {self.path}/run.json"))
        elif not self.evaluation:
            found.append(Missing("The evaluation: confusion matrix, classes, confidence, photos.", evaluate))
        elif self.split != "test":
            found.append(Missing(f"The evaluation on test; what stands here is of {self.split}.", evaluate))
        elif self.answers is None:
            found.append(Missing(f"predictions-{self.split}.csv: photos and their probabilities.", evaluate))
        if self.meta and self.evaluation and self.evaluation.get("checkpoint") != self.meta["sha256"]:
            found.append(Missing("The evaluation of this checkpoint: what stands here is of an earlier one.", evaluate))
        if self.evaluation and not self.folder.is_dir():
            command = f"{evaluate} --split {self.split.partition('@')[0]} --data ROOT"
            found.append(Missing(f"The photos: {self.folder.absolute()} is not on this machine.", command))
        if self.evaluation and not self.calibrated:
            found.append(Missing("Calibrated probabilities: the photos of val were not at hand.", evaluate))
        return found
