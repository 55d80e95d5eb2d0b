"""Tests whether the background gives the class away, with small classifiers on what shows no disease.

Eight border pixels as in Noyan, Knuth and Schirrmacher 2022, "Uncovering bias in the PlantVillage dataset"
(arXiv 2206.04374): the corners and the middles of the sides.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leafdist.data.leaf_masks import masks_beside, trusted
from leafdist.prepare.audit.finding import Finding
from leafdist.prepare.audit.folder_listing import Photo
from leafdist.prepare.features import BORDER, Features
from leafdist.prepare.near import Ints

MOST = 10_000  # photos to fit on: more would hardly help a small classifier
FEWEST = 100  # photos to fit on
SEED = 0  # of the sides, the photos to fit on and the drawn backgrounds
EIGHT = "eight pixels of the border"
TELLS = 2  # multiple of the accuracy of guessing that gives the class away
Values = NDArray[np.uint8] | NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """Accuracies on `photos` photos; majority: if the most frequent class were always named."""

    what: str
    photos: int
    accuracy: float
    balanced: float
    majority: float
    chance: float

    @property
    def tells(self) -> bool:
        """Whether it is better than guessing by more than two standard errors."""
        error = math.sqrt(self.balanced * (1 - self.balanced) / self.photos)
        return self.balanced - 2 * error > TELLS * self.chance and self.accuracy > self.majority


def probe_shortcuts(photos: Sequence[Photo], features: Features, groups: NDArray[np.int64]) -> list[Probe]:
    """Fit on train and measure on val and test, or on a fifth of the groups where nothing is split.

    Returns no probe where there are too few photos or classes.
    """
    kinds = {EIGHT: features.border, "the mean colour of a photo": features.thumbnails.mean((1, 2))}
    return _probes(kinds, photos, features.readable, groups)


def probe_redrawn(root: Path, photos: Sequence[Photo], features: Features, groups: Ints) -> list[Probe]:
    """Probe the border of the photos with a leaf mask, as it is and with the backgrounds of `augment.background`.

    Returns nothing where no masks lie beside the packs of `root/{train,val,test}`.
    """
    pixels, masked = features.border.copy(), np.zeros(len(photos), bool)
    for split in sorted({photo.split for photo in photos} - {""}):
        if found := masks_beside(root, split):
            from leafdist.data.drawn_borders import redraw_border  # noqa: PLC0415  # imports torch

            index, masks = found
            named = {f"{photo.label}/{photo.file}": row for row, photo in enumerate(photos) if photo.split == split}
            rows = np.array([named[name] for name in index.names])
            masked[rows] = trusted(masks)
            pixels[rows] = redraw_border(pixels[rows], np.array(BORDER), masks, SEED)
    kinds = {f"{EIGHT} of photos with a leaf mask": features.border, f"{EIGHT}, with backgrounds drawn": pixels}
    return _probes(kinds, photos, features.readable & masked, groups)


def _probes(
    kinds: Mapping[str, Values], photos: Sequence[Photo], usable: NDArray[np.bool_], groups: Ints
) -> list[Probe]:
    """Probe each kind of values (n,...) on the usable photos."""
    if len(np.unique(groups)) < 2:
        return []
    labels = np.unique([photo.label for photo in photos], return_inverse=True)[1]
    train, test = _sides(photos, groups)
    train = np.sort(np.random.default_rng(SEED).permutation(train[usable[train]])[:MOST])
    test = test[usable[test] & np.isin(labels[test], labels[train])]
    if len(train) < FEWEST or len(test) == 0 or len(np.unique(labels[train])) < 2:
        return []
    numbers = {what: values.reshape(len(photos), -1).astype(np.float64) for what, values in kinds.items()}
    return [_probe(what, rows, labels, train, test) for what, rows in numbers.items()]


def _sides(photos: Sequence[Photo], groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    trained = np.array([photo.split == "train" for photo in photos])
    if trained.any() and not trained.all():
        return np.flatnonzero(trained), np.flatnonzero(~trained)
    shuffle = GroupShuffleSplit(1, test_size=0.2, random_state=SEED)
    train, test = next(shuffle.split(groups, groups=groups))
    return train, test


def _probe(
    what: str, rows: NDArray[np.float64], labels: NDArray[np.int64], train: NDArray[np.int64], test: NDArray[np.int64]
) -> Probe:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 steps are enough for what is asked
        predicted = model.fit(rows[train], labels[train]).predict(rows[test])
    truth, frequency = labels[test], np.bincount(labels[train])
    majority = max(np.unique(truth), key=frequency.__getitem__)  # of the classes that are there to be named
    balanced = float(recall_score(truth, predicted, labels=np.unique(truth), average="macro"))
    right, most = float((predicted == truth).mean()), float((truth == majority).mean())
    return Probe(what, len(test), right, balanced, most, 1 / len(np.unique(labels[train])))


def check_shortcuts(probes: Sequence[Probe], redrawn: Sequence[Probe]) -> list[Finding]:
    """Warn of each probe that is better than guessing; of the border also say what `probe_redrawn` found."""
    beside = ""
    if redrawn:
        before, after = redrawn
        beside = (
            f". Of {after.photos} photos with a leaf mask: {before.accuracy:.1%}, and {after.accuracy:.1%} with the "
            f"backgrounds that augment.background draws (always the most frequent class: {after.majority:.1%})"
        )
    return [
        Finding(
            "shortcut",
            "warning",
            f"{probe.what} alone: the class of {probe.accuracy:.1%} of {probe.photos} photos is right (always the "
            f"most frequent one: {probe.majority:.1%}); averaged over classes {probe.balanced:.1%} "
            f"(chance: {probe.chance:.1%}){beside if probe.what == EIGHT else ''}",
            [],
        )
        for probe in probes
        if probe.tells
    ]
