"""The figures that a reader looks for first, each with its 95 % interval, and what they can mean."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from leafdist.evaluation.intervals import RESAMPLES, wilson
from leafdist.evaluation.scores import is_healthy
from leafdist.pages.words import count, interval, many, number, percent
from leafdist.report.contents import Contents
from leafdist.runs.results import Evaluation, Interval

MANY = 2000  # photos from which on a second digit says something
MEANING = {
    "yes": "Leaves of {split} photos were never seen in training, where their ids are known; they come from the same "
    "source and stand before the same background, so photos from elsewhere may do worse.",
    "by likeness": "Photos that look alike were kept on one side, so {split} leaves are likely new to the model; they "
    "come from the same source, and photos from elsewhere may do worse.",
    "no": "The split did not keep photos of one leaf together, so others of the same leaves were likely trained on: "
    "this tells how well the model knows leaves it has met, and new ones may do worse. A split by leaf tells how much.",
    "unknown": "Whether other photos of the same leaves were trained on is not known: "
    "on new leaves the model may do worse. A split by leaf tells how much.",
}


@dataclass(frozen=True)
class Figure:
    """value: exact, as in the JSON under `key`; text: as people read it; kind: what the interval `range` is by."""

    name: str
    value: float
    text: str
    key: str
    notes: tuple[str, ...]
    range: str | None = None
    kind: str = ""
    hero: bool = False


@dataclass(frozen=True)
class Headline:
    """The top of a report: figures, what the accuracy can mean, and evaluations on photos from elsewhere."""

    figures: list[Figure]
    meaning: str | None
    by_leaf_helps: bool
    elsewhere: list[Evaluation]


def headline(contents: Contents) -> Headline:
    """Collect the figures that a reader wants first."""
    figures, result = [*_best(contents)], contents.evaluation
    if result is None:
        return Headline(figures, None, by_leaf_helps=False, elsewhere=[])
    key = next((key for key in MEANING if result.leaf_disjoint.startswith(key)), "unknown")
    found = [_accuracy(contents.split, result), _macro_f1(result), *_calibration(contents, result), *_healthy(result)]
    meaning = MEANING[key].format(split=contents.split)
    return Headline([*found, *figures], meaning, key in ("no", "unknown"), contents.elsewhere)


def macro_f1_interval(result: Evaluation) -> Interval | None:
    """The 95 % interval, by drawing the photos again as counts of the confusion matrix (bootstrap of Efron 1979)."""
    if not result.images or not result.confusion:
        return None
    cells = np.array(result.confusion, np.float64)
    photos = np.array([scores.images for scores in result.classes.values()], np.float64)
    cells = np.column_stack([cells, photos - cells.sum(1)])  # unreadable ones are in no column
    share = (cells / cells.sum()).ravel()
    drawn = np.random.default_rng(0).multinomial(int(photos.sum()), share, RESAMPLES).reshape(-1, *cells.shape)
    hits = np.einsum("rii->ri", drawn[:, :, :-1])
    labelled = drawn.sum(2)
    each, present = 2 * hits / np.maximum(labelled + drawn.sum(1)[:, :-1], 1), labelled > 0
    low, high = np.quantile((each * present).sum(1) / present.sum(1), [0.025, 0.975])
    return float(low), float(high)


def _accuracy(split: str, result: Evaluation) -> Figure:
    digits = 2 if result.images >= MANY else 1
    bounds = result.interval_by_leaf or result.interval
    note = f"{count(result.correct)} of {many(result.images, 'photo')}"
    note += f"; {result.unreadable} unreadable ones counted as wrong" if result.unreadable else ""
    note += "; mean of four views of a photo (--tta)" if result.tta else ""
    return Figure(
        f"{split.capitalize()} accuracy",
        result.accuracy,
        percent(result.accuracy, digits),
        "accuracy",
        (note,),
        range=interval(bounds, digits) if bounds else None,
        kind=" by leaf" if result.interval_by_leaf else "",
        hero=True,
    )


def _by_photo(result: Evaluation) -> str:
    """Said of an interval that stands beside one by leaf: it is narrower than it should be."""
    return " by photo" if result.interval_by_leaf else ""


def _macro_f1(result: Evaluation) -> Figure:
    bounds = macro_f1_interval(result)
    present = sum(scores.images > 0 for scores in result.classes.values())
    note = f"mean of {many(present, 'class', 'classes')}, each counting the same"
    range_ = f"{number(bounds[0])} – {number(bounds[1])}" if bounds else None
    text = number(result.macro_f1)
    return Figure("Macro F1", result.macro_f1, text, "macro_f1", (note,), range_, _by_photo(result))


def _best(contents: Contents) -> Iterator[Figure]:
    meta, photos = contents.meta, contents.photos("val")
    if meta is None:
        return
    accuracy = meta.val_accuracy
    yield Figure(
        "Best validation accuracy",
        accuracy,
        percent(accuracy),
        "val_accuracy",
        (f"epoch {meta.epoch + 1} of {contents.epochs_done}",),
        range=interval(wilson(round(accuracy * photos), photos)) if photos else None,
        hero=contents.evaluation is None,
    )


def _calibration(contents: Contents, result: Evaluation) -> Iterator[Figure]:
    name, found = "Calibration error", result.calibration
    if found is None:
        return
    if not contents.calibrated or found.ece_calibrated is None:
        yield Figure(name, found.ece, percent(found.ece), "ece", ("not calibrated",))
        return
    single = ", from single views" if result.tta else ""
    notes = (
        "mean gap between confidence and accuracy",
        f"{percent(found.ece)} before it was calibrated on {found.fitted_on}{single}",
    )
    yield Figure(name, found.ece_calibrated, percent(found.ece_calibrated), "ece_calibrated", notes)


def _healthy(result: Evaluation) -> Iterator[Figure]:
    found = result.healthy
    if found is None:
        return
    healthy = sum(scores.images for name, scores in result.classes.items() if is_healthy(name))
    note = (
        f"{count(found.missed)} of {many(found.images - healthy, 'photo')} of diseased leaves called healthy, "
        f"{count(found.false_alarms)} of {count(healthy)} of healthy ones called diseased"
    )
    range_, text = interval(found.interval), percent(found.accuracy)
    yield Figure("Healthy or diseased", found.accuracy, text, "healthy", (note,), range_, _by_photo(result))
