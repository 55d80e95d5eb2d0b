"""Finds which photos stay on one side of a split: by leaf ids from a file, by file numbers and likeness, or by both."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leafdist.data.groups import leaf_of, read_groups, unknown_classes
from leafdist.data.split_report import NEAR, Grouping, SplitReport
from leafdist.prepare.partition import Groups, Photo
from leafdist.prepare.raw_layout import RawPhotos
from leafdist.system.console import counted
from leafdist.system.files import sha256
from leafdist.system.processes import usable_cores


@dataclass(frozen=True)
class Together:
    """groups: photo to group; without_id: photos of each class without a leaf id; report: how they were found."""

    groups: Groups | None
    without_id: Mapping[str, int]
    report: SplitReport


def find_groups(
    raw: RawPhotos, names: Mapping[str, Sequence[str]], file: Path | None, say: Callable[[str], None], *, near: bool
) -> Together:
    """Find which photos stay together, by the class and name with which they lie. Raises ValueError."""
    leaves = _leaves(raw, names, file, say) if file else {}
    without = Counter(label for label, files in names.items() for one in files if (label, one) not in leaves)
    report = SplitReport(groups=sha256(file) if file else NEAR if near else None)
    if not near:
        return Together(leaves if file else None, without if file else {}, report)
    from leafdist.prepare.grouping import near_groups  # noqa: PLC0415  # imports scipy

    photos = sorted((label, one) for label, files in names.items() for one in files)
    paths, lying = [raw.path(photo) for photo in photos], [raw.as_given(photo) for photo in photos]
    known = {raw.as_given(photo): leaf for photo, leaf in leaves.items()}
    numbers = near_groups(paths, lying, known, usable_cores()).tolist()
    found = dict(zip(photos, numbers, strict=True))
    sizes = Counter(numbers)
    classes = Counter(number for number, _ in {(number, label) for (label, _), number in found.items()})
    grouping = Grouping(len(sizes), max(sizes.values()), sum(count > 1 for count in classes.values()))
    return Together(found, without if file else {}, SplitReport(groups=report.groups, grouping=grouping))


def _leaves(
    raw: RawPhotos, names: Mapping[str, Sequence[str]], file: Path, say: Callable[[str], None]
) -> dict[Photo, tuple[str, str]]:
    ids = read_groups(file)
    if unknown := unknown_classes(ids, names, file):
        say(f"{file} names {counted(len(unknown), 'class')} that {raw.root} lacks: {', '.join(unknown)}")
    found: dict[Photo, tuple[str, str]] = {}
    for photo in [(label, one) for label, files in names.items() for one in files]:
        label, one = raw.as_given(photo)
        if leaf := leaf_of(ids, label, one):
            found[photo] = label, leaf
    if not found:
        raise ValueError(
            f"{file} names no photo of {raw.root}: class and stem must be folder and file name without ending"
        )
    classes = Counter(leaf for _, leaf in set(found.values()))
    if several := [leaf for leaf, count in classes.items() if count > 1]:
        say(f"{len(several)} leaf ids stand in several classes, such as {several[0]!r}: each class has its own leaves")
    return found
