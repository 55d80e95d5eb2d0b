"""Which epoch is best, by the figure that `train.select` names, and when no better one is waited for."""

import math

from leafdist.config.schema import TrainConfig
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.scores import by_class, mean_of_classes
from leafdist.runs.events import EpochEvent
from leafdist.runs.facts import CheckpointMeta
from leafdist.system.console import counted

Judged = EpochEvent | CheckpointMeta  # both have an epoch's figures on val
SCORES = ("macro_f1", "balanced_accuracy")  # means over the classes, of their F1 and of their recall


def score_of(select: str, predictions: Predictions, classes: tuple[str, ...]) -> float | None:
    """Return the figure that `select` names, as in an evaluation; None for accuracy and loss, which each epoch has."""
    if select not in SCORES:
        return None
    macro = mean_of_classes(by_class(predictions.labels, predictions.predicted, classes))
    return macro.f1 if select == "macro_f1" else macro.recall


def rank(select: str, accuracy: float, loss: float, score: float | None) -> tuple[float, float]:
    """Return what is greater for a better epoch: the figure that `select` names, then the lower loss."""
    loss = math.inf if math.isnan(loss) else loss
    if select in SCORES:
        return -1.0 if score is None else score, -loss
    return -loss if select == "loss" else accuracy, -loss


def no_better(train: TrainConfig, epochs: int, best_epoch: int) -> str | None:
    """Say why training stops after `epochs` epochs, `best_epoch` (from 0) being the best; None while it goes on.

    Epochs of the head alone do not count: they are no reason to leave all other layers untrained.
    """
    since = epochs - 1 - max(best_epoch, train.head_epochs - 1)
    if train.patience == 0 or since < train.patience:
        return None
    return f"stopped after epoch {epochs}: no better one for {counted(since, 'epoch')}"
