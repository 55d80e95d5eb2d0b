"""The answers of an evaluation as CSV files, one row per photo, in path order."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from leafdist.evaluation.predictions import Predictions
from leafdist.system import files


def write_predictions(path: Path, names: Sequence[str], classes: Sequence[str], predictions: Predictions) -> None:
    """Write `path,label,predicted,confidence`; predicted is empty for an unreadable photo."""
    labels = [classes[label] for label in predictions.labels]
    answers = [classes[answer] if answer >= 0 else "" for answer in predictions.predicted]
    rows = ([names[row], labels[row], answers[row], f"{predictions.confidence[row]:.6f}"] for row in path_order(names))
    _write(path, ["path", "label", "predicted", "confidence"], rows)


def write_probabilities(path: Path, names: Sequence[str], classes: Sequence[str], predictions: Predictions) -> None:
    """Write `path,label,<class>,...`: the uncalibrated probability of every class; empty for an unreadable photo."""
    from scipy.special import softmax  # noqa: PLC0415 - a training starts without it

    shares = softmax(predictions.kept_logits, axis=1)
    rows = (
        [names[row], classes[predictions.labels[row]], *("" if np.isnan(p) else f"{p:.9g}" for p in shares[row])]
        for row in path_order(names)
    )
    _write(path, ["path", "label", *classes], rows)


def path_order(names: Sequence[str]) -> list[int]:
    """Rows in path order: an evaluation has the photos that were set aside last."""
    return sorted(range(len(names)), key=lambda row: names[row].split("/"))


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with files.atomic_path(path) as temporary, temporary.open("w", newline="", **files.TEXT) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
