"""Finds faults of photo files, and of the class list: names, empty folders, counts."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePath

from PIL import Image

from leafdist.data.decode import MODES, SIXTEEN
from leafdist.data.layouts import alike
from leafdist.data.photos import in_words
from leafdist.prepare.audit.finding import Finding, Level, alone
from leafdist.prepare.audit.folder_listing import Listing, Photo
from leafdist.prepare.features import Facts
from leafdist.system.unpack import fold

TINY = 32  # pixels of the shorter side
HUGE = 24_000_000  # pixels: decoding takes as long as that of 300 photos of 256x256
USUAL = 0.9  # share of photos from which a size is the usual one
UNBALANCED = 10  # ratio of the largest to the smallest class from which accuracy hides the small ones
RULES: dict[str, tuple[Level, str]] = {
    "undecodable": ("error", "cannot be decoded"),
    "truncated": ("error", "end too early"),
    "refused mode": ("error", "have colours that training refuses"),
    "wrong ending": ("warning", "have the ending of another format"),
    "tiny": ("warning", f"have a side below {TINY} pixels"),
    "huge": ("warning", f"have more than {HUGE // 10**6} million pixels: slow to decode"),
    "EXIF rotation": ("note", "are turned by EXIF: leafdist obeys, other programs may not"),
    "colour mode": ("note", "are not RGB"),
}


def check_files(listing: Listing, facts: Sequence[Facts]) -> list[Finding]:
    """Return one finding per kind of fault, with every file that has it."""
    usual, share = _usual_size(facts)
    if share >= USUAL:
        last: tuple[Level, str] = "note", f"are not {usual[0]}x{usual[1]} pixels, as {share:.1%} are"
    else:
        last = "note", "are not square: the resize does not keep their proportions"
    rules = RULES | {"odd size" if share >= USUAL else "not square": last}
    remarks: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for photo, found in zip(listing.photos, facts, strict=True):
        for kind, remark in _remarks(photo.path, found, usual if share >= USUAL else None).items():
            if remark:
                remarks[kind][photo.path] = remark
    findings = [
        Finding(kind, level, f"{len(remarks[kind])} photos {text}", alone(remarks[kind]), [*remarks[kind].values()])
        for kind, (level, text) in rules.items()
        if kind in remarks
    ]
    findings += [Finding("photos left out", "warning", remark, []) for remark in listing.remarks]
    if listing.others:
        kinds = f" ({in_words(listing.kinds)})" if listing.kinds else ""
        text = f"{len(listing.others)} entries{kinds} are no photos of a class, or hidden: they are skipped"
        findings.append(Finding("other entries", "note", text, alone(listing.others)))
    return findings


def _remarks(path: str, facts: Facts, usual: tuple[int, int] | None) -> dict[str, str]:
    """What to say of a photo for each kind of fault, empty for those that it does not have."""
    width, height, mode, readable = facts.width, facts.height, facts.mode, MODES | SIXTEEN
    size, cut = f"{width}x{height}", "truncated" in facts.fault
    return {
        "undecodable": "" if cut else facts.fault,
        "truncated": facts.fault if cut else "",
        "refused mode": "" if mode in readable else mode,
        "wrong ending": _wrong_ending(path, facts),
        "tiny": size if width and min(width, height) < TINY else "",
        "huge": size if width * height > HUGE else "",
        "EXIF rotation": f"orientation {facts.orientation}" if facts.orientation in range(2, 9) else "",
        "colour mode": mode if mode in readable - {"RGB"} else "",
        "odd size": size if usual and width and (width, height) != usual else "",
        "not square": size if not usual and width != height else "",
    }


def _usual_size(facts: Sequence[Facts]) -> tuple[tuple[int, int], float]:
    """The most frequent width and height, and the share of photos that have them."""
    sizes = Counter((found.width, found.height) for found in facts if found.width)
    if not sizes:
        return (0, 0), 0.0
    usual, count = sizes.most_common(1)[0]
    return usual, count / sizes.total()


def _wrong_ending(path: str, facts: Facts) -> str:
    expected = Image.registered_extensions().get(PurePath(path).suffix.lower())
    formats = {"MPO": "JPEG"}  # several JPEGs in one file, as phones write them
    found = formats.get(facts.format, facts.format)
    return f"is {found}" if found and expected and found != expected else ""


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
    single = "there is one class alone: telling classes apart takes two. Add photos of another, such as healthy leaves"
    findings = [
        Finding("empty class", "error", f"{len(empty)} class folders hold no photo", alone(empty)),
        Finding("missing class", "error", f"{len(missing)} class folders are missing in a split", alone(missing)),
        Finding("one class", "error", single, alone(counts) if len(counts) == 1 else []),
        *_same_names(listing),
        *_imbalance(counts),
    ]
    return [finding for finding in findings if finding.files]


def _same_names(listing: Listing) -> list[Finding]:
    classes = alike(listing.labels)
    files = alike((photo.path for photo in listing.photos), fold)
    classes_are = (
        "class names differ by case, blanks, `_`, `-` or Unicode form only: move their photos into one folder if they "
        "are one class, else give them names that differ in more"
    )
    files_are = "file names differ by case or Unicode form only: macOS and Windows keep one"
    return [
        Finding("class names", "error", f"{len(classes)} groups of {classes_are}", classes),
        Finding("file names", "warning", f"{len(files)} groups of {files_are}", files),
    ]


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
