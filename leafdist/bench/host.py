"""What the host does: gathering, augmenting, decoding and packing photos."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from leafdist.bench.timing import Case
from leafdist.config.schema import Config
from leafdist.data import open as sources
from leafdist.data import pack
from leafdist.data.augment import Augment
from leafdist.data.decode import decode
from leafdist.data.index import Index
from leafdist.data.plan import EpochPlan, Share
from leafdist.distributed.runtime import Runtime


def loaders(config: Config, runtime: Runtime, counts: Sequence[int]) -> list[Case]:
    """The protocol's loader first, then ours: from the folder with so many workers, from the pack, augmented."""
    folder = [_folder(config, runtime, workers) for workers in counts]
    return [_protocol(config), *folder, *_pack(config, runtime)]


def _folder(config: Config, runtime: Runtime, workers: int) -> Case:
    data = replace(config.data, source="folder", workers=workers)
    (loader,) = sources.open_loaders(data, ("train",), runtime).values()
    plan = EpochPlan(len(loader.source.index), config.train.batch_size, 0, 0)

    def work(batches: int) -> int:
        return sum(len(batch.images) for batch in loader.batches(_shares(plan, batches)))

    return Case(f"folder, {workers} worker(s)", work)


def _shares(plan: EpochPlan, batches: int) -> list[Share]:
    return [plan.share(batch % len(plan)) for batch in range(batches)]


def _pack(config: Config, runtime: Runtime) -> list[Case]:
    (loader,) = sources.open_loaders(
        replace(config.data, source="pack", placement="host"), ("train",), runtime
    ).values()
    plan = EpochPlan(len(loader.source.index), config.train.batch_size, 0, 0)
    augment = Augment.from_config(config.data)
    compiled = torch.compile(augment, dynamic=True)

    def gather(batches: int) -> int:
        return sum(len(batch.images) for batch in loader.batches(_shares(plan, batches)))

    def augmented(batches: int, *, fused: bool) -> int:
        photos = 0
        for batch in loader.batches(_shares(plan, batches)):
            draws = torch.from_numpy(batch.share.draws).to(batch.images.device)
            photos += len((compiled if fused else augment)(batch.images, draws))
        return photos

    cases = [Case("pack, gather", gather), Case("pack, gather and augment", lambda n: augmented(n, fused=False))]
    if runtime.device.type == "cuda":  # on a CPU it is copies, not arithmetic
        cases.append(Case("pack, gather and augment compiled", lambda n: augmented(n, fused=True)))
    return cases


def _protocol(config: Config) -> Case:
    """ImageFolder, PIL transforms and a DataLoader, in this process: seed.md's loader, of one core."""
    data = config.data
    steps: list[object] = [transforms.Resize([data.resize, data.resize])]
    steps += [transforms.RandomHorizontalFlip(float(data.hflip)), transforms.RandomVerticalFlip(float(data.vflip))]
    steps += [transforms.RandomCrop(int(data.crop))] if data.crop else []
    steps += [transforms.ToTensor()]
    photos = ImageFolder(str(Path(data.root) / "train"), transforms.Compose(steps))
    order = np.random.default_rng(0).permutation(len(photos))

    def work(batches: int) -> int:
        rows = [int(order[i % len(order)]) for i in range(batches * config.train.batch_size)]
        return sum(len(images) for images, _ in DataLoader(Subset(photos, rows), config.train.batch_size))

    return Case("the protocol's loader", work)


def packing(config: Config, index: Index, cores: int) -> list[Case]:
    """Photos decoded and resized one after the other, on one core, and packed by all; times `cores` is the ceiling."""
    side = config.data.resize
    some = [index.folder / index.names[i] for i in range(0, len(index), max(1, len(index) // 500))]

    def one(_: int) -> int:
        for path in some:
            decode(path, side)
        return len(some)

    def packed(_: int) -> int:
        with tempfile.TemporaryDirectory() as folder:
            pack.build(Path(folder) / "train.u8", index, side, cores)
        return len(index)

    return [Case("decode, one core", one), Case(f"pack, {cores} core(s)", packed)]
