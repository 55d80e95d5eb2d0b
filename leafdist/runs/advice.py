"""What the figures of a run suggest to do next: train longer, look at classes that starve, take smaller batches."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from leafdist.config.changes import extendable
from leafdist.runs.photo_tables import read_predictions
from leafdist.runs.record import RunRecord
from leafdist.system import console

FEW_STEPS, ENOUGH_STEPS, LEAST_BATCH = 4, 8, 4  # optimizer steps an epoch; rows
LEARNS = 300  # steps of a run that are enough, however many an epoch has
GAIN, FALL = 0.005, 0.05  # in the last quarter of the epochs: of val accuracy, and of val loss relative to itself
STARVES, SHOWN = 0.5, 3  # share of the accuracy over all, below which a class starves; how many are named


def advise(run: Path, say: Callable[[str], None]) -> None:
    """Say what to do after a training that has ended; advice that fails is a warning."""
    try:
        for line in advice(RunRecord.open(run)):
            say(line)
    except (ValueError, OSError) as error:
        say(f"warning: no advice on what to do next ({error})")


def advice(run: RunRecord) -> list[str]:
    """Return one sentence for each thing that is worth doing. Raises ValueError if the run is damaged."""
    return [line for line in (still_improving(run), starving(run)) if line]


def still_improving(run: RunRecord) -> str | None:
    """Return what to do where val was best in the last epoch, and clearly better than before its last quarter."""
    epochs, meta = run.epochs, run.meta
    if len(epochs) < 2 or meta is None or meta.epoch != epochs[-1].epoch:
        return None
    last, before = epochs[-1], epochs[: len(epochs) - math.ceil(len(epochs) / 4)]
    gain = last.val_accuracy - max(epoch.val_accuracy for epoch in before)
    fall = 1 - last.val_loss / max(min(epoch.val_loss for epoch in before), 1e-9)
    if gain < GAIN and not fall > FALL:
        return None
    config, longer = run.config, 2 * run.config.train.epochs
    again = f"Train with train.epochs={longer} under another run.name"
    if config.train.max_steps and last.step >= config.train.max_steps:
        again = "Train with a higher train.max_steps under another run.name"
    elif extendable(config):
        again = f"The same command with --train.epochs {longer} continues it"
    return f"val still rose in the last epoch: the network can learn more. {again}"


def starving(run: RunRecord) -> str | None:
    """Return the classes that the best checkpoint finds far less often than the others, on val."""
    answers = read_predictions(run.layout.best_predictions)
    photos = Counter(answer["label"] for answer in answers)
    right = Counter(answer["label"] for answer in answers if answer["label"] == answer["predicted"])
    accuracy = sum(right.values()) / max(1, len(answers))
    share = {label: right[label] / count for label, count in photos.items()}
    found = sorted((label for label in photos if share[label] < STARVES * accuracy), key=lambda label: share[label])
    if not found:
        return None
    named = [f"{label} ({right[label]} of {photos[label]})" for label in found]
    more = [f"{len(found) - SHOWN} more"] if len(found) > SHOWN else []
    shown = ", ".join(named[:SHOWN] + more)
    return f"classes that the network rarely gets right on val: {shown}. More photos of them would help most"


def warn_of_large_batch(batch_size: int, photos: int, steps: int, world: int, say: Callable[[str], None]) -> None:
    """Warn where an epoch has so few steps that little is learned; `steps` are those of the whole run."""
    each = math.ceil(photos / batch_size)
    better = max(LEAST_BATCH, world, 2 ** int(math.log2(max(1, photos / ENOUGH_STEPS))))
    if each < FEW_STEPS and steps < LEARNS and better < batch_size:
        steps_each = console.counted(each, "step")
        say(
            f"warning: train.batch_size={batch_size} makes {steps_each} an epoch of {photos} photos, {steps} in all: "
            f"too few to learn much. Set train.batch_size={better}"
        )
