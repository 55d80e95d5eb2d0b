"""Tests whether the background gives the class away, with small classifiers on what shows no disease.

Eight border pixels as in Noyan, Knuth and Schirrmacher 2022, "Uncovering bias in the PlantVillage dataset"
(arXiv 2206.04374): the corners and the middles of the sides.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leafdist.prepare.audit.finding import Finding
from leafdist.prepare.audit.folder_listing import Photo
from leafdist.prepare.features import Features

MOST = 10_000  # photos to fit on: more would hardly help a small classifier
FEWEST = 100  # photos to fit on
TELLS = 2  # multiple of the accuracy of guessing that gives the class away


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


def probe_shortcuts(photos: Sequence[Photo], features: Features, groups: NDArray[np.int64], seed: int) -> list[Probe]:
    """Fit on train and measure on val and test, or on a fifth of the groups where nothing is split.

    Returns no probe where there are too few photos or classes.
    """
    if len(np.unique(groups)) < 2:
        return []
    labels = np.unique([photo.label for photo in photos], return_inverse=True)[1]
    train, test = _sides(photos, groups, seed)
    random = np.random.default_rng(seed)
    train = np.sort(random.permutation(train[features.readable[train]])[:MOST])
    test = test[features.readable[test] & np.isin(labels[test], labels[train])]
    if len(train) < FEWEST or len(test) == 0 or len(np.unique(labels[train])) < 2:
        return []
    kinds = {
        "eight pixels of the border": features.border.reshape(len(photos), -1),
        "the mean colour of a photo": features.thumbnails.mean((1, 2)),
    }
    return [_probe(what, rows.astype(np.float64), labels, train, test) for what, rows in kinds.items()]


def _sides(
    photos: Sequence[Photo], groups: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    trained = np.array([photo.split == "train" for photo in photos])
    if trained.any() and not trained.all():
        return np.flatnonzero(trained), np.flatnonzero(~trained)
    shuffle = GroupShuffleSplit(1, test_size=0.2, random_state=seed)
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


def check_shortcuts(probes: Sequence[Probe]) -> list[Finding]:
    """Warn of each probe that is better than guessing."""
    return [
        Finding(
            "shortcut",
            "warning",
            f"{probe.what} alone: the class of {probe.accuracy:.1%} of {probe.photos} photos is right (always the "
            f"most frequent one: {probe.majority:.1%}); averaged over classes {probe.balanced:.1%} "
            f"(chance: {probe.chance:.1%})",
            [],
        )
        for probe in probes
        if probe.tells
    ]
