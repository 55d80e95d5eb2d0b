"""What a report tells of a run, read once from its folder."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.config.extra_roots import extra_roots
from leafdist.config.networks import network
from leafdist.data.folds import split_folder
from leafdist.data.split_report import SplitReport
from leafdist.evaluation.scores import is_healthy
from leafdist.prepare.audit.finding import Finding
from leafdist.report import bounds
from leafdist.runs.advice import still_improving
from leafdist.runs.evaluations import read_outside
from leafdist.runs.layout import FOUR_VIEWS, RunLayout, split_of
from leafdist.runs.record import RunRecord
from leafdist.runs.results import CalibrationScores, ClassScores, Evaluation, Interval, RefusalScores
from leafdist.system import files, plain

SPLITS = ("test", "val", "train")  # the first that is evaluated is shown


@dataclass(frozen=True)
class Audit:
    """audit.json: what was found in the data, and what an accuracy on it can mean; root: as the audit was given it."""

    verdict: list[str]
    findings: list[Finding]
    root: str = ""


@dataclass(frozen=True)
class PhotoSetAside:
    """A photo that could not be read, so that training went on without it."""

    split: str
    path: str
    reason: str


@dataclass(frozen=True)
class Answers:
    """A row per photo: labels, predicted (-1: unreadable) (n,); confidence (n,); probabilities (n,C), where kept."""

    paths: list[str]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether a photo was read and given a wrong class (n,)."""
        return np.asarray((self.predicted != self.labels) & (self.predicted >= 0))

    def rows_of(self, label: int, predicted: int) -> list[int]:
        """Rows of the photos of one label with one answer, the surest first."""
        rows = np.flatnonzero((self.labels == label) & (self.predicted == predicted))
        return [int(row) for row in rows[np.argsort(-self.confidence[rows], kind="stable")]]

    def probability_of_label(self, row: int) -> float | None:
        """The probability that the model gave to what is right."""
        return None if self.probabilities is None else float(self.probabilities[row, self.labels[row]])


class Contents:
    """All that a report says of the run in `path`, evaluated there or in `results`, by default on test.

    Raises ValueError for no run.
    """

    def __init__(self, path: Path, results: Path | None = None, split: str = "") -> None:
        self.path = path
        self.layout = RunLayout(path)
        self.record = RunRecord.open(path, results)
        self.network = network(self.record.config.model.name)
        self.meta = self.record.meta
        evaluations = self.record.evaluations
        current = (None, self.meta.sha256) if self.meta else None
        others = [found for found in evaluations.values() if found.elsewhere]
        self.elsewhere = [found for found in others if not current or found.checkpoint in current]
        other = sorted(evaluations, key=lambda name: bool(evaluations[name].elsewhere))
        self.split = next((name for name in (split, *SPLITS, *other) if name in evaluations), "test")
        self.evaluation: Evaluation | None = evaluations.get(self.split)
        paths = [str(Path(root.path).resolve()) for root in extra_roots(self.record.config.data)]
        shown = (split_of(self.split), self.split.endswith(FOUR_VIEWS))
        self.on_roots = [one for one in self.elsewhere if one.root in paths and (split_of(one.split), one.tta) == shown]

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of their labels."""
        return list((self.evaluation and self.evaluation.classes) or self.record.facts.classes)

    @property
    def root(self) -> Path:
        """The folder of the split folders at the evaluation, or else at the training."""
        return Path((self.evaluation and self.evaluation.root) or split_folder(self.record.config.data))

    @property
    def folder(self) -> Path:
        """The folder of the photos that were evaluated: class/file."""
        return Path((self.evaluation and self.evaluation.elsewhere) or self.root / split_of(self.split))

    def photos(self, split: str) -> int:
        """The number of photos in a split; 0 where it is not known."""
        if "@" not in split and (evaluation := self.record.evaluations.get(split)):  # others may be called `val@root`
            return evaluation.images
        aside = sum(one.split == split for one in self.set_aside) if split.startswith("val") else 0  # counted as wrong
        return self.record.facts.data[split].photos + aside if split in self.record.facts.data else 0

    @cached_property
    def steps_per_epoch(self) -> float:
        """Optimizer steps per epoch; those that were logged before the first epoch ended."""
        first = next((event.step for event in self.record.epochs if event.epoch == 0), None)
        return float(first or (self.record.steps[-1].step if self.record.steps else 1))

    @property
    def restarted_at(self) -> list[float]:
        """The epochs at which the run was started again, with fractions."""
        return [start.step / self.steps_per_epoch for start in self.record.facts.starts[1:]]

    @cached_property
    def temperature(self) -> float | None:
        """None where the run is not calibrated, or was so for another checkpoint."""
        found, shown = self.record.calibration[0], self.evaluation.checkpoint if self.evaluation else None
        return found.temperature if found and shown in (None, found.checkpoint) else None

    @cached_property
    def refusal(self) -> RefusalScores | None:
        """What refusing is worth, where photos of no class were judged with this evaluation."""
        found = self.evaluation
        scores = read_outside(self.record.results.path, found.split, found.checkpoint) if found else None
        calibration = self.record.calibration[0]
        fitted = scores and calibration and calibration.refusal == scores.refusal
        return scores if scores and found and fitted and scores.data in (None, found.data) else None

    def recall_interval(self, scores: ClassScores) -> Interval:
        """The 95 % interval of the recall of one class."""
        return bounds.accuracy_interval(scores.recall, scores.images)

    @property
    def val_interval(self) -> Interval:
        """The 95 % interval of the best validation accuracy."""
        assert self.meta
        return bounds.accuracy_interval(self.meta.val_accuracy, self.photos("val"))

    @property
    def val_roots(self) -> list[tuple[str, float, Interval]]:
        """The accuracy of the best epoch on val of each root of `data.extra`, with its 95 % interval."""
        events = [event for event in self.record.epochs if self.meta and event.epoch == self.meta.epoch]
        found = {name: one.accuracy for name, one in (events[-1].roots or {}).items()} if events else {}
        photos = {name: one.photos for name, one in self.record.facts.data.items()}  # not of what evaluate.py judged
        return [(name, one, bounds.accuracy_interval(one, photos.get(f"val@{name}", 0))) for name, one in found.items()]

    @property
    def healthy_photos(self) -> int:
        """How many photos of the evaluation are of healthy classes."""
        assert self.evaluation
        return sum(scores.images for name, scores in self.evaluation.classes.items() if is_healthy(name))

    @property
    def calibration(self) -> CalibrationScores | None:
        """Scores of the confidences; None in an evaluation of an old release."""
        return self.evaluation.calibration if self.evaluation else None

    @property
    def calibrated(self) -> bool:
        """Whether the evaluation knew the temperature too."""
        found = self.calibration
        return self.temperature is not None and found is not None and found.ece_calibrated is not None

    @cached_property
    def answers(self) -> Answers | None:
        """The answer on each photo, calibrated where that is possible; None without the table of predictions."""
        if not self.evaluation or not self.record.results.predictions(self.split).is_file():
            return None
        rows = self.record.predictions(self.split)
        index = {name: number for number, name in enumerate(self.classes)}
        predicted = np.array([index.get(row["predicted"], -1) for row in rows])
        confidence = np.array([float(row["confidence"] or 0) for row in rows])
        values = None
        if self.record.results.probabilities(self.split).is_file():
            values = self.record.probabilities(self.split).at(self.temperature or 1.0)
            confidence = np.where(predicted >= 0, np.nan_to_num(values[np.arange(len(rows)), predicted]), 0.0)
        labels = np.array([index[row["label"]] for row in rows])
        return Answers([row["path"] for row in rows], labels, predicted, confidence, values)

    @property
    def training_photos(self) -> dict[str, int]:
        """Training photos per class, where split.json is of what was evaluated and trained on."""
        if not self.evaluation or self.evaluation.elsewhere or self.record.config.data.extra:
            return {}
        report = SplitReport.read(self.root)
        digest = report.digests.get(split_of(self.split)) if report else None
        if not report or not digest or digest != self.evaluation.split_digest:
            return {}
        return {name: counts["train"] for name, counts in report.classes.items()}

    @cached_property
    def audit(self) -> Audit | None:
        """The audit that lies in the run, in the data's folder, or beside that folder if it is of that folder."""
        for path in (self.layout.audit, self.root / "audit.json"):
            if path.is_file():
                return plain.read(Audit, path)
        beside = self.root.absolute().parent / "audit.json"
        content = files.read_json(beside) if beside.is_file() else None
        if not isinstance(content, dict) or not {"root", "verdict", "findings"} <= content.keys():
            return None  # another program's
        audit = plain.from_plain(Audit, content, beside)
        audited = Path(audit.root).parts
        return audit if audited == self.root.absolute().parts[-len(audited) :] else None

    @property
    def advice(self) -> list[str]:
        """What the figures suggest to do next."""
        rose = still_improving(self.record) if self.record.state == "finished" else None
        return [rose] if rose else []

    @cached_property
    def set_aside(self) -> list[PhotoSetAside]:
        """Photos that training went on without."""
        path = self.layout.set_aside
        rows = files.read_json(path) if path.is_file() else []
        return [plain.from_plain(PhotoSetAside, row, path) for row in rows]
