"""Finds how much of val and test was seen in train."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from leafdist.data.groups import LeafIds, leaf_of
from leafdist.prepare.audit.duplicates import Twins
from leafdist.prepare.audit.finding import Finding, alone
from leafdist.prepare.audit.folder_listing import Photo
from leafdist.prepare.near import Ints


@dataclass(frozen=True)
class Seen:
    """Photos of val or test: all, with a twin in train, with a known leaf, with a leaf that is in train too; without a
    known leaf: their classes, and photos that are neighbours of train's, None where neighbours were not asked for."""

    photos: int
    twins: int
    known: int
    leaves: int
    unknown_classes: int = 0
    neighbours: int | None = None


def leaves_of(photos: Sequence[Photo], ids: LeafIds) -> dict[tuple[str, str], list[int]]:
    """Return the indices of the photos of each leaf, by (class, id): ids count within their class."""
    leaves = defaultdict(list)
    for number, photo in enumerate(photos):
        if leaf := leaf_of(ids, photo.label, photo.file):
            leaves[photo.label, leaf].append(number)
    return leaves


def neighbours_in_train(photos: Sequence[Photo], groups: Ints, ids: LeafIds) -> list[int]:
    """List photos of val and test without a leaf id whose group, by number or likeness, is in train too."""
    trained = {groups[number] for number, photo in enumerate(photos) if photo.split == "train"}
    unknown = [number for number, photo in enumerate(photos) if not leaf_of(ids, photo.label, photo.file)]
    return [number for number in unknown if photos[number].split in ("val", "test") and groups[number] in trained]


def seen_in_train(
    photos: Sequence[Photo], twins: Twins, ids: LeafIds, neighbours: Sequence[int] | None = None
) -> dict[str, Seen]:
    """Count for val and test, if the folder is split. A twin is an exact or a near-duplicate."""
    alike = _tied(photos, twins)
    leaf: dict[int, tuple[str, str]] = {}
    trained = set[tuple[str, str]]()
    for name, numbers in leaves_of(photos, ids).items():
        leaf |= dict.fromkeys(numbers, name)
        trained |= {name for number in numbers if photos[number].split == "train"}
    seen = {}
    for split in [split for split in ("val", "test") if any(photo.split == split for photo in photos)]:
        mine = [number for number, photo in enumerate(photos) if photo.split == split]
        known = [leaf[number] for number in mine if number in leaf]
        both = sum(name in trained for name in known)
        classes = len({photos[number].label for number in mine if number not in leaf})
        near = None if neighbours is None else sum(photos[number].split == split for number in neighbours)
        seen[split] = Seen(len(mine), len(alike.intersection(mine)), len(known), both, classes, near)
    return seen


def _tied(photos: Sequence[Photo], twins: Twins) -> set[int]:
    """Indices of photos with a twin in train."""
    standing = {group[0]: group for group in twins.equal}
    found = set[int]()
    for pair in [(group[0], group[0]) for group in twins.equal] + twins.near:
        tied = {photo for number in pair for photo in standing.get(number, (number,))}
        if any(photos[number].split == "train" for number in tied):
            found |= tied
    return found


def check_leaves(photos: Sequence[Photo], ids: LeafIds, unknown: Sequence[str]) -> list[Finding]:
    """Find leaves on two sides of the split, ids in two classes, and what file and folder do not have in common."""
    leaves = leaves_of(photos, ids)
    paths = {name: _sides_first([photos[number] for number in numbers]) for name, numbers in leaves.items()}
    split = [name for name, numbers in leaves.items() if len({photos[number].split for number in numbers}) > 1]
    classes = defaultdict(list)
    for label, leaf in leaves:
        classes[leaf].append((label, leaf))
    shared = [names for names in classes.values() if len(names) > 1]
    without = [photo.path for photo in photos if not leaf_of(ids, photo.label, photo.file)]
    lacking = f"{len(unknown)} classes of the groups file are not in the folder: {', '.join(unknown)}"
    findings = [
        Finding(
            "leaves across splits",
            "error",
            f"{len(split)} of {len(leaves)} leaves are on two sides of the split: their photos are remembered, not "
            "diagnosed. Split with --groups",
            [paths[name] for name in split],
        ),
        Finding(
            "leaf ids in two classes",
            "warning",
            f"{len(shared)} leaf ids stand in several classes: numbered anew in each class, or a leaf with two labels?",
            [tuple(path for name in names for path in paths[name]) for names in shared],
        ),
        Finding("unknown classes in groups", "warning", lacking, alone(unknown)),
        Finding("no leaf id", "note", f"{len(without)} photos have no leaf id: see --groups near", alone(without)),
    ]
    return [finding for finding in findings if finding.files]


def check_neighbours(photos: Sequence[Photo], neighbours: Sequence[int]) -> list[Finding]:
    """Report photos without a leaf id that probably show a leaf of train."""
    text = (
        f"{len(neighbours)} photos of val and test without a leaf id are neighbours, by file number or likeness, of "
        "photos in train, and may show their leaves: split with --groups near, beside the file if there is one"
    )
    paths = alone(photos[number].path for number in neighbours)
    return [Finding("neighbours across splits", "error", text, paths)] if neighbours else []


def _sides_first(photos: Sequence[Photo]) -> tuple[str, ...]:
    """Paths, one of each split first, so that the first few show both sides."""
    before = Counter[str]()
    ranks = []
    for photo in photos:
        ranks.append((before[photo.split], photo.path))
        before[photo.split] += 1
    return tuple(path for _, path in sorted(ranks))
