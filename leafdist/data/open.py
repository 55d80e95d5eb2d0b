"""From the settings of the data to loaders: located, scanned, staged and packed, each by one process for all."""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import torch

from leafdist.config.schema import DataConfig
from leafdist.data.class_weights import class_weights
from leafdist.data.folds import fold_root
from leafdist.data.index import Index
from leafdist.data.kept_index import at_hand, open_index
from leafdist.data.layouts import check_split
from leafdist.data.loader import Loader
from leafdist.data.pack import cache_folder, ensure_pack
from leafdist.data.photo_facts import DataFacts, Origin, SplitFacts
from leafdist.data.photos import SPLITS, in_words, list_classes
from leafdist.data.quarantine import screen
from leafdist.data.source import FolderSource, PackSource, Source
from leafdist.data.stage import stage, stage_pack
from leafdist.distributed.runtime import Runtime
from leafdist.system import files

DEVICE_SHARE = 0.25  # of a GPU's free memory, at most, for packs that nobody asked to put there


def open_loaders(
    data: DataConfig, splits: Sequence[str], runtime: Runtime, classes: Sequence[str] | None = None
) -> dict[str, Loader]:
    """One loader per split; classes are those of the first split where none are given."""
    return loaders_of(data, open_sources(data, splits, runtime, classes), runtime)


def loaders_of(data: DataConfig, sources: dict[str, Source], runtime: Runtime) -> dict[str, Loader]:
    """One loader per source, all on the device or none."""
    resident = runtime.everywhere(lambda: on_device(data, sources, runtime))
    workers = worker_count(data, runtime.cpus, runtime.device.type)
    make = partial(Loader, device=runtime.device, workers=workers, resident=resident, watchdog=runtime.watchdog)
    return {split: make(source) for split, source in sources.items()}


def worker_count(data: DataConfig, cpus: int, device: str) -> int:
    """Return the processes that read photos for a rank with so many cores; on a GPU one core is left to launch."""
    if data.workers != "auto":
        return int(data.workers)
    return max(1, cpus - 1) if device == "cuda" else cpus


def on_device(data: DataConfig, sources: dict[str, Source], runtime: Runtime) -> bool:
    """Whether the packs live in the memory of the device. Raises ValueError where they should and do not fit."""
    if data.source == "folder" or data.placement == "host":
        return False
    rows = sum(3 * len(source.index) + (source.masks.photos if source.masks else 0) for source in sources.values())
    size = rows * int(data.resize) ** 2
    if runtime.device.type != "cuda":
        return data.placement == "device"
    free = torch.cuda.mem_get_info(runtime.device)[0]
    if data.placement == "device" and size > free:
        sizes = f"the packs take {size >> 20} MiB, the GPU has {free >> 20} free"
        raise ValueError(f"data.placement=device: {sizes}. Set it to host")
    return data.placement == "device" or size < free * DEVICE_SHARE


def open_sources(
    data: DataConfig,
    splits: Sequence[str],
    runtime: Runtime,
    classes: Sequence[str] | None = None,
    *,
    own_classes: bool = False,
) -> dict[str, Source]:
    """Scan by one process, stage and pack by one process per node; the others wait as long as it takes.

    own_classes: each split has those that its folders name, be it a single one.
    """
    root, cache, make_pack = locate(data, runtime, folds=set(splits) <= set(SPLITS))  # else class folders beside folds
    folder = cache_folder(root, cache)

    def scan_all() -> dict[str, Index]:
        """List the photos of each split, without those that cannot be read where these are set aside."""
        found: dict[str, Index] = {}
        for split in splits:
            known = found[splits[0]].classes if found else classes
            if own_classes:
                check_split(root, split)
                known = list_classes(root / split)
            found[split] = open_index(root, split, known, folder, runtime.say)
            found[split] = screen(found[split], data, folder, cpus, runtime.say)
        return found

    def pack_all() -> dict[str, Path]:
        how = {"say": runtime.say, "fit": data.fit, "max_pixels": data.max_pixels, "filter_": data.interpolation}
        return {split: make_pack(index, side, folder, cpus, **how) for split, index in indexes.items()}

    cpus, side = runtime.cpus * runtime.local_world, int(data.resize)
    scanned = runtime.once(scan_all)
    indexes = runtime.everywhere(lambda: {split: at_hand(index) for split, index in scanned.items()})
    if data.source == "folder":
        loaded = {split: replace(index, names=index.names.loaded()) for split, index in indexes.items()}
        how = data.fit, data.max_pixels, data.interpolation
        return {split: FolderSource(one, side, *how) for split, one in loaded.items()}
    packs = runtime.once_per_node(pack_all)
    check_here(packs.values(), runtime)
    return {split: PackSource(index, side, packs[split]) for split, index in indexes.items()}


def locate(data: DataConfig, runtime: Runtime, *, folds: bool) -> tuple[Path, str | None, Callable[..., Path]]:
    """The folder of the photos, the folder for packs, and the function that makes a pack.

    With `data.stage` both folders are on this node's disk; packs of a folder are copied without its photos. Raises
    ValueError.
    """
    root = runtime.once(lambda: fold_root(Path(data.root), data.fold) if folds else Path(data.root))
    if not data.stage:
        if root.is_file():
            raise ValueError(f"data.root={root} is a file. An archive is unpacked on each node with data.stage=true")
        return root, data.cache, ensure_pack
    if data.source != "folder" and root.is_dir():
        return root, data.cache, stage_pack
    staged = runtime.once_per_node(lambda: stage(root, say=runtime.say))
    check_here([staged], runtime)
    return staged, None, ensure_pack


def check_here(paths: Iterable[Path], runtime: Runtime) -> None:
    """Raises ValueError where a node lacks one of `paths`, which the first node has."""

    def check() -> None:
        if missing := [path for path in paths if not path.exists()]:
            raise ValueError(f"{missing[0]} is not on {platform.node()}. $SLURM_TMPDIR must be one path on all nodes")

    runtime.everywhere(check)


def data_facts(
    loaders: dict[str, Loader], weights: str, sampling: str = "all", class_map: dict[str, str] | None = None
) -> DataFacts:
    """The class list, the photos of each split, and the `weights` of the classes. Raises ValueError."""
    indexes = indexes_of(loaders)
    splits = {split: SplitFacts(index.known, index.digest) for split, index in indexes.items()}
    others = {split: dict(index.passed_over) for split, index in indexes.items() if index.passed_over}
    train = indexes["train"]
    return DataFacts(list(train.classes), splits, others, class_weights(weights, sampling, train), class_map)


def indexes_of(loaders: dict[str, Loader]) -> dict[str, Index]:
    """Return the photos of each split of each root: `train`, `train@field`, `val`, …"""
    return {name: part for split, loader in loaders.items() for name, part in loader.source.index.named(split).items()}


def counts(loaders: dict[str, Loader]) -> dict[str, dict[str, int]]:
    """The number of `photos` of each split, and of those `set_aside`, which cannot be read."""
    indexes = indexes_of(loaders)
    return {
        "photos": {split: index.known for split, index in indexes.items()},
        "set_aside": {split: len(index.set_aside) for split, index in indexes.items()},
    }


def note_left_out(loaders: dict[str, Loader], path: Path, runtime: Runtime) -> None:
    """Write to `path` which photos are not trained on or count as wrong, and why; no file where there are none.

    Also say how many files are no photos.
    """
    indexes = indexes_of(loaders)
    for split, index in indexes.items():
        if others := index.passed_over:
            runtime.say(passed_over(split, others))
    rows = [
        {"split": split, "path": photo.name, "reason": photo.reason}
        for split, index in indexes.items()
        for photo in index.set_aside
    ]
    if rows:
        runtime.once(lambda: files.write_json(path, rows))
        aside = ", ".join(f"{count} of {split}" for split, count in counts(loaders)["set_aside"].items())
        runtime.say(f"photos set aside: {aside}, listed in {path}. Those of val count as wrong")


def passed_over(where: str, others: Mapping[str, int]) -> str:
    """Say what lies among the photos and is none."""
    deeper = ". Photos in folders below a class folder are not read" if "folder" in others else ""
    return f"skipped in {where}, since they are no photos: {in_words(others)}{deeper}"


def origin(index: Index) -> Origin:
    """Read from split.json where the photos of a split come from."""
    path = index.folder.parent / "split.json"
    if not path.exists():
        return Origin(None, "unknown: there is no split.json")
    report = files.read_json(path)
    digests = report.get("digests") if isinstance(report, dict) else None
    lines = sorted([*index.every_name, *index.dropped])
    found = sha256("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")).hexdigest()
    if not isinstance(digests, dict) or digests.get(index.folder.name) != found:
        return Origin(None, "unknown: the photos are not those that split.json speaks of")
    groups = report.get("groups")
    kept = "by likeness and file numbers" if groups == "near" else "yes, where leaf ids are known"
    if groups != "near" and report.get("grouping"):
        kept += ", else by likeness and file numbers"
    return Origin(found, kept if groups else "no")


def has_split(data: DataConfig, split: str, runtime: Runtime) -> bool:
    """Whether the split's folder is there; an archive is assumed to have it, or unpacking will raise an error."""
    root = Path(data.root)
    return runtime.once(lambda: root.is_file() or (root.is_dir() and (fold_root(root, data.fold) / split).is_dir()))
