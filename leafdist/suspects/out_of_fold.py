"""What runs say of the photos of their val splits, which they never trained on: one row a photo."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.data.folds import fold_root
from leafdist.runs.layout import command_for
from leafdist.runs.photo_tables import Probabilities
from leafdist.runs.record import RunRecord
from leafdist.system.console import counted, warn

SPLIT = "val"


@dataclass(frozen=True)
class Pooled:
    """The answers of `runs` runs: path and file of each photo, its label (n,), and the mean of the probabilities (n,C).

    unreadable: answers without probabilities, which are left out.
    """

    classes: list[str]
    paths: list[str]
    files: list[Path]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    runs: int
    unreadable: int

    def headline(self, suspects: int) -> str:
        """Say in one line how much was looked at, and how many labels look wrong."""
        share, bad = f"{suspects:,} labels look wrong ({suspects / max(1, len(self.paths)):.1%})", self.unreadable
        aside = f"; left out: {counted(bad, 'answer')} on photos that cannot be read" * bool(bad)
        return f"{counted(len(self.paths), 'photo')} of {counted(self.runs, 'run')}: {share}{aside}"


@dataclass(frozen=True)
class Source:
    """The folder of the photos of a run, that of the data set or of all its folds, and the photos' digest."""

    folder: Path
    data_set: Path
    digest: str | None

    def is_alike(self, other: "Source") -> bool:
        """Whether a name stands for one photo in both."""
        return self.data_set == other.data_set or (self.digest is not None and self.digest == other.digest)


def pool(runs: Sequence[Path]) -> Pooled:
    """Read the probabilities of each run on its val split.

    Raises ValueError for a run that is not evaluated there, for other classes, for a photo with two labels, and for
    two photos of one name.
    """
    classes: list[str] = []
    labels: dict[str, str] = {}
    sums: dict[str, list[NDArray[np.float64]]] = {}
    sources: dict[str, Source] = {}
    unreadable = 0
    for run in runs:
        table, source = _read(run)
        classes = classes or table.classes
        if table.classes != classes:
            raise ValueError(f"{run} has other classes than {runs[0]}: name runs on the same classes")
        for path, label, values in zip(table.paths, table.labels, table.values, strict=True):
            if np.isnan(values).any():
                unreadable += 1
                continue
            if labels.setdefault(path, label) != label:
                raise ValueError(
                    f"{path} is {labels[path]} in one run and {label} in {run}: name runs of one labels.tsv, or "
                    "evaluate them again"
                )
            if not (first := sources.setdefault(path, source)).is_alike(source):
                raise ValueError(
                    f"{path} lies in {first.folder} and, for {run}, in {source.folder}: two data sets, whose photos of "
                    "one name may differ. Name runs of one data set, or of the folds of one folder"
                )
            sums.setdefault(path, []).append(values)
    if not sums:
        raise ValueError(f"{runs[0]}: no photo of {SPLIT} could be read. Check the photos, and evaluate again")
    number = {name: at for at, name in enumerate(classes)}
    known = np.array([number[labels[path]] for path in sums])
    means = np.array([np.mean(values, axis=0) for values in sums.values()])
    lie = [source.folder / path for path, source in sources.items()]
    return Pooled(classes, list(sums), lie, known, means, len(runs), unreadable)


def _read(run: Path) -> tuple[Probabilities, Source]:
    """The answers of a run and where the photos lie. Raises ValueError naming the command that makes them."""
    record = RunRecord.open(run)
    if SPLIT not in record.evaluations:
        raise ValueError(f"{run} is not evaluated on {SPLIT}: run {command_for(SPLIT, run)}")
    data, found = record.config.data, record.evaluations[SPLIT]
    for line in record.outdated(found):
        warn(line)
    root = Path(found.root or fold_root(Path(data.root), data.fold))
    whole = root.resolve()
    whole = whole.parent if re.fullmatch("fold-[0-9]+", whole.name) else whole
    return record.probabilities(SPLIT), Source(root / SPLIT, whole, found.data)
