"""One run against another: how much better, how surely, in which classes, on which photos."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leafdist.compare.answers import Answers
from leafdist.compare.significance import BEYOND_CHANCE, Ints, holm, mcnemar, mean_interval, sign_flips
from leafdist.system import files


class ClassDifference(NamedTuple):
    """Of the photos with one label; accuracies from 0 to 1; p corrected for the number of classes."""

    name: str
    images: int
    first: float
    second: float
    only_first: int
    only_second: int
    p: float


class Photo(NamedTuple):
    """That one of the two runs gets right. predicted, confidence: of the run that is wrong."""

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
    interval: tuple[float, float]
    unit: str
    both: int
    neither: int
    only_first: int
    only_second: int
    p: float
    classes: list[ClassDifference]
    photos: list[Photo]

    @property
    def telling(self) -> list[ClassDifference]:
        """Classes that differ beyond chance, largest difference first."""
        found = [one for one in self.classes if one.p < BEYOND_CHANCE]
        return sorted(found, key=lambda one: -abs(one.second - one.first))

    def json(self) -> dict[str, Any]:
        """Plain values; of the photos the number."""
        return asdict(self) | {"classes": [one._asdict() for one in self.classes], "photos": len(self.photos)}


def compare_two(names: Sequence[str], answers: Sequence[Answers], leaves: Ints | None) -> Pair:
    """The two must be of the same photos; leaves: a number for each of these."""
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
    """p, by photo or by leaf. gains: 1 where only the second is right, -1 where only the first is."""
    if leaves is None:
        return mcnemar(int((gains < 0).sum()), int((gains > 0).sum()))
    return sign_flips(np.bincount(leaves, weights=gains).astype(np.int64))


def class_differences(answers: Sequence[Answers], leaves: Ints | None) -> list[ClassDifference]:
    """Class by class, with chances corrected for their number (Holm 1979)."""
    first, second = (one.hits for one in answers)
    gains = second.astype(np.int64) - first
    labels = np.array(answers[0].labels)
    names = np.unique(labels)
    masks = [labels == name for name in names]
    chances = holm([chance(gains[mask], None if leaves is None else leaves[mask]) for mask in masks])
    return [
        ClassDifference(
            str(name),
            int(mask.sum()),
            float(first[mask].mean()),
            float(second[mask].mean()),
            int((gains[mask] < 0).sum()),
            int((gains[mask] > 0).sum()),
            p,
        )
        for name, mask, p in zip(names, masks, chances, strict=True)
    ]


def photos_of(names: Sequence[str], answers: Sequence[Answers], gains: Ints) -> list[Photo]:
    """The photos that one of the two gets right alone; `gains` is +1 where the second does, -1 the first."""
    found = []
    for place in np.flatnonzero(gains):
        right = int(gains[place] > 0)
        good, bad = answers[right], answers[1 - right]
        found.append(
            Photo(
                path=good.paths[place],
                label=good.labels[place],
                right=names[right],
                wrong=names[1 - right],
                predicted=bad.predicted[place],
                confidence=float(bad.confidence[place]),
                right_confidence=float(good.confidence[place]),
            )
        )
    return sorted(found, key=lambda photo: -photo.confidence)


def write_photos(path: Path, pairs: Iterable[Pair]) -> None:
    """CSV with the fields of Photo, every photo that one of a pair gets right and the other wrong."""
    with files.atomic_path(path) as temporary, temporary.open("w", newline="", **files.TEXT) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Photo._fields)
        for pair in pairs:
            writer.writerows(sorted(pair.photos))
