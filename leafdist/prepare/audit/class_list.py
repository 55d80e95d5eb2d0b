"""Finds faults of the class list: names, empty folders, counts."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

from leafdist.prepare.audit.finding import Finding, alone
from leafdist.prepare.audit.folder_listing import Listing, Photo

UNBALANCED = 10  # ratio of the largest to the smallest class from which accuracy hides the small ones


def count(listing: Listing) -> dict[str, dict[str, int]]:
    """Count the photos of each class in each split, 0 where it lacks the class."""
    found = Counter((photo.label, photo.split) for photo in listing.photos)
    return {label: {split: found[label, split] for split in listing.classes} for label in listing.labels}


def check_classes(listing: Listing) -> list[Finding]:
    """Find empty or missing class folders, imbalance, and names that some file systems cannot tell apart."""
    counts = count(listing)
    holes = [(split, label) for label in counts for split in listing.classes if not counts[label][split]]
    empty = [Photo(*hole, "").path for hole in holes if hole[1] in listing.classes[hole[0]]]
    missing = [Photo(*hole, "").path for hole in holes if hole[1] not in listing.classes[hole[0]]]
    findings = [
        Finding("empty class", "error", f"{len(empty)} class folders hold no photo", alone(empty)),
        Finding("missing class", "error", f"{len(missing)} class folders are missing in a split", alone(missing)),
        *_same_names(listing),
        *_imbalance(counts),
    ]
    return [finding for finding in findings if finding.files]


def _same_names(listing: Listing) -> list[Finding]:
    classes = _clashes(listing.labels)
    files = _clashes([photo.path for photo in listing.photos])
    what = "names differ by case or Unicode form only"
    return [
        Finding("class names", "error", f"{len(classes)} groups of class {what}: one class or two?", classes),
        Finding("file names", "warning", f"{len(files)} groups of file {what}: macOS and Windows keep one", files),
    ]


def _clashes(names: Iterable[str]) -> list[tuple[str, ...]]:
    alike = defaultdict(list)
    for name in names:
        alike[unicodedata.normalize("NFC", name).casefold()].append(name)
    return [tuple(group) for group in alike.values() if len(group) > 1]


def _imbalance(counts: dict[str, dict[str, int]]) -> list[Finding]:
    totals = {label: sum(splits.values()) for label, splits in counts.items() if any(splits.values())}
    large, small = max(totals, key=totals.__getitem__), min(totals, key=totals.__getitem__)
    if totals[large] < UNBALANCED * totals[small]:
        return []
    text = (
        f"the largest class ({large}, {totals[large]}) has {totals[large] / totals[small]:.0f} times the photos of the "
        f"smallest ({small}, {totals[small]}): read accuracy per class, or macro-F1, beside accuracy"
    )
    return [Finding("imbalance", "warning", text, [(large, small)])]
