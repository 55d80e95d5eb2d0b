"""Raw class folders to `train`, `val` and `test`: 60/20/20 a class, as the protocol counts it.

`split.json` is written last and is what makes a split exist; until then a marker file says that it is unfinished.
"""

import fcntl
import hashlib
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from leafdist.data.groups import LeafIds, read_groups
from leafdist.data.images import UNFINISHED, list_classes, list_images
from leafdist.files import flush, sha256, write_json

FORMAT = 1
RATIOS = {"train": 6, "val": 2, "test": 2}  # tenths
SMALLEST = 5  # photos a class: below it floor(0.2 n) is 0

Order = Literal["shuffled", "listed"]


class ClassSplit(NamedTuple):
    parts: dict[str, list[str]]  # split to file names
    left_over: int
    skipped: int
    without_id: int

    def counts(self) -> dict[str, int]:
        return {name: len(files) for name, files in self.parts.items()} | {
            "left_over": self.left_over,
            "skipped": self.skipped,
            "without_id": self.without_id,
        }


def split(
    raw: Path,
    dest: Path,
    *,
    order: Order = "shuffled",
    seed: int = 0,
    groups: Path | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Copy the photos of `raw/<class>/` to `dest/{train,val,test}/<class>/`; returns the content of `dest/split.json`.

    A class of n photos gives floor(0.6 n), floor(0.2 n) and floor(0.2 n); up to two are left over and unused. `listed`
    takes them in listing order, as the protocol does, which means sorted by name here, since the order of os.listdir
    is not defined. `groups` is a TSV with the columns class, stem and leaf_id: all photos of one leaf go to one side,
    the ratios are met as well as whole leaves can, and no photo is left over; a photo without an id is a leaf of its
    own. An interrupted split starts over. Raises ValueError for input it cannot split, before anything is copied.
    """
    if order not in ("shuffled", "listed"):
        raise ValueError(f"order {order!r}: must be 'shuffled' or 'listed'")
    _check_apart(raw, dest)
    ids = read_groups(groups) if groups else None
    plan = {name: _plan_class(raw, name, order, seed, ids) for name in list_classes(raw)}
    if ids is not None and sum(part.without_id for part in plan.values()) == _photos(plan):
        raise ValueError(
            f"{groups} names no photo of {raw}: class and stem must be folder and file name without ending"
        )
    with _unfinished(dest, say):
        _copy(raw, dest, plan)
        report = _report(plan, order, seed, groups)
        os.sync()  # the photos are on the disk before split.json says so
        write_json(dest / "split.json", report)
    return report


def _check_apart(raw: Path, dest: Path) -> None:
    source, target = raw.resolve(), dest.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise ValueError(
            f"{dest} and {raw} lie within each other: the split would be read as photos. Name another folder"
        )


def _plan_class(raw: Path, name: str, order: Order, seed: int, ids: LeafIds | None) -> ClassSplit:
    entries, skipped = list_images(raw / name)
    names = [entry.name for entry in entries]
    if not names:
        raise ValueError(
            f"{raw / name} holds no photo: every class needs {SMALLEST}. Remove it, or name the folder of the classes"
        )
    if len(names) < SMALLEST:
        raise ValueError(
            f"class {name!r} has {len(names)} photos: each split needs one, so a class needs {SMALLEST}. "
            f"Add photos or remove the folder"
        )
    if order == "shuffled":
        names.sort(key=lambda file: _key(seed, name, file))
    if ids is None:
        parts = take(names)
        return ClassSplit(parts, len(names) - sum(map(len, parts.values())), skipped, 0)
    leaves, without_id = _leaves(name, names, ids)
    if len(leaves) < len(RATIOS):
        raise ValueError(
            f"class {name!r} shows {len(leaves)} leaves: each split needs one, so a class needs 3. Add photos"
        )
    return ClassSplit(take_groups(leaves), 0, skipped, without_id)


def _key(seed: int, name: str, file: str) -> bytes:
    """A photo's place in the shuffle: the same on every platform, and whatever other classes and photos there are."""
    return hashlib.sha256(os.fsencode(f"{seed}/{name}/{file}")).digest()


def take(names: Sequence[str]) -> dict[str, list[str]]:
    """The first floor(0.6 n) to train, the next floor(0.2 n) to val, the next floor(0.2 n) to test."""
    parts, start = {}, 0
    for part, tenths in RATIOS.items():
        stop = start + tenths * len(names) // 10
        parts[part] = list(names[start:stop])
        start = stop
    return parts


def take_groups(groups: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Whole groups, the largest first, each to the split that lacks most photos; the last fill splits still empty."""
    parts: dict[str, list[str]] = {part: [] for part in RATIOS}
    total = sum(map(len, groups))
    ordered = sorted(groups, key=len, reverse=True)  # stable: equal sizes stay in their order
    for left, group in zip(range(len(ordered), 0, -1), ordered, strict=True):
        empty = [part for part in parts if not parts[part]]
        choice = empty if left <= len(empty) else parts
        neediest = max(choice, key=lambda part: RATIOS[part] * total - 10 * len(parts[part]))
        parts[neediest].extend(group)
    return parts


def _leaves(name: str, names: Sequence[str], ids: LeafIds) -> tuple[list[list[str]], int]:
    """Photos by leaf, in the order of each leaf's first one, and how many have no id. Ids count within their class."""
    leaves: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    for file in names:
        leaf = ids.get((name, Path(file).stem))
        leaves[leaf or file, leaf is None].append(file)
    return list(leaves.values()), sum(alone for _, alone in leaves)


@contextmanager
def _unfinished(dest: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the marker while the split is made; clear what an interrupted one left. Refuses anything else in there."""
    _check_vacant(dest)
    dest.mkdir(parents=True, exist_ok=True)
    marker = dest / UNFINISHED
    with marker.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{dest} is being written by another split. Wait for it, or name another folder"
            ) from error
        _check_vacant(dest)  # the one before may have finished in between
        flush(marker)
        flush(dest)
        left = [path for path in dest.iterdir() if path != marker]
        if left:
            say(f"{dest}: a split was interrupted here; starting over")
        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield
        marker.unlink()


def _check_vacant(dest: Path) -> None:
    found = set(os.listdir(dest)) if dest.exists() else set()  # noqa: PTH208 (names are all that is asked)
    ours = (
        {name for name in found if name in RATIOS or name.startswith(".split.json.")} if UNFINISHED in found else set()
    )
    foreign = sorted(found - ours - {UNFINISHED})
    if foreign:
        raise ValueError(
            f"{dest} is not empty ({foreign[0]}): a split needs a folder of its own. Remove it or name another"
        )


def _copy(raw: Path, dest: Path, plan: dict[str, ClassSplit]) -> None:
    pairs = []
    for name, planned in plan.items():
        for part, files in planned.parts.items():
            folder = dest / part / name
            folder.mkdir(parents=True)
            pairs += [(raw / name / file, folder / file) for file in files]
    with ThreadPoolExecutor(8) as pool:  # waits overlap on network file systems
        for _ in pool.map(lambda pair: shutil.copyfile(*pair), pairs):
            pass  # raises what a copy raised


def _report(plan: dict[str, ClassSplit], order: Order, seed: int, groups: Path | None) -> dict[str, Any]:
    counts = {name: planned.counts() for name, planned in plan.items()}
    totals: Counter[str] = Counter()
    for count in counts.values():
        totals.update(count)
    return {
        "format": FORMAT,
        "ratios": {part: tenths / 10 for part, tenths in RATIOS.items()},
        "seed": seed,
        "order": order,
        "groups": sha256(groups) if groups else None,
        "totals": dict(totals),
        "classes": counts,
        "digests": {part: _digest(plan, part) for part in RATIOS},
    }


def _digest(plan: dict[str, ClassSplit], part: str) -> str:
    """SHA-256 of the sorted lines `class/name`."""
    lines = sorted(f"{name}/{file}" for name, planned in plan.items() for file in planned.parts[part])
    return hashlib.sha256(os.fsencode("".join(f"{line}\n" for line in lines))).hexdigest()


def _photos(plan: dict[str, ClassSplit]) -> int:
    return sum(planned.left_over + sum(map(len, planned.parts.values())) for planned in plan.values())
