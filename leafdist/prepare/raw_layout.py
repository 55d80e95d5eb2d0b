"""Finds the photos and classes of a raw folder, however deep they lie: crop/disease/photo and class/date/photo too."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from leafdist.data.layouts import check_local, split_of
from leafdist.data.photos import folders_in, list_classes, list_images
from leafdist.prepare.partition import Photo

Parts = tuple[str, ...]  # the folders between the raw folder and a photo
NAMING = ("crop", "disease", "class")  # words of --layout whose folders name the class
JOIN, INNER = "___", "__"  # between crop and disease; between inner folder and file, where file names recur
MOST = 8  # folders below each other
ALONE = "images? imgs? photos? pictures? pics? jpe?g png dcim originals? camera"
NUMBERED = (
    "date day week month session batch visit part set plot field block row tree plant leaf sample "
    "jan(uary)? feb(ruary)? mar(ch)? apr(il)? may june? july? aug(ust)? sep(t(ember)?)? oct(ober)? nov(ember)? "
    "dec(ember)?"
)
_ALONE, _NUMBERED = (re.compile("|".join(words.split())) for words in (ALONE, f"{ALONE} {NUMBERED}"))
_YEAR = re.compile(r"(19|20)\d\d((0[1-9]|1[0-2])([0-2]\d|3[01])(\d{4}|\d{6})?)?")


@dataclass
class RawPhotos:
    """names: file names by class, as a split has them; sources: where photos lie below root if not at class/name;
    others: entries of each class that are no photos, by kind; remarks: what is left out or renamed, a sentence each;
    given: the class and name with which photos lie that labels.tsv moved."""

    root: Path
    names: dict[str, list[str]] = field(default_factory=dict)
    sources: dict[Photo, str] = field(default_factory=dict)
    others: dict[str, Counter[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    given: dict[Photo, Photo] = field(default_factory=dict)

    def at(self, photo: Photo) -> str:
        """Return the path of a photo below `root`."""
        return self.sources.get(photo, "/".join(photo))

    def path(self, photo: Photo) -> Path:
        """Return the file of a photo."""
        return self.root / self.at(photo)

    def as_given(self, photo: Photo) -> Photo:
        """Return the class and name with which a photo lies."""
        return self.given.get(photo, photo)


def find_photos(raw: Path, layout: str | None = None) -> RawPhotos:
    """Find the photos by class; layout: one word per folder level, such as `crop/disease` or `class/date`.

    Without a layout it is recognised: single folders around the classes, and folders of dates or sessions, name no
    class. Raises ValueError where that could be read in two ways, or there is no class folder.
    """
    check_local(raw)
    list_classes(raw)
    words = _words(layout)
    folders, others = _survey(raw, ())
    filled = [parts for parts, files in folders.items() if files and parts]
    labels, top = _by_words(filled, words) if words else _recognised(raw, filled)
    found = RawPhotos(raw.joinpath(*top))
    left = {parts: files for parts, files in folders.items() if files and parts not in labels}
    if left:
        example = "/".join((*next(iter(left)), next(iter(left.values()))[0]))
        count = sum(map(len, left.values()))
        way = "" if words else ". --layout class takes in what lies below a class folder too"
        found.remarks.append(f"left out: {count} photos that lie outside of the class folders, such as {example}{way}")
    empty = {p[-1] for p in folders if len(p) == len(top) + 1 and p[:-1] == top and not words}
    used = {part for parts in filled for part in parts}
    found.names = {label: [] for label in sorted({*labels.values(), *(empty - used)})}
    inside: defaultdict[str, list[tuple[Parts, str]]] = defaultdict(list)
    for parts, label in labels.items():
        inside[label] += [(parts[len(top) :], file) for file in folders[parts]]
        found.others[label] = found.others.get(label, Counter()) + others[parts]
    for label, photos in inside.items():
        _name(found, label, photos)
    return found


def _words(layout: str | None) -> list[str]:
    words = layout.split("/") if layout else []
    if words and (not set(words).intersection(NAMING) or not all(words)):
        raise ValueError(
            f"--layout {layout}: must be one word per folder level, with 'class', 'crop' or 'disease' for those that "
            "name the class, such as crop/disease or class/date"
        )
    return words


def _survey(folder: Path, parts: Parts) -> tuple[dict[Parts, list[str]], dict[Parts, Counter[str]]]:
    """List the photos, and count the other files, of each folder below; a link back up is not followed."""
    photos, kinds = list_images(folder)
    del kinds["folder"]
    found, others = {parts: [entry.name for entry in photos]}, {parts: kinds}
    for path in folders_in(folder) if len(parts) < MOST else ():
        if not (path.is_symlink() and folder.resolve().is_relative_to(path.resolve())):
            below = _survey(path, (*parts, path.name))
            found |= below[0]
            others |= below[1]
    return found, others


def _by_words(folders: Collection[Parts], words: list[str]) -> tuple[dict[Parts, str], Parts]:
    """Name the class of each folder as the words say; what lies deeper belongs to it, what lies higher is left out."""
    top = _shared(folders, len(words))
    naming = [len(top) + level for level, word in enumerate(words) if word in NAMING]
    deep = [parts for parts in folders if len(parts) >= len(top) + len(words)]
    if not deep:
        raise ValueError(f"--layout {'/'.join(words)}: no photo lies {len(words)} folders deep. Correct it")
    return {parts: JOIN.join(parts[level] for level in naming) for parts in deep}, top


def _shared(folders: Collection[Parts], levels: int) -> Parts:
    """The single folders around all of `folders`, so that each keeps `levels` of its own."""
    top: Parts = ()
    while (
        folders and all(len(p) > len(top) + levels for p in folders) and len({p[: len(top) + 1] for p in folders}) == 1
    ):
        top = next(iter(folders))[: len(top) + 1]
    return top


def _recognised(raw: Path, folders: Collection[Parts]) -> tuple[dict[Parts, str], Parts]:
    """Name the class of each folder by what the names say; folders of dates or sessions say nothing."""
    cores = {parts: _without_sessions(parts) for parts in folders}
    top = _shared(list(cores.values()), 1)
    start = len(top)
    if cores and all(is_session(core[start]) for core in cores.values()):
        if not all(len(core) > start + 1 for core in cores.values()):
            raise ValueError(
                f"{raw.joinpath(*top)}: its folders have the names of dates or sessions, such as "
                f"{next(iter(cores.values()))[start]!r}, and not of classes. Name the folder of the class folders"
            )
        start += 1
    if odd := sorted(core[start] for core in cores.values() if is_session(core[start])):
        raise ValueError(
            f"{raw.joinpath(*top)}: {odd[0]!r} lies beside class folders and has the name of a date or session. Move "
            "it elsewhere, or say --layout class if it is a class"
        )
    heads = {core[start] for core in cores.values()}
    direct = {core[start] for core in cores.values() if len(core) == start + 1}
    seconds = {core[start + 1] for core in cores.values() if len(core) > start + 1}
    if seconds and not heads <= direct:
        depth = _class_levels(raw.joinpath(*top), heads, seconds, {len(core) - start for core in cores.values()})
        return {parts: JOIN.join(core[start : start + depth]) for parts, core in cores.items()}, top
    return {parts: core[start] for parts, core in cores.items() if len(core) == start + 1}, top


def _without_sessions(parts: Parts) -> Parts:
    while len(parts) > 1 and is_session(parts[-1]):
        parts = parts[:-1]
    return parts


def is_session(name: str) -> bool:
    """Tell whether a folder name says when, where or by what photos were taken: a date, `day 3`, `images`."""
    tokens = re.findall(r"[^\W\d_]+|\d+", name.casefold())
    words, numbers = [t for t in tokens if not t.isdigit()], [t for t in tokens if t.isdigit()]
    if not numbers:
        return bool(words) and all(_ALONE.fullmatch(word) for word in words)
    known = all(_NUMBERED.fullmatch(word) for word in words)
    return known and (bool(words) or any(_YEAR.fullmatch(number) for number in numbers))


def _is_healthy(name: str) -> bool:
    return bool(re.search(r"\b(healthy?|normal)\b", re.sub(r"[\W_]+", " ", name.casefold())))


def _class_levels(root: Path, heads: Collection[str], seconds: Collection[str], depths: set[int]) -> int:
    """The number of folder levels that name the class, where photos lie deeper. Raises ValueError where it is open."""
    whole = [JOIN in name for name in heads]
    if all(split_of(name) for name in heads):
        raise ValueError(
            f"{root} is split already, into {', '.join(sorted(heads))}. Train on it as it is (data.root), or deal all "
            "photos anew with --layout split/class"
        )
    if any(whole) or any(map(_is_healthy, heads)):
        return 1
    if depths == {2} and not any(JOIN in name for name in seconds) and any(map(_is_healthy, seconds)):
        return 2
    first, second = min(heads), min(seconds)
    raise ValueError(
        f"{root}: photos lie {max(depths)} folders deep, and which of them name the class can be read in several ways. "
        f"Say --layout class/any (the class is {first!r}), --layout crop/disease ('{first}{JOIN}{second}') or --layout "
        f"any/class ({second!r}), or name one of its folders"
    )


def _name(found: RawPhotos, label: str, photos: list[tuple[Parts, str]]) -> None:
    """Name the photos of a class as the split will: by the file, or folder and file where two files have one name."""
    recurring = len({file for _, file in photos}) < len(photos)
    inner = defaultdict(list)
    for parts, file in photos:
        inner[parts].append(file)
    levels = range(min(map(len, inner)))
    same = [level for level in levels if len({parts[level] for parts in inner}) == 1]
    for parts, file in photos:
        own = [part for level, part in enumerate(parts) if level not in same]
        name = INNER.join([*own, file]) if recurring else file
        found.names[label].append(name)
        if "/".join((*parts, file)) != f"{label}/{name}":
            found.sources[label, name] = "/".join((*parts, file))
    found.names[label].sort()
    if len(set(found.names[label])) < len(photos):
        raise ValueError(f"class {label!r}: two photos would get one name, of folder and file. Rename one")
    if recurring:
        example = found.names[label][0]
        found.remarks.append(f"class {label!r}: file names recur in its folders, so photos are named as {example!r}")
