"""Which epoch is best, by the figure that `train.select` names, and when no better one is waited for."""

import math

from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.scores import by_class, over_classes
from leafdist.runs.events import EpochEvent
from leafdist.runs.facts import CheckpointMeta
from leafdist.system.console import counted

Judged = EpochEvent | CheckpointMeta  # both have an epoch's figures on val
FIGURES = {"macro_f1": "f1", "balanced_accuracy": "recall"}  # means over the classes, of this figure of each


def score_of(select: str, predictions: Predictions, classes: tuple[str, ...]) -> float | None:
    """Return the figure that `select` names, as in an evaluation; None for accuracy and loss, which each epoch has."""
    if select not in FIGURES:
        return None
    return over_classes(by_class(predictions.labels, predictions.predicted, classes), FIGURES[select])


def rank(select: str, accuracy: float, loss: float, score: float | None) -> tuple[float, float]:
    """Return what is greater for a better epoch: the figure that `select` names, then the lower loss."""
    loss = math.inf if math.isnan(loss) else loss
    if select in FIGURES:
        return -1.0 if score is None else score, -loss
    return -loss if select == "loss" else accuracy, -loss


def no_better(patience: int, epochs: int, best_epoch: int) -> str | None:
    """Say why training stops after `epochs` epochs, `best_epoch` (from 0) being the best; None while it goes on."""
    since = epochs - 1 - best_epoch
    if patience == 0 or since < patience:
        return None
    return f"stopped after epoch {epochs}: no better one for {counted(since, 'epoch')}"
