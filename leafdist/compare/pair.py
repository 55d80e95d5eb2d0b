"""One run against another: how much better, how surely, in which classes, on which photos."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from leafdist.compare.answers import Answers
from leafdist.compare.significance import BEYOND_CHANCE, Ints, holm, mcnemar, mean_interval, sign_flips
from leafdist.runs.photo_tables import table_file
from leafdist.runs.results import Interval


@dataclass(frozen=True)
class ClassDifference:
    """The photos with one label; accuracies from 0 to 1; p corrected for the number of classes."""

    name: str
    images: int
    first: float
    second: float
    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True, order=True)
class Photo:
    """A photo that one of the two runs gets right; predicted, confidence: of the run that is wrong."""

    path: str
    label: str
    right: str
    wrong: str
    predicted: str
    confidence: float
    right_confidence: float


@dataclass(frozen=True)
class Pair:
    """difference: accuracy of the second less that of the first, its interval by `unit` (photo or leaf).

    p: of McNemar's test, exact, by the same unit. photos: surest mistakes first.
    """

    first: str
    second: str
    difference: float
    interval: Interval
    unit: str
    both: int
    neither: int
    only_first: int
    only_second: int
    p: float
    classes: list[ClassDifference]
    photos: list[Photo]

    @property
    def beyond_chance(self) -> bool:
        """Whether chance alone would rarely make the two differ this much."""
        return self.p < BEYOND_CHANCE

    @property
    def telling(self) -> list[ClassDifference]:
        """Classes that differ beyond chance, largest difference first."""
        found = [one for one in self.classes if one.p < BEYOND_CHANCE]
        return sorted(found, key=lambda one: -abs(one.second - one.first))


def compare_two(names: Sequence[str], answers: Sequence[Answers], leaves: Ints | None) -> Pair:
    """Compare two runs on the same photos; leaves: a number for each of these."""
    first, second = (one.hits for one in answers)
    gains = second.astype(np.int64) - first
    return Pair(
        first=names[0],
        second=names[1],
        difference=float(gains.mean()),
        interval=mean_interval(gains, np.arange(len(gains)) if leaves is None else leaves),
        unit="photo" if leaves is None else "leaf",
        both=int((first & second).sum()),
        neither=int((~first & ~second).sum()),
        only_first=int((gains < 0).sum()),
        only_second=int((gains > 0).sum()),
        p=chance(gains, leaves),
        classes=class_differences(answers, leaves),
        photos=photos_of(names, answers, gains),
    )


def chance(gains: Ints, leaves: Ints | None) -> float:
    """p by photo or by leaf; gains: 1 where only the second is right, -1 where only the first is."""
    if leaves is None:
        return mcnemar(int((gains < 0).sum()), int((gains > 0).sum()))
    return sign_flips(np.bincount(leaves, weights=gains).astype(np.int64))


def class_differences(answers: Sequence[Answers], leaves: Ints | None) -> list[ClassDifference]:
    """Compare class by class, with chances corrected for their number (Holm 1979)."""
    first, second = (one.hits for one in answers)
    gains = second.astype(np.int64) - first
    labels = np.array(answers[0].labels)
    names = np.unique(labels)
    masks = [labels == name for name in names]
    chances = holm([chance(gains[mask], None if leaves is None else leaves[mask]) for mask in masks])
    return [
        ClassDifference(
            name=str(name),
            images=int(mask.sum()),
            first=float(first[mask].mean()),
            second=float(second[mask].mean()),
            only_first=int((gains[mask] < 0).sum()),
            only_second=int((gains[mask] > 0).sum()),
            p=p,
        )
        for name, mask, p in zip(names, masks, chances, strict=True)
    ]


def photos_of(names: Sequence[str], answers: Sequence[Answers], gains: Ints) -> list[Photo]:
    """List the photos that one of the two gets right alone; gains: 1 where the second does, -1 where the first does."""
    found = []
    for row in np.flatnonzero(gains):
        right = int(gains[row] > 0)
        good, bad = answers[right], answers[1 - right]
        sure = float(bad.confidence[row]), float(good.confidence[row])
        about = good.paths[row], good.labels[row], names[right], names[1 - right], bad.predicted[row]
        found.append(Photo(*about, *sure))
    return sorted(found, key=lambda photo: -photo.confidence)


def write_photos(path: Path, pairs: Iterable[Pair]) -> None:
    """Write a CSV of every photo that one of a pair gets right and the other wrong, with the fields of Photo."""
    with table_file(path) as write:
        write(field.name for field in fields(Photo))
        for pair in pairs:
            for photo in sorted(pair.photos):
                write(astuple(photo))
