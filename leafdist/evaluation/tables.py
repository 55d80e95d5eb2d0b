"""The answers of an evaluation as CSV files, one row per photo, in path order."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leafdist.evaluation.predictions import Predictions
from leafdist.runs.photo_tables import table_file


def write_predictions(path: Path, names: Sequence[str], classes: Sequence[str], predictions: Predictions) -> None:
    """Write `path,label,predicted,confidence`; predicted is empty for an unreadable photo."""
    labels = [classes[label] for label in predictions.labels]
    answers = [classes[answer] if answer >= 0 else "" for answer in predictions.predicted]
    with table_file(path) as write:
        write(["path", "label", "predicted", "confidence"])
        for row in path_order(names):
            write([names[row], labels[row], answers[row], f"{predictions.confidence[row]:.6f}"])


def write_probabilities(path: Path, names: Sequence[str], classes: Sequence[str], predictions: Predictions) -> None:
    """Write `path,label,<class>,...`: the uncalibrated probability of every class; empty for an unreadable photo."""
    from scipy.special import softmax  # noqa: PLC0415 - a training starts without it

    shares = softmax(predictions.kept_logits, axis=1)
    with table_file(path) as write:
        write(["path", "label", *classes])
        for row in path_order(names):
            cells = ("" if np.isnan(share) else f"{share:.9g}" for share in shares[row])
            write([names[row], classes[predictions.labels[row]], *cells])


def path_order(names: Sequence[str]) -> list[int]:
    """Rows in path order: an evaluation has the photos that were set aside last."""
    return sorted(range(len(names)), key=lambda row: names[row].split("/"))
