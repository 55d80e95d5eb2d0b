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
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal, cast

from leafdist.data.folds import fold_name
from leafdist.data.labels import counts_of, read_labels
from leafdist.data.layouts import check_spelling
from leafdist.data.photos import ending, in_words
from leafdist.data.split_report import SplitReport
from leafdist.prepare.keep_together import find_groups
from leafdist.prepare.partition import RATIOS, ClassSplit, Photo, fold, split_classes
from leafdist.prepare.raw_layout import RawPhotos, find_photos
from leafdist.prepare.relabel_raw import relabel_raw
from leafdist.prepare.unfinished import unfinished
from leafdist.system.console import counted
from leafdist.system.files import write_json

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
    groups: Path | None = None,
    near: bool = False,
    layout: str | None = None,
    folds: int | None = None,
    few: int | None = None,
    mode: Mode = "copy",
    labels: Path | None = None,
    say: Say = print,
) -> SplitReport:
    """Put the photos of `raw` into `dest/{train,val,test}/<class>/`; return what `split.json` holds.

    layout: how the photos lie in `raw`, where that is not to be recognised: see `find_photos`. All photos are dealt;
    only order="listed" without groups or folds takes them by name, floor(0.6 n), floor(0.2 n) and floor(0.2 n) of a
    class, and leaves up to two over, as the protocol does. groups: a TSV or CSV file with the columns class, stem and
    leaf_id; the photos of a leaf stay together, and the ratios are met as well as whole leaves allow. near: so do
    photos that look alike, and those without an id whose file numbers follow each other.
    folds: a fifth goes to test, the rest to that many parts; `dest/fold-k/{train,val,test}` has part k as val, the
    others as train. few: that many photos of each class are train, all other groups are test, and there is no val.
    labels: a labels.tsv; photos are moved and dropped first. An interrupted split starts over. Raises ValueError for
    input that it cannot split, before anything is written.
    """
    _check_asked(order, folds, few)
    _check_apart(raw, dest)
    photos = find_photos(raw, layout)
    for remark in photos.remarks:
        say(remark)
    if kinds := sum(photos.others.values(), Counter[str]()):
        say(f"skipped, since they are no photos: {in_words(kinds)}")
    counts = None
    if labels:
        rows = read_labels(labels)
        photos, counts = relabel_raw(photos, rows), counts_of(labels, rows)
        say(f"{labels}: {counts.words()}")
    names = in_order(photos, order, seed)
    if heic := sum(ending(file) in (".heic", ".heif") for files in names.values() for file in files):
        say(f"HEIC photos, which training cannot read: {heic}. Convert them to JPEG, move them elsewhere, split again")
    together = find_groups(photos, names, groups, say, near=near)
    floors, skipped = order == "listed", {label: kinds.total() for label, kinds in photos.others.items()}
    plan = split_classes(names, skipped, together.groups, folds, few, floors=floors, without_id=together.without_id)
    raw, sources = photos.root, {photo: photos.path(photo) for photo in photos.sources}
    facts = replace(together.report, format=FORMAT, seed=seed, order=order, mode=mode, few=few, labels=counts)
    with unfinished(dest, say):
        if folds is None:
            _put(raw, dest, plan, mode, sources)
            report = _report(plan, facts)
        else:
            report = _fold(raw, dest, plan, facts, sources)
        os.sync()  # the photos are on the disk before split.json says so
        write_json(dest / "split.json", report.json())
    return report


def _check_asked(order: str, folds: int | None, few: int | None) -> None:
    if folds is not None and folds < 2:
        raise ValueError(f"--folds {folds}: must be at least 2; leave it out for one split")
    if few is not None and few < 1:
        raise ValueError(f"--few {few}: must be at least 1 photo of each class")
    if few is not None and (folds is not None or order == "listed"):
        other = "--order listed" if folds is None else f"--folds {folds}"
        raise ValueError(f"--few {few} with {other}: --few makes one split, of photos that are drawn. Leave one out")


def _check_apart(raw: Path, dest: Path) -> None:
    source, target = raw.resolve(), dest.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise ValueError(
            f"{dest} and {raw} lie within each other: the split would be read as photos. Name another folder"
        )


def in_order(raw: RawPhotos, order: Order, seed: int) -> dict[str, list[str]]:
    """Return the file names of each class in the order of dealing. Raises ValueError for a class that is too small."""
    check_spelling(raw.root, raw.names)
    for label, files in raw.names.items():
        if not files:
            raise ValueError(
                f"{raw.root / label} holds no photo, nor do folders in it: every class needs {SMALLEST}. Move it "
                "elsewhere, or name the folder of the classes"
            )
        if len(files) < SMALLEST:
            raise ValueError(
                f"class {label!r} has {counted(len(files), 'photo')}: every class needs {SMALLEST}. "
                f"Add photos, or move the class elsewhere"
            )
    if order == "listed":
        return raw.names
    return {label: sorted(files, key=partial(_key, seed, label)) for label, files in raw.names.items()}


def _key(seed: int, name: str, file: str) -> bytes:
    """A photo's sort key in the shuffle: the same on every platform, whatever other classes and photos there are."""
    return hashlib.sha256(os.fsencode(f"{seed}/{name}/{file}")).digest()


def _fold(raw: Path, dest: Path, plan: Plan, facts: SplitReport, sources: dict[Photo, Path]) -> SplitReport:
    """Make every fold a split of its own. A photo is copied once; the other folds have hard links to the copy, or
    copies where the file system has none."""
    mode = cast("Mode", facts.mode)
    folds = len(next(iter(plan.values())).parts) - 1  # the last part is test
    folders = [dest / fold_name(number) for number in range(folds)]
    plans = [{name: one._replace(parts=fold(one.parts, k)) for name, one in plan.items()} for k in range(folds)]
    copies = {photo: target for target, photo in _targets(folders[0], plans[0])} if mode == "copy" else {}
    for number, folder in enumerate(folders):
        again = mode == "copy" and number > 0
        _put(raw, folder, plans[number], "link or copy" if again else mode, copies if again else sources)
        write_json(folder / "split.json", _report(plans[number], replace(facts, fold=number)).json())
    return replace(facts, folds=folds, totals=_report(plan, facts).totals)


def _put(raw: Path, dest: Path, plan: Plan, mode: Mode | Literal["link or copy"], sources: dict[Photo, Path]) -> None:
    """Transfer photos from `sources`, else from `raw`, one folder at a time, which bounds the queue in memory."""
    for folder, files in groupby(_targets(dest, plan), lambda item: item[0].parent):
        folder.mkdir(parents=True)
        transfer(((sources.get(photo, raw / "/".join(photo)), target) for target, photo in files), mode)


def transfer(pairs: Iterable[tuple[Path, Path]], mode: Mode | Literal["link or copy"]) -> None:
    """Put each source at its target, whose folder exists.

    A copy has the content only, not the permissions; a symlink names the absolute path of the source and breaks when
    that moves. Raises ValueError where no hard link can be made, OSError for other failures.
    """
    way: dict[str, Callable[[Path, Path], object]] = {
        "copy": shutil.copyfile,
        "hardlink": _link,
        "link or copy": _link_or_copy,
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


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in WITHOUT:
            raise
        shutil.copyfile(source, target)


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
    ratios = {} if facts.few or facts.fold is not None else {part: tenths / 10 for part, tenths in RATIOS.items()}
    digests = {part: _digest(plan, part) for part in parts}
    return replace(facts, ratios=ratios, totals=dict(totals), classes=counts, digests=digests)


def _digest(plan: Plan, part: str) -> str:
    """SHA-256 of the sorted lines `class/name`."""
    lines = sorted(f"{label}/{file}" for label, planned in plan.items() for file in planned.parts[part])
    return hashlib.sha256(os.fsencode("".join(f"{line}\n" for line in lines))).hexdigest()
