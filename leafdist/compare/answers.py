"""What runs said of the photos of a split; comparable where these are the same photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leafdist.runs.record import RunRecord

NEEDED = {"accuracy", "interval", "data"}


@dataclass(frozen=True)
class Answers:
    """In path order. predicted: empty where the photo is unreadable, which is wrong."""

    run: RunRecord
    evaluation: dict[str, Any]
    paths: list[str]
    labels: list[str]
    predicted: list[str]
    confidence: NDArray[np.float64]

    @property
    def hits(self) -> NDArray[np.bool_]:
        return np.array([answer == label for answer, label in zip(self.predicted, self.labels, strict=True)])


def read_all(runs: Sequence[Path], split: str) -> list[Answers]:
    """Raises ValueError where some have nothing to be compared by."""
    if len(runs) < 2:
        raise ValueError(f"only {runs[0]} given: a comparison needs two runs or more, such as {runs[0]} runs/resnet50")
    places = [run.resolve() for run in runs]
    if twice := {run for run, place in zip(runs, places, strict=True) if places.count(place) > 1}:
        raise ValueError(f"{min(twice)} is given twice: name each run once")
    first = read(runs[0], split)
    several = [first, *(read(run, split, first.evaluation["data"]) for run in runs[1:])]
    for other in several[1:]:
        check_same_photos(several[0], other, split)
    return several


def read(path: Path, split: str, data: str | None = None) -> Answers:
    """The answers of an evaluated run on a split, or on the photos of digest `data` by whatever name: what is one run's
    own split is `<split>@<folder>` to another. Raises ValueError where there are none, or of an older form."""
    run = RunRecord.open(path)
    if data and run.evaluations.get(split, {}).get("data") != data:
        split = next((name for name, found in run.evaluations.items() if found.get("data") == data), split)
    if split not in run.evaluations:
        known = ", ".join(run.evaluations) or "nothing yet"
        place, _, root = split.partition("@")
        way = f"run python evaluate.py {path} --split {place}{' --data ROOT' if root else ''}"
        raise ValueError(f"{path} has no eval-{split}.json, {known} is evaluated there: {way}")
    if missing := NEEDED - set(run.evaluations[split]):
        raise ValueError(f"{path}/eval-{split}.json has no {min(missing)}: it is older. Run evaluate.py {path} again")
    rows = run.predictions(split)
    paths, labels, predicted = ([row[name] for row in rows] for name in ("path", "label", "predicted"))
    confidence = np.array([float(row["confidence"]) for row in rows])
    return Answers(run, run.evaluations[split], paths, labels, predicted, confidence)


def check_same_photos(first: Answers, other: Answers, split: str) -> None:
    """Raises ValueError where the digests of names and sizes, or the names, differ."""
    same = first.evaluation.get("data") == other.evaluation.get("data")
    if not same or (first.paths, first.labels) != (other.paths, other.labels):
        counts = f"{len(first.paths)} and {len(other.paths)} photos, digests {_short(first)} and {_short(other)}"
        place = split.partition("@")[0]
        raise ValueError(
            f"{first.run.path} and {other.run.path} were evaluated on different photos ({counts}): a paired comparison "
            f"needs the same. Run python evaluate.py {first.run.path} {other.run.path} --split {place} --data ROOT, "
            f"then compare them with --split {place}@ROOT"
        )


def _short(answers: Answers) -> str:
    return str(answers.evaluation.get("data"))[:8]


def names_of(several: Sequence[Answers]) -> list[str]:
    """Names that tell the runs apart: those of their folders, or their paths."""
    names = [answers.run.name for answers in several]
    return names if len(set(names)) == len(names) else [str(answers.run.path) for answers in several]
