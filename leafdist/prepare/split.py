"""Splits raw class folders into `train`, `val` and `test`: 60/20/20 per class, as the protocol counts it.

`split.json` is written last and makes the split exist; until then a marker file says that it is unfinished.
"""

import errno
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Literal

from leafdist.data.folds import fold_name
from leafdist.data.groups import read_groups, unknown_classes
from leafdist.data.photos import below_single_folders, ending, in_words, list_classes, list_images
from leafdist.data.split_report import NEAR, Grouping, SplitReport
from leafdist.prepare.partition import RATIOS, ClassSplit, Groups, Photo, fold, split_classes
from leafdist.prepare.unfinished import unfinished
from leafdist.system.files import sha256, write_json
from leafdist.system.processes import usable_cores

FORMAT = 1
SMALLEST = 5  # photos per class: with fewer floor(0.2 n) is 0

WITHOUT = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # no hard link here

Mode = Literal["copy", "hardlink", "symlink"]
Order = Literal["shuffled", "listed"]
Say = Callable[[str], None]
Plan = dict[str, ClassSplit]


def split(
    raw: Path,
    dest: Path,
    *,
    order: Order = "shuffled",
    seed: int = 0,
    groups: Path | Literal["near"] | None = None,
    folds: int | None = None,
    mode: Mode = "copy",
    say: Say = print,
) -> SplitReport:
    """Put the photos of `raw/<class>/` into `dest/{train,val,test}/<class>/`; return what `split.json` holds.

    The class folders may lie below single folders, as in archives. A class of n photos gives floor(0.6 n), floor(0.2 n)
    and floor(0.2 n); up to two are left over. order="listed": by name, for the protocol's listing order, which
    os.listdir leaves undefined. groups: a TSV with the columns class, stem and leaf_id; the photos of a leaf stay
    together, the ratios are met as well as whole leaves allow, none is left over, and a photo without an id is a leaf
    of its own; NEAR groups by likeness and file numbers. folds: a fifth goes to test, the rest to that many parts;
    `dest/fold-k/{train,val,test}` has part k as val, the others as train. An interrupted split starts over. Raises
    ValueError for input that it cannot split, before anything is written.
    """
    if order not in ("shuffled", "listed"):
        raise ValueError(f"order {order!r}: must be 'shuffled' or 'listed'")
    if folds is not None and folds < 2:
        raise ValueError(f"--folds {folds}: must be at least 2; leave it out for one split")
    _check_apart(raw, dest)
    raw = below_single_folders(raw)
    names, others = list_photos(raw, order, seed)
    skipped = {label: kinds.total() for label, kinds in others.items()}
    if kinds := sum(others.values(), Counter()):
        say(f"passed over, since they are no photos: {in_words(kinds)}")
    if heic := sum(ending(file) in (".heic", ".heif") for files in names.values() for file in files):
        say(f"HEIC photos, which training cannot read: {heic}. Convert them to JPEG and split again")
    found, facts = find_groups(raw, names, groups, say)
    plan = split_classes(names, skipped, found, folds)
    facts = replace(facts, format=FORMAT, seed=seed, order=order, mode=mode)
    with unfinished(dest, say):
        if folds is None:
            _put(raw, dest, plan, mode, {})
            report = _report(plan, facts)
        else:
            report = _fold(raw, dest, plan, facts, mode)
        os.sync()  # the photos are on the disk before split.json says so
        write_json(dest / "split.json", report.json())
    return report


def _check_apart(raw: Path, dest: Path) -> None:
    source, target = raw.resolve(), dest.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise ValueError(
            f"{dest} and {raw} lie within each other: the split would be read as photos. Name another folder"
        )


def list_photos(raw: Path, order: Order, seed: int) -> tuple[dict[str, list[str]], dict[str, Counter[str]]]:
    """List the file names of each class in the order of dealing, and count its entries that are no photos, by kind."""
    names, others = {}, {}
    for label in list_classes(raw):
        entries, others[label] = list_images(raw / label)
        names[label] = files = [entry.name for entry in entries]
        if not files:
            raise ValueError(
                f"{raw / label} holds no photo: every class needs {SMALLEST}. Remove it, or name the folder of the "
                "classes"
            )
        if len(files) < SMALLEST:
            raise ValueError(
                f"class {label!r} has {len(files)} photos: each split needs one, so a class needs {SMALLEST}. "
                f"Add photos or remove the folder"
            )
        if order == "shuffled":
            files.sort(key=lambda file: _key(seed, label, file))  # sorted before the next label
    return names, others


def _key(seed: int, name: str, file: str) -> bytes:
    """A photo's sort key in the shuffle: the same on every platform, whatever other classes and photos there are."""
    return hashlib.sha256(os.fsencode(f"{seed}/{name}/{file}")).digest()


def find_groups(
    raw: Path, names: dict[str, list[str]], groups: Path | Literal["near"] | None, say: Say
) -> tuple[Groups | None, SplitReport]:
    """Find which photos stay together; return that and a report that says how. Raises ValueError."""
    if groups is None:
        return None, SplitReport()
    if isinstance(groups, str):
        return _near(raw, names)
    ids = read_groups(groups)
    if unknown := unknown_classes(ids, names, groups):
        say(f"{groups} names {len(unknown)} classes that {raw} lacks: {', '.join(unknown)}")
    found: dict[Photo, tuple[str, str]] = {}
    for label, files in names.items():
        found |= {(label, file): (label, leaf) for file in files if (leaf := ids.get((label, Path(file).stem)))}
    if not found:
        raise ValueError(
            f"{groups} names no photo of {raw}: class and stem must be folder and file name without ending"
        )
    classes = Counter(leaf for _, leaf in set(found.values()))
    if several := [leaf for leaf, count in classes.items() if count > 1]:
        say(f"{len(several)} leaf ids stand in several classes, such as {several[0]!r}: each class has its own leaves")
    return found, SplitReport(groups=sha256(groups))


def _near(raw: Path, names: dict[str, list[str]]) -> tuple[Groups, SplitReport]:
    from leafdist.prepare.grouping import near_groups  # noqa: PLC0415  # imports scipy

    photos = [(label, file) for label, files in names.items() for file in files]
    numbers = near_groups(raw, sorted(photos), usable_cores())
    found = dict(zip(sorted(photos), numbers.tolist(), strict=True))
    sizes = Counter(found.values())
    classes = Counter(number for _, number in {(label, number) for (label, _), number in found.items()})
    across = sum(count > 1 for count in classes.values())
    return found, SplitReport(groups=NEAR, grouping=Grouping(len(sizes), max(sizes.values()), across))


def _fold(raw: Path, dest: Path, plan: Plan, facts: SplitReport, mode: Mode) -> SplitReport:
    """Make every fold a split of its own. A photo is copied once; the other folds have hard links to the copy."""
    folds = len(next(iter(plan.values())).parts) - 1  # the last part is test
    folders = [dest / fold_name(number) for number in range(folds)]
    plans = [
        {label: planned._replace(parts=fold(planned.parts, number)) for label, planned in plan.items()}
        for number in range(folds)
    ]
    copies = {photo: target for target, photo in _targets(folders[0], plans[0])} if mode == "copy" else {}
    for number, folder in enumerate(folders):
        sources = copies if number else {}
        _put(raw, folder, plans[number], "hardlink" if sources else mode, sources)
        write_json(folder / "split.json", _report(plans[number], replace(facts, fold=number)).json())
    return replace(facts, folds=folds, totals=_report(plan, facts).totals)


def _put(raw: Path, dest: Path, plan: Plan, mode: Mode, sources: dict[Photo, Path]) -> None:
    """Transfer photos from `sources`, else from `raw`, one folder at a time, which bounds the queue in memory."""
    for folder, files in groupby(_targets(dest, plan), lambda item: item[0].parent):
        folder.mkdir(parents=True)
        transfer(((sources.get(photo, raw / "/".join(photo)), target) for target, photo in files), mode)


def transfer(pairs: Iterable[tuple[Path, Path]], mode: Mode) -> None:
    """Put each source at its target, whose folder exists.

    A copy has the content only, not the permissions; a symlink names the absolute path of the source and breaks when
    that moves. Raises ValueError where no hard link can be made, OSError for other failures.
    """
    way: dict[str, Callable[[Path, Path], object]] = {
        "copy": shutil.copyfile,
        "hardlink": _link,
        "symlink": lambda source, target: target.symlink_to(source.resolve()),
    }
    with ThreadPoolExecutor(8) as pool:  # waits overlap on network file systems
        for _ in pool.map(lambda pair: way[mode](*pair), pairs):
            pass  # raises what a thread raised


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)  # of a symlink, what it leads to
    except OSError as error:
        if error.errno not in WITHOUT:
            raise
        raise ValueError(
            f"{target}: no hard link to {source} ({error.strerror}): both must be of this user and on one file system "
            "that has links. Use --mode copy or symlink"
        ) from error


def _targets(dest: Path, plan: Plan) -> Iterator[tuple[Path, Photo]]:
    for label, planned in plan.items():
        for part, files in planned.parts.items():
            yield from ((dest / part / label / file, (label, file)) for file in files)


def _report(plan: Plan, facts: SplitReport) -> SplitReport:
    """The facts with counts and digests."""
    counts = {label: planned.counts() for label, planned in plan.items()}
    totals: Counter[str] = Counter()
    for count in counts.values():
        totals.update(count)
    parts = next(iter(plan.values())).parts
    ratios = {part: tenths / 10 for part, tenths in RATIOS.items()}
    digests = {part: _digest(plan, part) for part in parts}
    return replace(facts, ratios=ratios, totals=dict(totals), classes=counts, digests=digests)


def _digest(plan: Plan, part: str) -> str:
    """SHA-256 of the sorted lines `class/name`."""
    lines = sorted(f"{label}/{file}" for label, planned in plan.items() for file in planned.parts[part])
    return hashlib.sha256(os.fsencode("".join(f"{line}\n" for line in lines))).hexdigest()
