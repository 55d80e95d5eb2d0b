"""Photos that a run was not split from: other folders, other classes, matched by name. The honest test."""

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from leafdist.config.schema import DataConfig
from leafdist.data.folds import fold_root
from leafdist.data.index import Index, scan
from leafdist.data.loader import Loader
from leafdist.data.open import open_loaders
from leafdist.data.pack import cache_folder
from leafdist.data.quarantine import set_bad_aside
from leafdist.distributed.runtime import Runtime
from leafdist.system import files

UNKNOWN = -100  # the label that torch's cross_entropy leaves out


def is_own(run: Path, data: DataConfig, runtime: Runtime) -> bool:
    """Whether `data.root` holds what the run was trained on, moved: the digest of its val photos tells."""
    if not has_split(data, "val", runtime):
        return False
    facts = runtime.once(lambda: trained_on(run))
    if not facts:  # of a run only best/ is here
        return False
    root = Path(data.root)
    if root.is_file():
        return bool(open_loaders(data, ("val",), runtime)["val"].source.index.digest == facts["digest"])

    def digest() -> str:
        index = scan(place := fold_root(root, data.fold), "val")
        if data.on_corrupt == "quarantine":
            index = set_bad_aside(index, cache_folder(place, data.cache), runtime.cpus, runtime.say)
        return index.digest

    return bool(runtime.once(digest) == facts["digest"])


def trained_on(run: Path) -> dict[str, Any]:
    """What run.json says of the val photos; nothing where it is gone or does not say it."""
    record = dict(files.read_json(run / "run.json")) if (run / "run.json").exists() else {}
    return dict(record.get("data", {}).get("val", {}))


def has_split(data: DataConfig, split: str, runtime: Runtime) -> bool:
    """An archive is taken to have it: what is missing in one is an error where it is unpacked."""
    root = Path(data.root)
    return runtime.once(lambda: root.is_file() or (fold_root(root, data.fold) / split).is_dir())


def open_elsewhere(
    data: DataConfig, split: str, runtime: Runtime, classes: tuple[str, ...]
) -> tuple[Loader, dict[str, Any]]:
    """A loader of `data.root/split`, or of `data.root` itself where class folders lie there, labelled as `classes`.

    Also what does not match: `unknown`, photos of each class that the run does not know (their label is UNKNOWN), and
    `absent`, its classes without a photo. Raises ValueError where no class matches.
    """
    if not has_split(data, split, runtime):
        root = Path(data.root).resolve()
        cache = str(cache_folder(root, data.cache))  # not beside the folder: its parent is none of ours
        data, split = replace(data, root=str(root.parent), cache=cache, fold=None), root.name
    loader = open_loaders(data, (split,), runtime)[split]
    index = loader.source.index
    labels = match(index.classes, classes)
    if (labels == UNKNOWN).all():
        raise ValueError(
            f"{index.folder}: none of its folders ({', '.join(index.classes[:3])}, …) is a class of the run "
            f"({', '.join(classes[:3])}, …). Name the class folders as in training"
        )
    photos = np.bincount(index.labels, minlength=len(labels))
    report = {
        "unknown": {name: int(n) for name, n, label in zip(index.classes, photos, labels, strict=True) if label < 0},
        "absent": [name for place, name in enumerate(classes) if place not in labels],
    }
    loader.source.index = relabelled(index, classes, labels)
    return loader, report


def name_of(run: Path, split: str, root: Path, about: dict[str, Any]) -> str:
    """`<split>@<folder>` of `root`, or `<split>@<above>-<folder>` where that has been said of other photos, and so on.

    The same photos by their digest (`about["data"]`), and the same place (`about["root"]`), replace what was said.
    """
    parts = root.resolve().parts[1:]
    for depth in range(1, len(parts) + 1):
        name = f"{split}@{'-'.join(parts[-depth:])}"
        earlier = run / f"eval-{name}.json"
        said = dict(files.read_json(earlier)) if earlier.exists() else about
        if any(said.get(key) == value for key, value in about.items()):
            break
    return name


def match(found: tuple[str, ...], classes: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The label of each folder: of the class of the same name, whatever its case and Unicode form."""
    places = {_plain(name): place for place, name in enumerate(classes)} | {c: i for i, c in enumerate(classes)}
    return np.array([places.get(name, places.get(_plain(name), UNKNOWN)) for name in found], np.int16)


def relabelled(index: Index, classes: tuple[str, ...], labels: np.ndarray[Any, np.dtype[np.int16]]) -> Index:
    aside = tuple(photo._replace(label=int(labels[photo.label])) for photo in index.set_aside)
    return replace(index, classes=classes, labels=labels[index.labels], set_aside=aside)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
