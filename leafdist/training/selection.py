"""Which epoch is best, by the figure that `train.select` names, and when no better one is waited for."""

import math
from collections.abc import Mapping

from leafdist.config.extra_roots import MEAN, WORST
from leafdist.config.schema import TrainConfig
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.scores import by_class, mean_of_classes
from leafdist.runs.events import EpochEvent, RootFigures
from leafdist.runs.facts import CheckpointMeta
from leafdist.system.console import counted

Judged = EpochEvent | CheckpointMeta  # both have an epoch's figures on val
SCORES = ("macro_f1", "balanced_accuracy", WORST, MEAN)  # of classes, their mean F1 and recall; of roots, accuracies
Others = Mapping[str, Predictions]  # on the val of each other root


def score_of(
    select: str, predictions: Predictions, classes: tuple[str, ...], others: Others | None = None
) -> float | None:
    """Return the figure that `select` names, as in an evaluation; None for accuracy and loss, which each epoch has.

    others: what was predicted on the val of the other roots, with `worst_root` and `mean_root`.
    """
    if select not in SCORES:
        return None
    if select in (WORST, MEAN):
        accuracies = [predictions.accuracy, *(found.accuracy for found in (others or {}).values())]
        return min(accuracies) if select == WORST else math.fsum(accuracies) / len(accuracies)
    macro = mean_of_classes(by_class(predictions.labels, predictions.predicted, classes))
    return macro.f1 if select == "macro_f1" else macro.recall


def figures_of(others: Others) -> dict[str, RootFigures] | None:
    """Return what metrics.jsonl says of the other roots; None without any."""
    return {
        name: RootFigures(found.accuracy, found.mean_loss if math.isfinite(found.mean_loss) else None)
        for name, found in others.items()
    } or None


def sort_key(select: str, accuracy: float, loss: float, score: float | None) -> tuple[float, float]:
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
