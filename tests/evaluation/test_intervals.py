"""Intervals, against other ways to the same numbers."""

import numpy as np
import pytest

from leafdist.evaluation.intervals import by_leaf, wilson
from leafdist.report.bounds import macro_f1_interval
from leafdist.runs.results import ClassScores, Evaluation


@pytest.mark.parametrize(("correct", "images", "low", "high"), [
    (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (1, 1, 0.2065, 1.0), (0, 0, 0.0, 1.0),
])  # fmt: skip
def test_wilson_interval_matches_the_literature(correct: int, images: int, low: float, high: float) -> None:
    """81 of 263: Newcombe 1998, doi 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I."""
    assert wilson(correct, images) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("photos", [1, 2, 30])
def test_perfect_macro_f1_lies_inside_interval(photos: int) -> None:
    """A class that a drawn data set lacks is no class without a hit."""
    classes = {str(name): ClassScores(photos) for name in range(33)}
    confusion = (photos * np.eye(33, dtype=int)).tolist()
    result = Evaluation(split="test", images=33 * photos, accuracy=1.0, classes=classes, confusion=confusion)
    assert macro_f1_interval(result) == (1.0, 1.0)


def test_interval_by_leaf_covers_the_truth() -> None:
    """Leaves of 8 photos, all right or all wrong: Wilson's, which takes photos for independent, is far too narrow."""
    random, covered, naive = np.random.default_rng(0), 0, 0
    for trial in range(50):
        hits = np.repeat(random.random(60) < 0.8, 8)
        low, high = by_leaf(hits, np.repeat(np.arange(60), 8), seed=trial)
        covered += low <= 0.8 <= high
        low, high = wilson(int(hits.sum()), len(hits))
        naive += low <= 0.8 <= high
    assert covered >= 43
    assert naive < 32
