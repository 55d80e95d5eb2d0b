"""The names of events and results in W&B and TensorBoard."""

from leafdist.runs.events import EpochEvent, Event, StepEvent
from leafdist.runs.facts import RunResult
from leafdist.system.plain import to_plain

# Names that differ from `train/<key>`: an epoch's mean must not share a chart with single steps.
NAMES = {"step": "step", "epoch": "epoch", "val_loss": "val/loss", "val_accuracy": "val/accuracy"}
NAMES |= {"val_score": "val/score", "train_loss": "train/epoch_loss", "train_accuracy": "train/epoch_accuracy"}


def row_of(event: Event) -> dict[str, float]:
    """Return the numbers of a step or an epoch by the names of their charts; nothing of other events."""
    if not isinstance(event, (StepEvent, EpochEvent)):
        return {}
    values = to_plain(event)
    rates = {f"lr/{group}": rate for group, rate in (values.pop("rates", None) or {}).items()}
    roots = {
        f"val/{root}/{key}": value
        for root, figures in (values.pop("roots", None) or {}).items()
        for key, value in figures.items()
    }
    named = {NAMES.get(key, f"train/{key}"): value for key, value in (values | rates).items()} | roots
    return {name: value for name, value in named.items() if value is not None}


def summary_of(result: RunResult | None) -> dict[str, float]:
    """Return the figures of a result, `best_epoch` as `best/epoch`."""
    values = to_plain(result) if result else {}
    return {key.replace("best_", "best/", 1): value for key, value in values.items() if value is not None}
