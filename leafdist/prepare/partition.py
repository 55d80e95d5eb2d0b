"""Deals photos, or whole groups of photos, to the parts of a split."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import NamedTuple

RATIOS = {"train": 6, "val": 2, "test": 2}  # tenths

Photo = tuple[str, str]  # class and file name
Parts = dict[str, list[str]]  # part to file names, for one class
Groups = dict[Photo, Hashable]  # photo to its group; a photo that is absent is a group of its own


class ClassSplit(NamedTuple):
    """The split of one class; without_id counts photos that are absent from the groups given."""

    parts: Parts
    left_over: int
    skipped: int
    without_id: int

    def counts(self) -> dict[str, int]:
        """Count the photos of each part, and the others."""
        return {name: len(files) for name, files in self.parts.items()} | {
            "left_over": self.left_over,
            "skipped": self.skipped,
            "without_id": self.without_id,
        }


def split_classes(
    names: Mapping[str, list[str]], skipped: Mapping[str, int], groups: Groups | None, folds: int | None
) -> dict[str, ClassSplit]:
    """Deal the photos of every class in the order given; with folds, parts are `fold-0`, … and test.

    Raises ValueError for a class with fewer groups than parts.
    """
    if groups is None and folds is None:
        plain = {label: take(files) for label, files in names.items()}
        lost = {label: len(names[label]) - sum(map(len, parts.values())) for label, parts in plain.items()}
        return {label: ClassSplit(parts, lost[label], skipped[label], 0) for label, parts in plain.items()}
    shares = fold_shares(folds) if folds else RATIOS
    known, without = groups or {}, dict.fromkeys(names, 0)
    members: defaultdict[Hashable, list[Photo]] = defaultdict(list)
    for label, files in names.items():
        for file in files:
            members[known.get((label, file), (label, file, "alone"))].append((label, file))
            without[label] += groups is not None and (label, file) not in known
    alone = {label: list[list[str]]() for label in names}
    across = []
    for group in members.values():
        labels = {label for label, _ in group}
        if len(labels) > 1:
            across.append(group)
        else:
            alone[labels.pop()].append([file for _, file in group])
    begun = take_across(across, {label: len(files) for label, files in names.items()}, shares)
    return {
        label: ClassSplit(_deal(label, alone[label], shares, begun[label]), 0, skipped[label], without[label])
        for label in names
    }


def _deal(label: str, groups: Sequence[Sequence[str]], shares: Mapping[str, int], begun: Parts) -> Parts:
    parts = take_groups(groups, shares, begun)
    if empty := [part for part in parts if not parts[part]]:
        raise ValueError(
            f"class {label!r} shows {len(groups)} leaves, or groups of photos, of its own: too few for {len(parts)} "
            f"parts ({empty[0]} would be empty). Add photos, or ask for fewer folds"
        )
    return parts


def take(names: Sequence[str]) -> Parts:
    """Deal the first floor(0.6 n) to train, the next floor(0.2 n) to val, the next floor(0.2 n) to test."""
    parts, start = {}, 0
    for part, tenths in RATIOS.items():
        stop = start + tenths * len(names) // 10
        parts[part] = list(names[start:stop])
        start = stop
    return parts


def take_groups(
    groups: Sequence[Sequence[str]], shares: Mapping[str, int] = RATIOS, begun: Parts | None = None
) -> Parts:
    """Deal whole groups, the largest first, each to the part that lacks most photos; the last fill empty parts.

    `begun` holds photos that are dealt already.
    """
    parts: Parts = {part: list(begun[part]) if begun else [] for part in shares}
    total = sum(map(len, groups)) + sum(map(len, parts.values()))
    ordered = sorted(groups, key=len, reverse=True)  # stable: equal sizes stay in their order
    for left, group in zip(range(len(ordered), 0, -1), ordered, strict=True):
        empty = [part for part in parts if not parts[part]]
        choice = empty if left <= len(empty) else list(parts)
        parts[max(choice, key=lambda part: _lack(part, shares, total, len(parts[part])))].extend(group)
    return parts


def take_across(
    groups: Collection[Sequence[Photo]], totals: Mapping[str, int], shares: Mapping[str, int] = RATIOS
) -> dict[str, Parts]:
    """Deal whole groups with photos of several classes to the part that these lack most; return parts by class.

    `totals` are all photos of each class, those of other groups too.
    """
    taken: dict[str, Parts] = {label: {part: [] for part in shares} for label in totals}
    for group in sorted(groups, key=len, reverse=True):
        labels = {label for label, _ in group}

        def lack(part: str, labels: set[str] = labels) -> float:
            return sum(_lack(part, shares, totals[label], len(taken[label][part])) / totals[label] for label in labels)

        part = max(shares, key=lack)
        for label, file in group:
            taken[label][part].append(file)
    return taken


def _lack(part: str, shares: Mapping[str, int], total: int, have: int) -> int:
    return shares[part] * total - sum(shares.values()) * have


def fold_shares(folds: int) -> dict[str, int]:
    """Return shares as whole numbers: a fifth for test, the rest in equal parts for `fold-0`, …."""
    return {f"fold-{fold}": 8 for fold in range(folds)} | {"test": 2 * folds}


def fold(parts: Parts, number: int) -> Parts:
    """Make one fold val and the others train."""
    train = [file for name, files in parts.items() if name not in ("test", f"fold-{number}") for file in files]
    return {"train": train, "val": parts[f"fold-{number}"], "test": parts["test"]}
