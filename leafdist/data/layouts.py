"""Recognises how a folder of photos is laid out, and says what to do where it is not train, val and test."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from leafdist.data.photos import SPLITS, folders_in
from leafdist.system.console import command

_OTHER_NAMES = {"training": "train", "tr": "train", "testing": "test", "tests": "test", "holdout": "test", "te": "test"}
_OTHER_NAMES |= dict.fromkeys(("valid", "validation", "validate", "validating", "dev", "eval", "va"), "val")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".zst", ".xz", ".bz2", ".txz", ".tbz2", ".7z", ".rar")


def split_of(name: str) -> str:
    """Return the split that a folder name stands for, such as val for `Validation`; empty if for none."""
    plain = re.sub(r"[\W_]+|(set|data|images)$", "", name.casefold())
    return plain if plain in SPLITS else _OTHER_NAMES.get(plain, "")


def one_form(name: str) -> str:
    """Return a form that is equal for names that differ by case, blanks, underscores, hyphens or Unicode form only."""
    return " ".join(re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name)).casefold().split())


def alike(names: Iterable[str], form: Callable[[str], str] = one_form) -> list[tuple[str, ...]]:
    """List the groups of names that have one form."""
    groups = defaultdict(list)
    for name in names:
        groups[form(name)].append(name)
    return [tuple(sorted(group)) for group in groups.values() if len(group) > 1]


def check_spelling(folder: Path, classes: Iterable[str]) -> None:
    """Raises ValueError where two classes of `folder` differ by case, blanks, `_`, `-` or Unicode form only."""
    for first, second, *_ in alike(classes):
        raise ValueError(
            f"{folder}: the classes {first!r} and {second!r} differ by case, blanks, `_`, `-` or Unicode form "
            f"only. Give them names that differ in more, or move the photos of one to the other if they are one class"
        )


def check_local(path: Path) -> None:
    """Raises ValueError where `path` is an address or an archive, with the command that makes a folder of it."""
    text = str(path)
    if re.match(r"[a-z][a-z0-9+]+:/", text) and not path.exists():  # a Path of https://host has lost a slash
        raise ValueError(f"{text} is an address, no folder. `leafdist fetch ADDRESS raw` makes a folder of an archive")
    if path.is_file():
        archive = path.name.lower().endswith(_ARCHIVES)
        way = "Name the folder that holds the class folders"
        if archive:
            way = f"`{command('leafdist', 'fetch', path, 'NEW')}` unpacks it"
        raise ValueError(f"{path} is {'an archive' if archive else 'a file'}, no folder. {way}")


def check_split(root: Path, split: str) -> None:
    """Raises ValueError where `root/split` is missing, with the advice that fits what is there instead."""
    if (root / split).is_dir():
        return
    check_local(root)
    if not root.is_dir():
        raise ValueError(
            f"{root / split} does not exist, nor does {root}: it must be a folder of train, val and test. Point to "
            "such a folder, or make one with `leafdist split RAW DEST` or `leafdist sample-data DEST`"
        )
    raise ValueError(f"{root / split} does not exist: {_what_is_there(root, split)}")


def _what_is_there(root: Path, split: str) -> str:
    inside = {path.name: split_of(path.name) for path in folders_in(root)}
    if name := next((name for name, meant in inside.items() if meant == split), None):
        return f"{root} calls it {name!r}. Rename it: {command('mv', root / name, root / split)}"
    if "train" in inside.values():
        if split == "test":
            return f"{root} holds no photos to test on. Name another split, or split the photos anew"
        anew = command("leafdist", "split", root, "NEW", "--layout", "split/class")
        return (
            f"{root} has {', '.join(sorted(inside))} and nothing to choose the best epoch by. `{anew}` deals all "
            f"photos anew; or split {root / 'train'} alone and judge the run on "
            "your own test photos with `evaluate.py RUN --data`"
        )
    near = [path for depth in ("*/*", "*/*/*") for path in root.glob(depth)]
    if deeper := {path.parent for path in near if split_of(path.name) == split and path.is_dir()}:
        return f"it lies in {min(deeper)}. Name that folder"
    there = "is not split into train, val and test" if inside else "holds no folder"
    return f"{root} {there}. `leafdist split RAW NEW` makes such a folder NEW of class folders in RAW"


def refuse_other_classes(folder: Path, found: Collection[str], known: Collection[str], *, missing: bool) -> None:
    """Raises ValueError where `folder` has a class that train lacks or, if `missing` counts, lacks one that it has."""
    extra, lacking = sorted(set(found) - set(known)), sorted(set(known) - set(found))
    spelt = {one_form(name): name for name in lacking}
    for name in extra:
        if meant := spelt.get(one_form(name)):
            raise ValueError(
                f"{folder / name}: class {name!r} is spelt {meant!r} in train. Rename it: "
                f"{command('mv', folder / name, folder / meant)}"
            )
        raise ValueError(
            f"{folder / name}: class {name!r} is not a class of train. Add photos of it to train, or move it elsewhere"
        )
    if lacking and missing:
        raise ValueError(
            f"{folder} lacks the class {lacking[0]!r} of train: without it the best epoch cannot be chosen fairly. "
            "Move some of its photos there, or split again"
        )
