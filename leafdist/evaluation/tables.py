"""The answers of an evaluation as tables, a row a photo, in path order."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from leafdist.evaluation.metrics import Predictions
from leafdist.system import files


def write_predictions(path: Path, names: Sequence[str], classes: Sequence[str], predictions: Predictions) -> None:
    """`path,label,predicted,confidence`; predicted is empty where the photo was unreadable."""
    rows = (
        [
            names[row],
            classes[predictions.labels[row]],
            classes[predictions.predicted[row]] if predictions.predicted[row] >= 0 else "",
            f"{predictions.confidence[row]:.6f}",
        ]
        for row in path_order(names)
    )
    _write(path, ["path", "label", "predicted", "confidence"], rows)


def write_probabilities(path: Path, names: Sequence[str], classes: Sequence[str], predictions: Predictions) -> None:
    """`path,label,<class>,...`: the uncalibrated probability of every class; empty where unreadable."""
    assert predictions.logits is not None
    shares = softmax(predictions.logits, axis=1)
    rows = (
        [names[row], classes[predictions.labels[row]], *("" if np.isnan(p) else f"{p:.9g}" for p in shares[row])]
        for row in path_order(names)
    )
    _write(path, ["path", "label", *classes], rows)


def path_order(names: Sequence[str]) -> list[int]:
    """Places of the names, class by class: photos that were set aside come last in an evaluation."""
    return sorted(range(len(names)), key=lambda place: names[place].split("/"))


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with files.atomic_path(path) as temporary, temporary.open("w", newline="", **files.TEXT) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
