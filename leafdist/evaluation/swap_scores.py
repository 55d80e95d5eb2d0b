"""How much of an accuracy is background: leaves on the backgrounds of other photos, of their class and of another.

As the Backgrounds Challenge has it (Xiao, Engstrom, Ilyas and Madry 2020, arXiv 2006.09994): what is lost on a
background of the leaf's own class is due to the cutting, what is lost besides on one of another class to that class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.data.augment import Augment
from leafdist.data.cache import is_readable
from leafdist.data.leaf_masks import find_masks, mask_path, trusted
from leafdist.data.loader import Loader
from leafdist.data.open import check_here, open_sources
from leafdist.data.source import RowsOfMasks
from leafdist.data.swapped_source import SwappedSource, pairs
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.assess import Request, load_everywhere
from leafdist.evaluation.evaluate import Judging, evaluate
from leafdist.evaluation.fitted import unless_read_only
from leafdist.evaluation.intervals import wilson
from leafdist.evaluation.other_photos import is_own
from leafdist.runs.layout import RunLayout
from leafdist.runs.results import RESAMPLES, Interval
from leafdist.system import console, files
from leafdist.system.plain import to_plain

FORMAT = 1
HEAD = ("run", "plain", "own class behind", "other class behind", "says that class", "drop", "background", "share")


@dataclass(frozen=True)
class ClassSwap:
    """Photos of one class of leaf, or with the background of one class: how many answers name the leaf's class.

    plain: as they are; own, other: on a background of the leaf's own class, and of another; background: answers that
    name that other one.
    """

    photos: int
    plain: int
    own: int
    other: int
    background: int


@dataclass(frozen=True)
class Share:
    """A share of photos, or a difference of two, from 0 to 1, and its interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Swap:
    """swap-<split>.json. photos: those with a trusted mask, of so many in the split; total: of them all.

    plain, own, other: accuracies; drop: from plain to other; due: from own to other, the part that is background.
    """

    format: int
    split: str
    checkpoint: str
    data: str
    seed: int
    photos: int
    of: int
    total: ClassSwap
    plain: Share
    own: Share
    other: Share
    drop: Share
    due: Share
    by_leaf: dict[str, ClassSwap]
    by_background: dict[str, ClassSwap]


def assess_swaps(runs: Sequence[Path], request: Request, runtime: Runtime) -> None:
    """Judge each run, print one row each, and write `swap-<split>.json`. Raises ValueError where masks are missing."""
    if request.groups or request.flips or request.sure or request.outside:
        raise ValueError("--swap takes neither --groups nor --tta, --sure or --outside. Leave them out")
    found = {run: swap(run, request, runtime) for run in runs}
    if runtime.is_main:
        show(found)
    for run, one in found.items():
        folder = request.folder(run)
        path = RunLayout(folder).swap(one.split)
        if runtime.once(partial(unless_read_only, folder, partial(files.write_json, path, to_plain(one)))):
            runtime.say(f"wrote {path}")


def swap(run: Path, request: Request, runtime: Runtime) -> Swap:
    """Judge the split's photos with trusted masks three times: plain, and with the two kinds of background."""
    loaded = load_everywhere(run, runtime, request.root)
    config, classes, split = loaded.config, loaded.classes, request.split
    if request.root and not request.to and not is_own(run, config.data, runtime):
        raise ValueError(
            f"--swap --data {request.root}: {RunLayout(run).swap(split)} is of the run's own photos. Name another "
            "folder for these with --to"
        )
    source = open_sources(config.data, (split,), runtime, classes)[split]
    index, kept = source.index, RunLayout(request.folder(run)).swap(split)
    if request.to and runtime.once(lambda: kept.exists() and files.read_json(kept).get("data") != index.digest):
        raise ValueError(f"{kept} is of other photos. Name another folder with --to")
    theirs = replace(config.data, cache=loaded.meta.config.data.cache)  # where this user may read masks, not write
    there = theirs.cache and is_readable(mask_path(index, theirs, Path(theirs.cache)))
    path = runtime.once_per_node(lambda: find_masks(index, theirs if there else config.data))
    check_here([path], runtime)
    masks = RowsOfMasks(path, len(index), int(config.data.resize))
    rows = np.flatnonzero(trusted(masks))
    labels = index.labels[rows].astype(np.int64)
    if len(np.unique(labels)) < 2:
        raise ValueError(f"{index.folder}: fewer than two classes have photos with a trusted mask: nothing to swap")
    own, other = pairs(labels, config.seed)
    augment = Augment.from_config(config.data).for_evaluation()
    judging = Judging(config.train.precision, config.crop_seed)
    predicted = []
    for behind in (None, rows[own], rows[other]):
        loader = Loader(SwappedSource(source, masks, rows, behind), runtime.device, 0, watchdog=runtime.watchdog)
        predicted.append(evaluate(loaded.model, loader, augment, runtime, judging).predicted)
    answers = Answers(labels, labels[other], *predicted)
    plain, same, another = answers.hits
    return Swap(
        format=FORMAT,
        split=split,
        checkpoint=loaded.meta.sha256,
        data=index.digest,
        seed=config.seed,
        photos=len(rows),
        of=len(index),
        total=answers.counted(np.ones(len(rows), bool)),
        plain=accuracy(plain),
        own=accuracy(same),
        other=accuracy(another),
        drop=difference(plain, another),
        due=difference(same, another),
        by_leaf={name: answers.counted(labels == label) for label, name in enumerate(classes)},
        by_background={name: answers.counted(answers.behind == label) for label, name in enumerate(classes)},
    )


@dataclass(frozen=True)
class Answers:
    """The class of each leaf and of the other background (n,), and what was said of it: plain, and on both kinds."""

    labels: NDArray[np.int64]
    behind: NDArray[np.int64]
    plain: NDArray[np.int64]
    own: NDArray[np.int64]
    other: NDArray[np.int64]

    @property
    def hits(self) -> list[NDArray[np.bool_]]:
        """Which answers name the leaf's class, of each kind."""
        return [answer == self.labels for answer in (self.plain, self.own, self.other)]

    def counted(self, rows: NDArray[np.bool_]) -> ClassSwap:
        """Count over some photos."""
        plain, own, other, background = (int(hits[rows].sum()) for hits in (*self.hits, self.other == self.behind))
        return ClassSwap(int(rows.sum()), plain, own, other, background)


def accuracy(hits: NDArray[np.bool_]) -> Share:
    """Share of hits (n,)."""
    return Share(float(hits.mean()), wilson(int(hits.sum()), len(hits)))


def difference(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Share:
    """Share of hits that is lost, on the same photos (n,), with a percentile bootstrap over photos (Efron 1979)."""
    lost, generator = before.astype(np.int64) - after, np.random.default_rng(0)
    means = [lost[generator.integers(0, len(lost), len(lost))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Share(float(lost.mean()), (float(low), float(high)))


def show(found: Mapping[Path, Swap]) -> None:
    """Print one row per run, and what the figures are of."""
    rows = []
    for run, one in found.items():
        shares = one.plain, one.own, one.other, one.drop, one.due
        named = f"{one.total.background / one.photos:.4f}"
        texts = [f"{share.value:.4f} ({share.interval[0]:.4f}-{share.interval[1]:.4f})" for share in shares]
        part = f"{one.due.value / one.drop.value:.0%}" if one.drop.value > 0 else "-"
        rows.append([str(run), *texts[:3], named, *texts[3:], part])
    console.table(HEAD, rows)
    counts = {f"{one.photos} of {one.of} photos, those with a trusted mask" for one in found.values()}
    console.say(f"{'; '.join(sorted(counts))}: plain, and each leaf on the background of two other photos")
