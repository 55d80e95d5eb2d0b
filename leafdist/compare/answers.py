"""What runs said of the photos of a split; comparable where these are the same photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.runs.layout import command_for, split_of
from leafdist.runs.record import RunRecord
from leafdist.runs.results import Evaluation
from leafdist.system.console import command, counted


@dataclass(frozen=True)
class Answers:
    """The answers in path order; predicted is empty where the photo is unreadable, which is wrong."""

    run: RunRecord
    evaluation: Evaluation
    paths: list[str]
    labels: list[str]
    predicted: list[str]
    confidence: NDArray[np.float64]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Whether each answer is right (n,)."""
        return np.array([answer == label for answer, label in zip(self.predicted, self.labels, strict=True)])


def read_all(runs: Sequence[Path], split: str) -> list[Answers]:
    """Read the answers of several runs on the same photos. Raises ValueError where some have none."""
    if len(runs) < 2:
        raise ValueError(f"only {runs[0]} given: a comparison needs two runs or more, such as {runs[0]} runs/resnet50")
    folders = [run.resolve() for run in runs]
    if twice := {run for run, folder in zip(runs, folders, strict=True) if folders.count(folder) > 1}:
        raise ValueError(f"{min(twice)} is given twice: name each run once")
    like = _common(runs, split)
    several = [read(run, split, like) for run in runs]
    for other in several[1:]:
        check_same_photos(several[0], other, split)
    return several


def _common(runs: Sequence[Path], split: str) -> Evaluation | None:
    """The first evaluation of that name that is of photos on which all runs were evaluated, or else the first."""
    known = [RunRecord.open(run).evaluations for run in runs]
    named = [found[split] for found in known if split in found]
    everywhere = set.intersection(*({(one.data, one.tta) for one in found.values()} for found in known))
    return next((one for one in named if one.data and (one.data, one.tta) in everywhere), named[0] if named else None)


def read(path: Path, split: str, like: Evaluation | None = None) -> Answers:
    """Read a run's answers on a split, or on the photos of `like`, judged alike, whatever that evaluation is called.

    One run's own split can be `<split>@<folder>` in another run. Raises ValueError if there are no answers, or if an
    old release wrote them.
    """
    run = RunRecord.open(path)
    if like and like.data:
        same = [name for name, found in run.evaluations.items() if (found.data, found.tta) == (like.data, like.tta)]
        split = split if split in same or not same else same[0]
    if split not in run.evaluations:
        known = ", ".join(run.evaluations) or "nothing"
        way = command_for(split, path)
        raise ValueError(f"{path} has no eval-{split}.json; evaluated so far: {known}; run {way}")
    evaluation = run.evaluations[split]
    if missing := [name for name in ("data", "interval") if getattr(evaluation, name) is None]:
        fault = f"{path}/eval-{split}.json has no {missing[0]}: an older leafdist wrote it"
        raise ValueError(f"{fault}. Run {command('python', 'evaluate.py', path)} again")
    rows = run.predictions(split)
    paths, labels, predicted = ([row[name] for row in rows] for name in ("path", "label", "predicted"))
    return Answers(run, evaluation, paths, labels, predicted, np.array([float(row["confidence"]) for row in rows]))


def check_same_photos(first: Answers, other: Answers, split: str) -> None:
    """Raises ValueError where the digests of names and sizes, or the names, differ."""
    digests = first.evaluation.data, other.evaluation.data
    if digests[0] == digests[1] and (first.paths, first.labels) == (other.paths, other.labels):
        return
    short = " and ".join(str(digest)[:8] for digest in digests)
    counts = f"{len(first.paths):,} and {counted(len(other.paths), 'photo')}, digests {short}"
    name = split_of(split)
    way = command("python", "evaluate.py", first.run.path, other.run.path, "--split", name)
    raise ValueError(
        f"{first.run.path} and {other.run.path} were evaluated on different photos ({counts}): a paired comparison "
        f"needs the same. Run {way} --data ROOT, "
        f"then compare them with --split {name}@FOLDER, FOLDER being the last part of ROOT"
    )


def outdated(several: Sequence[Answers]) -> list[str]:
    """A remark for each run whose answers are not those of its best checkpoint as it is now."""
    return [line for one in several for line in one.run.outdated(one.evaluation)]


def names_of(runs: Sequence[RunRecord]) -> list[str]:
    """Names that tell the runs apart: those of their folders, or their paths."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]
