"""Deals photos, or whole groups of photos, to the parts of a split."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

RATIOS = {"train": 6, "val": 2, "test": 2}  # tenths

Photo = tuple[str, str]  # class and file name
Parts = dict[str, list[str]]  # part to file names, for one class
Groups = Mapping[Photo, Hashable]  # photo to its group; a photo that is absent is a group of its own


class ClassSplit(NamedTuple):
    """The split of one class; without_id counts photos without a leaf id, where there is a file of them."""

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
    names: Mapping[str, list[str]],
    skipped: Mapping[str, int],
    groups: Groups | None,
    folds: int | None,
    few: int | None = None,
    *,
    floors: bool,
    without_id: Mapping[str, int],
) -> dict[str, ClassSplit]:
    """Deal the photos of every class in the order given; with folds, parts are `fold-0`, … and test.

    few: photos of each class in train, see `deal_few`. floors: leave over what the protocol leaves over, where photos
    are dealt alone. Raises ValueError for a class with fewer groups than parts.
    """
    if few:
        dealt = deal_few(names, groups or {}, few)
    elif groups is None and folds is None:
        dealt = {label: take(files, floors=floors) for label, files in names.items()}
    else:
        dealt = deal(names, groups or {}, fold_shares(folds) if folds else RATIOS)
    plan = {}
    for label, parts in dealt.items():
        lost = len(names[label]) - sum(map(len, parts.values()))
        plan[label] = ClassSplit(parts, lost, skipped.get(label, 0), without_id.get(label, 0))
    return plan


def take(names: Sequence[str], *, floors: bool = False) -> Parts:
    """Deal the first floor(0.6 n) to train, the next floor(0.2 n) to val, the next floor(0.2 n) to test.

    Up to two are left; without `floors` they go to the parts that lack most of their share, the later one of equals.
    """
    parts, start = {}, 0
    for part, tenths in RATIOS.items():
        stop = start + tenths * len(names) // 10
        parts[part] = list(names[start:stop])
        start = stop
    for name in () if floors else names[start:]:
        max(reversed(parts.items()), key=lambda item: RATIOS[item[0]] * len(names) - 10 * len(item[1]))[1].append(name)
    return parts


def deal(names: Mapping[str, Sequence[str]], groups: Groups, shares: Mapping[str, int] = RATIOS) -> dict[str, Parts]:
    """Deal whole groups, those of several classes first, the largest first, each to the part that lacks most photos.

    The last groups of a class fill its empty parts. Raises ValueError where a part stays empty.
    """
    ordered = [(sorted({label for label, _ in photos}), photos) for photos in _members(names, groups).values()]
    ordered.sort(key=lambda group: (len(group[0]) == 1, -len(group[1])))  # stable: equal sizes stay in their order
    own = Counter(labels[0] for labels, _ in ordered if len(labels) == 1)
    dealt: dict[str, Parts] = {label: {part: [] for part in shares} for label in names}
    left = own.copy()
    for labels, photos in ordered:
        choice = list(shares)
        if len(labels) == 1:
            empty = [part for part, files in dealt[labels[0]].items() if not files]
            choice = empty if left[labels[0]] <= len(empty) else choice
            left[labels[0]] -= 1
        lack = {
            part: sum(_lack(shares, part, len(names[name]), len(dealt[name][part])) for name in labels)
            for part in choice
        }
        part = max(choice, key=lack.__getitem__)
        for label, file in photos:
            dealt[label][part].append(file)
    for label, parts in dealt.items():
        if empty := [part for part in parts if not parts[part]]:
            fewer = ", or ask for fewer folds" if "fold-0" in parts else ""
            raise ValueError(
                f"class {label!r} shows {own[label]} leaves, or groups of photos, of its own: too few for {len(parts)} "
                f"parts ({empty[0]} would be empty). Add photos of other leaves{fewer}"
            )
    return dealt


def deal_few(
    names: Mapping[str, Sequence[str]], groups: Groups, number: int, kept: frozenset[Hashable] = frozenset()
) -> dict[str, Parts]:
    """Deal `number` photos of each class to train, and all photos of the groups that train has none of to test.

    Train takes whole groups in the order given, as far as they fit; what a class lacks then comes from its smallest
    groups left, whose other photos go nowhere. Where that leaves no group of a class, its smallest one is kept for
    test, and all is dealt again. kept: such groups. Raises ValueError for a class with too few photos besides.
    """
    members, taken = _members(names, groups), set[Hashable]()
    sizes = {group: Counter(label for label, _ in photos) for group, photos in members.items()}
    parts: dict[str, Parts] = {label: {"train": [], "test": []} for label in names}
    lack = dict.fromkeys(names, number)

    def take(group: Hashable) -> None:
        taken.add(group)
        for label, file in members[group]:
            if lack[label]:
                parts[label]["train"].append(file)
                lack[label] -= 1

    for label in names:
        own = [group for group, size in sizes.items() if label in size and group not in kept]
        for group in own:
            if group not in taken and all(count <= lack[name] for name, count in sizes[group].items()):
                take(group)
        for group in sorted((group for group in own if group not in taken), key=lambda group: sizes[group].total()):
            if lack[label]:
                take(group)
    for label, file in [photo for group, photos in members.items() if group not in taken for photo in photos]:
        parts[label]["test"].append(file)
    for label in [label for label, dealt in parts.items() if not dealt["test"] or lack[label]]:
        own = [group for group, size in sizes.items() if label in size]
        if kept.isdisjoint(own) and not lack[label]:
            smallest = min(own, key=lambda group: (len(sizes[group]), sizes[group].total()))  # of this class alone
            return deal_few(names, groups, number, kept | {smallest})
        raise ValueError(
            f"--few {number}: class {label!r} has {len(names[label])} photos in {len(own)} groups, and none is left to "
            "test. Lower --few, add photos of other leaves, or move the class elsewhere"
        )
    return parts


def _members(names: Mapping[str, Sequence[str]], groups: Groups) -> dict[Hashable, list[Photo]]:
    """The photos of each group, in the order given; a photo without one is a group of its own."""
    members: defaultdict[Hashable, list[Photo]] = defaultdict(list)
    for photo in [(label, file) for label, files in names.items() for file in files]:
        members[groups.get(photo, (*photo, "alone"))].append(photo)
    return members


def _lack(shares: Mapping[str, int], part: str, total: int, have: int) -> float:
    """Photos that a part of a class lacks, as a share of the class."""
    return (shares[part] * total - sum(shares.values()) * have) / total


def fold_shares(folds: int) -> dict[str, int]:
    """Return shares as whole numbers: a fifth for test, the rest in equal parts for `fold-0`, …."""
    return {f"fold-{fold}": 8 for fold in range(folds)} | {"test": 2 * folds}


def fold(parts: Parts, number: int) -> Parts:
    """Make one fold val and the others train."""
    train = [file for name, files in parts.items() if name not in ("test", f"fold-{number}") for file in files]
    return {"train": train, "val": parts[f"fold-{number}"], "test": parts["test"]}
