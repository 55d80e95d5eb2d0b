"""What predictions are worth, from every side: by class, crop and health; all of it from labels and answers alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leafdist.evaluation.intervals import wilson

Labels = NDArray[np.int64]
UNREADABLE = -1  # in place of an answer: wrong, whatever was asked
SHOWN = 20  # confused pairs


def confusion_matrix(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """(C,C): rows are labels, columns answers; unreadable photos are in no column."""
    matrix = np.zeros((classes, classes), np.int64)
    answered = predicted != UNREADABLE
    np.add.at(matrix, (labels[answered], predicted[answered]), 1)
    return matrix


def by_class(labels: Labels, matrix: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Photos, recall (here: accuracy), precision and F1 of each class; 0 where nothing was to be divided."""
    images = np.bincount(labels, minlength=len(classes))
    correct, answers = np.diag(matrix), matrix.sum(0)
    columns = {
        "images": images,
        "correct": correct,
        "accuracy": correct / np.maximum(images, 1),
        "precision": correct / np.maximum(answers, 1),
        "recall": correct / np.maximum(images, 1),
        "f1": 2 * correct / np.maximum(answers + images, 1),
    }
    return {name: {key: column[row].item() for key, column in columns.items()} for row, name in enumerate(classes)}


def macro(classes: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Means over the classes that have photos, each class counting the same."""
    present = [row for row in classes.values() if row["images"]]
    means = {f"macro_{key}": sum(row[key] for row in present) / len(present) for key in ("precision", "recall", "f1")}
    return means | {"balanced_accuracy": means["macro_recall"]}


def top(labels: Labels, logits: NDArray[np.float64], places: int) -> float:
    """Share of photos whose label is among the `places` first answers; an unreadable photo has none."""
    readable = ~np.isnan(logits[:, 0])
    answers = np.argsort(-logits[readable], axis=1, kind="stable")[:, :places]
    return float((answers == labels[readable, None]).any(1).sum() / len(labels))


def confused(matrix: NDArray[np.int64], classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """The pairs most often taken for another, most first."""
    wrong = matrix * (1 - np.eye(len(matrix), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:SHOWN]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [
        {"label": classes[row], "predicted": classes[column], "images": int(wrong[row, column])}
        for row, column in pairs
        if wrong[row, column]
    ]


def by_crop(labels: Labels, predicted: Labels, classes: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Classes are named `Crop___Disease`. correct: the class is; crop_correct: at least the crop."""
    crops = np.array([name.partition("___")[0] for name in classes])
    answered = np.where(predicted == UNREADABLE, "", crops[predicted])
    found = {}
    for crop in np.unique(crops[labels]):
        photos = crops[labels] == crop
        correct = int((predicted == labels)[photos].sum())
        found[str(crop)] = {
            "images": int(photos.sum()),
            "correct": correct,
            "accuracy": correct / int(photos.sum()),
            "crop_correct": int((answered[photos] == crop).sum()),
        }
    return found


def is_healthy(name: str) -> bool:
    """Of a class named `Crop___healthy`."""
    return name.partition("___")[2].lower() == "healthy"


def health(labels: Labels, predicted: Labels, classes: tuple[str, ...]) -> dict[str, Any] | None:
    """Healthy or not, whatever the crop and the disease; None where no class is named `Crop___healthy`."""
    healthy = np.array([is_healthy(name) for name in classes])
    if not healthy.any() or healthy.all():
        return None
    answered = predicted != UNREADABLE
    truth, answer = healthy[labels], healthy[predicted]
    correct = int((answered & (truth == answer)).sum())
    return {
        "images": len(labels),
        "correct": correct,
        "accuracy": correct / len(labels),
        "interval": wilson(correct, len(labels)),
        "missed": int((answered & ~truth & answer).sum()),
        "false_alarms": int((answered & truth & ~answer).sum()),
    }
