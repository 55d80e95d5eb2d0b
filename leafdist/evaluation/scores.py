"""What answers are worth: over all photos, by class, by crop, by health."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leafdist.evaluation import calibration
from leafdist.evaluation.intervals import wilson
from leafdist.evaluation.predictions import UNREADABLE, Predictions
from leafdist.runs.results import Calibration, ClassScores, ConfusedPair, CropScores, Evaluation, HealthScores

Labels = NDArray[np.int64]
SHOWN = 20  # confused pairs


class Macro(NamedTuple):
    """Means over classes, each counting the same."""

    precision: float
    recall: float
    f1: float


def summarize(predictions: Predictions, split: str, classes: tuple[str, ...], fitted: Calibration | None) -> Evaluation:
    """Every score of the answers, and their calibration; the logits must have been kept."""
    labels, predicted, logits = predictions.labels, predictions.predicted, predictions.kept_logits
    correct = int(predictions.hits.sum())
    matrix = confusion_matrix(labels, predicted, len(classes))
    each = by_class(labels, predicted, classes)
    macro = mean_of_classes(each)
    return Evaluation(
        split=split,
        images=len(labels),
        unreadable=int((predicted == UNREADABLE).sum()),
        correct=correct,
        accuracy=predictions.accuracy,
        interval=wilson(correct, len(labels)),
        macro_precision=macro.precision,
        macro_recall=macro.recall,
        macro_f1=macro.f1,
        balanced_accuracy=macro.recall,
        top3_accuracy=top(labels, logits, 3),
        loss=predictions.mean_loss,
        classes=each,
        confusion=matrix.tolist(),
        confused=confused(matrix, classes),
        crops=by_crop(labels, predicted, classes),
        healthy=health(labels, predicted, classes),
        calibration=calibration.score(logits, labels, fitted),
    )


def confusion_matrix(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """Count answers (C,C): rows are labels, columns answers; unreadable photos are in no column."""
    from sklearn import metrics  # noqa: PLC0415 - a training and a report start without it

    matrix = metrics.confusion_matrix(labels, predicted, labels=range(classes))  # leaves out UNREADABLE
    return np.asarray(matrix, np.int64)


def by_class(labels: Labels, predicted: Labels, classes: tuple[str, ...]) -> dict[str, ClassScores]:
    """Scores of each class; 0 where there is nothing to divide by."""
    from sklearn import metrics  # noqa: PLC0415

    scored = metrics.precision_recall_fscore_support(labels, predicted, labels=range(len(classes)), zero_division=0)
    precision, recall, f1, _ = (column.tolist() for column in scored)
    images, correct = (np.bincount(of, minlength=len(classes)).tolist() for of in (labels, labels[labels == predicted]))
    columns = zip(images, correct, recall, precision, recall, f1, strict=True)
    return {name: ClassScores(*row) for name, row in zip(classes, columns, strict=True)}


def mean_of_classes(each: Mapping[str, ClassScores]) -> Macro:
    """Average precision, recall (the balanced accuracy) and F1 over the classes that have photos."""
    present = [row for row in each.values() if row.images]
    sums = (sum(getattr(row, name) for row in present) for name in Macro._fields)
    return Macro(*(total / len(present) for total in sums))


def top(labels: Labels, logits: NDArray[np.float64], answers: int) -> float:
    """Share of photos whose label is among the first `answers` answers; an unreadable photo has none."""
    readable = ~np.isnan(logits[:, 0])  # scikit-learn's refuses NaN, and has another order for ties
    first = np.argsort(-logits[readable], axis=1, kind="stable")[:, :answers]
    return float((first == labels[readable, None]).any(1).sum() / len(labels))


def confused(matrix: NDArray[np.int64], classes: tuple[str, ...]) -> list[ConfusedPair]:
    """The pairs of classes most often confused, most frequent first, at most SHOWN."""
    wrong = matrix * (1 - np.eye(len(matrix), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:SHOWN]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [ConfusedPair(classes[row], classes[at], int(wrong[row, at])) for row, at in pairs if wrong[row, at]]


def by_crop(labels: Labels, predicted: Labels, classes: tuple[str, ...]) -> dict[str, CropScores]:
    """Scores of each crop; none unless all classes are named `Crop___Disease`."""
    if not all("___" in name for name in classes):
        return {}
    crops = np.array([name.partition("___")[0] for name in classes])
    answered = np.where(predicted == UNREADABLE, "", crops[predicted])
    found = {}
    for crop in np.unique(crops[labels]):
        photos = crops[labels] == crop
        images, correct = int(photos.sum()), int((predicted == labels)[photos].sum())
        found[str(crop)] = CropScores(images, correct, correct / images, int((answered[photos] == crop).sum()))
    return found


def is_healthy(name: str) -> bool:
    """Whether a class is named healthy or normal, such as `Crop___healthy`, `Tomato_healthy` or `healthy`."""
    return not {"healthy", "normal"}.isdisjoint(re.split(r"[\W_]+", name.casefold()))


def health(labels: Labels, predicted: Labels, classes: tuple[str, ...]) -> HealthScores | None:
    """Scores of telling healthy from diseased; None unless classes of both kinds exist."""
    healthy = np.array([is_healthy(name) for name in classes])
    if not healthy.any() or healthy.all():
        return None
    answered = predicted != UNREADABLE
    truth, answer = healthy[labels], healthy[predicted]
    correct = int((answered & (truth == answer)).sum())
    return HealthScores(
        images=len(labels),
        correct=correct,
        accuracy=correct / len(labels),
        interval=wilson(correct, len(labels)),
        missed=int((answered & ~truth & answer).sum()),
        false_alarms=int((answered & truth & ~answer).sum()),
    )
