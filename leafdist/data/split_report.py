"""What split.json holds: how a split was made, and which photos are in it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leafdist.data.labels import LabelCounts
from leafdist.system import plain

NEAR = "near"  # groups by likeness and file numbers, instead of a file with leaf ids


@dataclass(frozen=True)
class Grouping:
    """Groups of photos by likeness: how many, photos in the largest, and groups with photos of several classes."""

    groups: int
    largest: int
    across_classes: int


@dataclass(frozen=True)
class SplitReport:
    """split.json; fields of an older or another kind of split that it lacks have their defaults.

    few: photos of each class in train, where the others are test; groups: digest of the file with leaf ids, or NEAR;
    classes: photos of each part of each class, and those left over, skipped or without leaf id; totals: their sums;
    digests: of the sorted lines `class/file` of each part; labels: the file by which photos were moved and dropped.
    """

    groups: str | None = None
    grouping: Grouping | None = None
    format: int = 0
    seed: int | None = None
    order: str | None = None
    mode: str | None = None
    fold: int | None = None
    folds: int | None = None
    few: int | None = None
    ratios: dict[str, float] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    labels: LabelCounts | None = None

    @classmethod
    def read(cls, root: Path) -> "SplitReport | None":
        """Read that of the folder `root`; None where there is none. Raises ValueError where it is damaged."""
        path = root / "split.json"
        return plain.read(cls, path) if path.is_file() else None

    def json(self) -> Any:
        """Return plain values, without fields that do not apply."""
        return {
            name: value for name, value in plain.to_plain(self).items() if name == "groups" or value not in (None, {})
        }
