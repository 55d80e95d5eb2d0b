"""All photos of a training: of `data.root`, and of the roots in `data.extra` by the classes of the first."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from leafdist.config.extra_roots import MEAN, WORST, extra_roots, rows_of_roots
from leafdist.config.schema import Config, DataConfig
from leafdist.data.background_photos import open_backgrounds
from leafdist.data.folds import fold_name, fold_numbers
from leafdist.data.leaf_masks import digest_of, find_masks
from leafdist.data.loader import Loader
from leafdist.data.names import Names
from leafdist.data.open import check_here, data_facts, loaders_of, open_sources
from leafdist.data.photo_facts import DataFacts
from leafdist.data.root_rows import Pattern
from leafdist.data.source import FolderSource, PackSource, RowsOfMasks, Source
from leafdist.data.their_classes import adopted, read_map
from leafdist.distributed.runtime import Runtime
from leafdist.system.console import counted

VAL = "val@"  # and the name of the root


def open_training(
    config: Config, runtime: Runtime, classes: Sequence[str] | None = None, renamed: dict[str, str] | None = None
) -> tuple[dict[str, Loader], DataFacts]:
    """Open train, of all roots together, and each val by itself: `val`, and `val@<root>` where an extra root has one.

    Also return what a run is bound to, which one process finds for all. renamed: what `data.classes` said, where that
    is known; the file is not read then. Raises ValueError.
    """
    data, sources = config.data, open_sources(config.data, ("train", "val"), runtime, classes)
    path, ours, weights = data.classes, sources["train"].index.classes, config.optim.class_weights
    if path and renamed is None:
        renamed = runtime.once(lambda: read_map(Path(path), ours))
    if data.extra:
        sources = with_extra(config, sources, renamed, runtime)
    masks = open_masks(config, sources["train"], runtime)
    backgrounds, digest = open_backgrounds(config, runtime)  # before packs take what memory is left
    loaders = loaders_of(data, sources, runtime)
    loaders["train"].backgrounds = backgrounds
    facts = runtime.once(lambda: data_facts(loaders, weights, data.sampling, renamed))
    return loaders, replace(facts, masks=masks, backgrounds=digest)


def open_masks(config: Config, train: Source, runtime: Runtime) -> str | None:
    """Give train the masks of its leaves where they get other backgrounds; return their digest. Raises ValueError."""
    if not config.augment.background:
        return None
    main = train.index.main
    path = runtime.once_per_node(lambda: find_masks(main, config.data))
    check_here([path], runtime)
    train.masks = RowsOfMasks(path, len(main), int(config.data.resize))
    return runtime.once(lambda: digest_of(path))


def with_extra(
    config: Config, sources: dict[str, Source], renamed: dict[str, str] | None, runtime: Runtime
) -> dict[str, Source]:
    """Join the photos of `data.extra` to train, and add their val. Raises ValueError where classes do not fit."""
    data, main = config.data, sources["train"]
    train, vals, theirs = {"": main}, dict[str, Source](), set[str]()
    for root in extra_roots(data):
        found = open_root(replace(data, root=root.path, fold=None), runtime)
        theirs |= {name for source in found.values() for name in source.index.classes}
        for source in found.values():
            adopt(source, main.index.classes, renamed, runtime)
        train[root.name] = found["train"]
        vals |= {VAL + root.name: found["val"]} if "val" in found else {}
    if renamed and (strange := sorted(renamed.keys() - theirs)):
        raise ValueError(f"data.classes={data.classes}: data.extra has no photo of {strange[0]!r}. Correct it")
    if config.train.select in (WORST, MEAN) and not vals:
        raise ValueError(
            f"train.select={config.train.select}: no root of data.extra has a folder val. Split it, or choose another"
        )
    counts = rows_of_roots(data, config.train.batch_size)
    rows = [f"{count} from {one.index.folder.parent}" for count, one in zip(counts, train.values(), strict=True)]
    photos = [f" ({counted(one.index.known, 'photo')})" for one in train.values()]
    runtime.say(f"rows of a batch: {', '.join(map(''.join, zip(rows, photos, strict=True)))}")
    return {"train": join(train), "val": sources["val"], **vals}


def epoch_rows(config: Config, photos: int) -> int:
    """Return the rows of an epoch on `photos` of the main root: these, and the shares of the other roots."""
    return int(Pattern.of(rows_of_roots(config.data, config.train.batch_size)).in_epoch(photos).sum())


def open_root(data: DataConfig, runtime: Runtime) -> dict[str, Source]:
    """Open train of a root, and val if it is there, each with the classes that it has. Raises ValueError."""
    runtime.once(lambda: check_root(Path(data.root), staged=data.stage))
    found = open_sources(data, ("train",), runtime, own_classes=True)
    root = found["train"].index.folder.parent  # an archive is unpacked by now
    has_val = runtime.once((root / "val").is_dir)
    return found | (open_sources(data, ("val",), runtime, own_classes=True) if has_val else {})


def check_root(root: Path, *, staged: bool) -> None:
    """Raises ValueError for folds, of which `data.fold` names none here, and for an archive that nothing unpacks."""
    if fold_numbers(root):
        raise ValueError(f"data.extra: {root} holds folds. Name the folder of one, such as {root / fold_name(0)}")
    if root.is_file() and not staged:
        raise ValueError(f"data.extra: {root} is a file. An archive is unpacked on each node with data.stage=true")


def adopt(source: Source, classes: tuple[str, ...], renamed: dict[str, str] | None, runtime: Runtime) -> None:
    """Give the photos of `source` labels among `classes`; say which have none. Raises ValueError where none has one."""
    index, unknown = adopted(source.index, classes, renamed)
    if unknown:
        names = ", ".join(f"{name} ({counted(count, 'photo')})" for name, count in unknown.items())
        runtime.say(f"{index.folder}: left out, of classes that the run does not know: {names}; data.classes maps them")
    source.index = index


def join(sources: dict[str, Source]) -> Source:
    """Return all sources as one, in their order; their names are those of roots, "" that of the main one."""
    parts = {name: source.index for name, source in sources.items()}
    main, first = parts[""], sources[""]
    # photos of the main root by their names as before, all others by their full paths, as FolderSource finds them
    names = Names.joined({str(part.folder.absolute()) if name else "": part.names for name, part in parts.items()})
    index = replace(main, names=names, parts=parts)
    index = replace(index, labels=np.concatenate([part.labels for part in parts.values()]))
    if isinstance(first, FolderSource):
        return FolderSource(index, first.side, first.fit, first.max_pixels, first.filter)
    assert isinstance(first, PackSource)
    packs = [pack for one in sources.values() if isinstance(one, PackSource) for pack in one.packs]
    return PackSource(index, first.side, *packs)
