"""The answers of several runs together: folds, which share no photo, or seeds, which share them all."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from leafdist.compare.answers import Answers
from leafdist.data.groups import leaves_of_paths
from leafdist.evaluation.intervals import by_leaf, macro_by_group, numbered, wilson
from leafdist.evaluation.predictions import UNREADABLE
from leafdist.evaluation.scores import by_class, mean_of_classes
from leafdist.runs.results import ClassScores, Interval
from leafdist.system.console import command, counted


@dataclass(frozen=True)
class Intervals:
    """95 % intervals: bootstraps of whole photos or leaves; of the accuracy Wilson's where each photo counts once."""

    accuracy: Interval
    macro_f1: Interval
    balanced_accuracy: Interval


@dataclass(frozen=True)
class Pooled:
    """All answers as one evaluation; a class's `images` are answers here.

    photos: how many different ones were answered, least to most times each; leaves, by_leaf: with leaf ids alone.
    """

    answers: int
    photos: int
    least: int
    most: int
    correct: int
    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    classes: dict[str, ClassScores]
    by_photo: Intervals
    leaves: int | None = None
    by_leaf: Intervals | None = None

    @property
    def case(self) -> str:
        """What the runs have in common, and what that means for the interval."""
        photos = counted(self.photos, "photo")
        if self.most == 1:
            return f"no photo in common: each of {photos} is answered once, by one run (accuracy: Wilson's interval)"
        times = f"{self.most}" if self.least == self.most else f"{self.least} to {self.most}"
        return (
            f"photos in common: each of {photos} is answered {times} times, and counts once in an interval "
            "(bootstrap of whole photos)"
        )


def pool(several: Sequence[Answers], groups: Path | None = None) -> Pooled:
    """Pool the answers of runs of the same classes; by leaf too where leaf ids are given. Raises ValueError."""
    classes = check_classes(several)
    check_photos(several)
    numbers = {name: label for label, name in enumerate(classes)} | {"": UNREADABLE}
    paths = [path for one in several for path in one.paths]
    labels, predicted = (
        np.array([numbers[name] for name in names], np.int64)
        for names in (
            [name for one in several for name in one.labels],
            [name for one in several for name in one.predicted],
        )
    )
    hits, times = labels == predicted, Counter(paths)
    each = by_class(labels, predicted, classes)
    macro, correct = mean_of_classes(each), int(hits.sum())
    leaves = leaves_of_paths(paths, groups) if groups else None

    def bounds(of: Sequence[object]) -> Intervals:
        group = numbered(of)
        return Intervals(by_leaf(hits, group), *macro_by_group(labels, predicted, len(classes), group))

    by_photo = bounds(paths)
    return Pooled(
        answers=len(paths),
        photos=len(times),
        least=min(times.values()),
        most=(most := max(times.values())),
        correct=correct,
        accuracy=float(hits.mean()),
        macro_f1=macro.f1,
        balanced_accuracy=macro.recall,
        classes=each,
        by_photo=replace(by_photo, accuracy=wilson(correct, len(paths))) if most == 1 else by_photo,
        leaves=len(set(leaves)) if leaves else None,
        by_leaf=bounds(leaves) if leaves else None,
    )


def check_classes(several: Sequence[Answers]) -> tuple[str, ...]:
    """Return the classes. Raises ValueError where runs have others, or answers and scores of a run contradict."""
    first = several[0]
    classes = tuple(first.evaluation.classes)
    for one in several:
        own = set(one.evaluation.classes)
        if differs := sorted(own.symmetric_difference(classes)):
            lacks = one.run.path if differs[0] in classes else first.run.path
            raise ValueError(
                f"{first.run.path} and {one.run.path} have other classes ({lacks} lacks {differs[0]}; {len(differs)} "
                "differ): their answers cannot be put together. Name runs of the same classes"
            )
        found = len(one.paths), int(one.hits.sum())
        known = own.issuperset(one.labels) and (own | {""}).issuperset(one.predicted)
        if not known or found != (one.evaluation.images, one.evaluation.correct):
            split = one.evaluation.split
            raise ValueError(
                f"{one.run.path}: predictions-{split}.csv and eval-{split}.json contradict each other. Run "
                f"{command('python', 'evaluate.py', one.run.path)} again"
            )
    return classes


def check_photos(several: Sequence[Answers]) -> None:
    """Raises ValueError where it is unclear whether photos are the same.

    Two runs have all photos in common, with the same digest of names and sizes and the same labels; or none.
    """
    firsts: dict[str | None, Answers] = {}
    owners: dict[str, Answers] = {}
    for one in several:
        first = firsts.setdefault(one.evaluation.data, one)
        if first is not one:
            if (first.paths, first.labels) != (one.paths, one.labels):
                raise contradiction(first, one, "names or labels differ under one digest")
            continue
        common = [path for path in one.paths if path in owners]
        if common:
            text = f"{counted(len(common), 'photo')} of one name, such as {common[0]}, under two digests"
            raise contradiction(owners[common[0]], one, text)
        owners |= dict.fromkeys(one.paths, one)


def contradiction(first: Answers, other: Answers, fault: str) -> ValueError:
    """Return the error of two runs whose photos cannot be told apart, or together."""
    way = command("python", "evaluate.py", first.run.path, other.run.path)
    return ValueError(
        f"{first.run.path} and {other.run.path}: {fault}. Runs of a summary have all photos in common or none, as "
        f"seeds and folds of one split have: name such runs, or run {way} --data ROOT, of photos that "
        "neither was split from, and summarise that with --split test@FOLDER, FOLDER being the last part of ROOT"
    )
