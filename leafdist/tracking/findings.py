"""What a `predictions-<split>.csv` shows: confusion, each class, reliability, the most confident mistakes."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leafdist.evaluation import calibration, scores
from leafdist.evaluation.predictions import UNREADABLE
from leafdist.system import files
from leafdist.system.plain import to_plain

MISTAKES = 16


class Answer(NamedTuple):
    """A photo (`class/file`), its class, what it was taken for (empty: it could not be read), and how surely."""

    path: str
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Findings:
    """confusion (C,C): rows are labels, columns answers; per_class and bins as in `eval-<split>.json`."""

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    per_class: dict[str, dict[str, Any]]
    bins: list[dict[str, Any]]
    mistakes: list[Answer]

    @classmethod
    def read(cls, path: Path, classes: Sequence[str]) -> "Findings":
        """Raises OSError, or ValueError where the file is none of predictions over `classes`."""
        answers, names = read_answers(path), tuple(classes)
        place = {name: number for number, name in enumerate(names)} | {"": UNREADABLE}
        try:
            pairs = np.array([(place[answer.label], place[answer.predicted]) for answer in answers])
        except KeyError as unknown:
            raise ValueError(f"{path} names {unknown}, which is no class of the run") from None
        matrix = scores.confusion_matrix(pairs[:, 0], pairs[:, 1], len(names))
        read = [answer for answer in answers if answer.predicted]
        hits = np.array([answer.label == answer.predicted for answer in read])
        _, bins = calibration.binned(np.array([answer.confidence for answer in read]), hits)
        wrong = sorted((a for a in read if a.label != a.predicted), key=lambda answer: -answer.confidence)
        each = to_plain(scores.by_class(pairs[:, 0], pairs[:, 1], names))
        return cls(names, matrix, each, to_plain(bins), wrong[:MISTAKES])


def read_answers(path: Path) -> list[Answer]:
    with path.open(newline="", **files.TEXT) as file:
        return [Answer(r["path"], r["label"], r["predicted"], float(r["confidence"])) for r in csv.DictReader(file)]
