"""What predictions show: the confusion of the classes, and the most confident mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.runs.photo_tables import read_predictions

MISTAKES = 16


@dataclass(frozen=True)
class Mistake:
    """A photo (`class/file`), its class, the class it was taken for, and the confidence (0 to 1)."""

    path: str
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Findings:
    """confusion (C,C): rows are labels, columns answers, by `classes`; unreadable photos are left out."""

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    mistakes: list[Mistake]

    @classmethod
    def read(cls, path: Path, classes: Sequence[str]) -> "Findings":
        """Read a table of predictions. Raises ValueError if it is not one over `classes`."""
        index = {name: number for number, name in enumerate(classes)}
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        mistakes = list[Mistake]()
        for row in read_predictions(path):
            label, predicted = row["label"], row["predicted"]
            if unknown := {label, predicted} - {*index, ""}:
                raise ValueError(f"{path} names {unknown.pop()!r}, which is no class of the run")
            if not predicted:
                continue
            confusion[index[label], index[predicted]] += 1
            if label != predicted:
                mistakes.append(Mistake(row["path"], label, predicted, float(row["confidence"])))
        mistakes.sort(key=lambda mistake: -mistake.confidence)
        return cls(tuple(classes), confusion, mistakes[:MISTAKES])
