"""Finds photos that occur twice: within a class, under two labels, on two sides of the split."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leafdist.prepare.audit.decided import Decided
from leafdist.prepare.audit.finding import Finding, Level
from leafdist.prepare.audit.folder_listing import Photo
from leafdist.prepare.features import Features
from leafdist.prepare.near import VIEWS, near_duplicates

WHAT = {
    "exact duplicates": "groups of photos with the same content",
    "near-duplicates": "pairs of photos that look the same",
}


@dataclass(frozen=True)
class Twins:
    """equal: indices of photos with the same bytes; near: pairs that look the same, with the first of each group of
    equals standing for the group; remarks: one per pair."""

    equal: list[tuple[int, ...]]
    near: list[tuple[int, int]]
    remarks: list[str]


def find_twins(features: Features, workers: int) -> Twins:
    """Find duplicates among the readable photos; the most similar near-duplicates come first."""
    same = defaultdict(list)
    for number in np.flatnonzero(features.readable):
        same[features.facts[number].sha256].append(int(number))
    first = np.array([numbers[0] for numbers in same.values()], np.int64)
    pairs = near_duplicates(features.gray()[first], workers)
    order = np.argsort(-pairs.score, kind="stable")
    return Twins(
        [tuple(numbers) for numbers in same.values() if len(numbers) > 1],
        [(int(first[one]), int(first[two])) for one, two in zip(pairs.first[order], pairs.second[order], strict=True)],
        [f"{pairs.score[k]:.2f}, {VIEWS[pairs.view[k]].name}" for k in order],
    )


def check_duplicates(photos: Sequence[Photo], twins: Twins, decided: Decided) -> list[Finding]:
    """Report each group of duplicates, in two findings if it has two labels and is on two sides of the split.

    A photo of which it was decided that it is kept or dropped has no part in a conflict of labels.
    """
    equal = _sort_out(photos, decided, "exact duplicates", twins.equal, [])
    return equal + _sort_out(photos, decided, "near-duplicates", twins.near, twins.remarks)


def _sort_out(
    photos: Sequence[Photo], decided: Decided, kind: str, groups: Sequence[tuple[int, ...]], remarks: Sequence[str]
) -> list[Finding]:
    two_labels = "stand under two labels: one is wrong. See them with --html, move or delete that file, split again"
    two_sides = "stand on two sides of the split: the model is tested on what it has seen. Split with --groups near"
    cases: dict[str, tuple[Level, str, list[int]]] = {
        "across classes": ("error", two_labels, []),
        "across splits": ("error", two_sides, []),
        "within a class": ("warning", "stand in one class and split: they count double", []),
    }
    for row, group in enumerate(groups):
        labels, splits = {decided.get(k, photos[k].label) for k in group} - {""}, {photos[k].split for k in group}
        found = [case for case, sides in (("across classes", labels), ("across splits", splits)) if len(sides) > 1]
        if not found and len({photos[k].label for k in group}) == 1:
            found = ["within a class"]
        for case in found:
            cases[case][2].append(row)
    return [
        Finding(
            f"{kind} {case}",
            level,
            f"{len(rows)} {WHAT[kind]} {text}",
            [tuple(photos[k].path for k in groups[row]) for row in rows],
            [remarks[row] for row in rows] if remarks else [],
        )
        for case, (level, text, rows) in cases.items()
        if rows
    ]
