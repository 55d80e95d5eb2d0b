"""What the host does: gathering, augmenting, decoding and packing photos."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms
from torchvision.datasets.folder import pil_loader

from leafdist.bench.timing import Case
from leafdist.config.schema import Config, DataConfig
from leafdist.data import pack
from leafdist.data.augment import Augment
from leafdist.data.decode import decode
from leafdist.data.index import Index
from leafdist.data.loader import Loader
from leafdist.data.open import open_loaders
from leafdist.data.plan import EpochPlan, Share, streams
from leafdist.distributed.runtime import Runtime
from leafdist.system.console import counted


def loading(config: Config, index: Index, runtime: Runtime, counts: Sequence[int]) -> list[Case]:
    """The protocol's loader first, then ours: from the folder with so many workers, from the pack, augmented."""
    cases = [_protocol(config, index)]
    for workers in counts:
        feed = Feed(config, replace(config.data, source="folder", workers=workers), runtime)
        cases.append(Case(f"folder, {counted(workers, 'worker')}", feed.read))
    feed = Feed(config, replace(config.data, source="pack", placement="host"), runtime)
    augment = Augment.from_config(config.data, config.augment)
    cases.append(Case("pack, gather", feed.read))
    cases.append(Case("pack, gather and augment", lambda batches: feed.augmented(batches, augment)))
    if runtime.device.type == "cuda":  # on a CPU it is copies, not arithmetic
        fused = torch.compile(augment, dynamic=True)
        cases.append(Case("pack, gather and augment compiled", lambda batches: feed.augmented(batches, fused)))
    return cases


class Feed:
    """Batches of the train split, read as `data` says, in the order of epoch 0, again and again."""

    def __init__(self, config: Config, data: DataConfig, runtime: Runtime) -> None:
        self.loader: Loader = open_loaders(data, ("train",), runtime)["train"]
        self.plan = EpochPlan(len(self.loader.source.index), config.train.batch_size, 0, 0, streams(config.augment))

    def shares(self, batches: int) -> list[Share]:
        """Return the shares of this many batches, from the first on."""
        return [self.plan.share(batch % len(self.plan)) for batch in range(batches)]

    def read(self, batches: int) -> int:
        """Read this many batches; returns the number of photos."""
        return sum(len(batch.images) for batch in self.loader.batches(self.shares(batches)))

    def augmented(self, batches: int, augment: Callable[[Tensor, Tensor], Tensor]) -> int:
        """Read and augment this many batches; returns the number of photos."""
        photos = 0
        for batch in self.loader.batches(self.shares(batches)):
            photos += len(augment(batch.images, torch.from_numpy(batch.share.draws).to(batch.images.device)))
        return photos


class Photos(Dataset[Tensor]):
    """The photos of an index, read as ImageFolder reads its own."""

    def __init__(self, index: Index, transform: Callable[[Image], Tensor]) -> None:
        self.index, self.transform = index, transform

    def __getitem__(self, row: int) -> Tensor:
        return self.transform(pil_loader(str(self.index.folder / self.index.names[row])))


def _protocol(config: Config, index: Index) -> Case:
    """ImageFolder's loader, PIL transforms and a DataLoader in this process: the protocol's way, on one core."""
    data = config.data
    steps: list[object] = [transforms.Resize([data.resize, data.resize])]
    steps += [transforms.RandomHorizontalFlip(float(data.hflip)), transforms.RandomVerticalFlip(float(data.vflip))]
    steps += [transforms.RandomCrop(int(data.crop))] if data.crop else []
    steps += [transforms.ToTensor()]
    photos, order = Photos(index, transforms.Compose(steps)), np.random.default_rng(0).permutation(len(index))

    def work(batches: int) -> int:
        rows = [int(order[i % len(order)]) for i in range(batches * config.train.batch_size)]
        return sum(len(images) for images in DataLoader(Subset(photos, rows), config.train.batch_size))

    return Case("the protocol's loader", work)


def packing(config: Config, index: Index, cores: int) -> list[Case]:
    """Return decoding on one core and packing on all: the first rate times `cores` is the ceiling of the second."""
    data, side = config.data, int(config.data.resize)
    some = [index.folder / index.names[i] for i in range(0, len(index), max(1, len(index) // 500))]

    def one(_: int) -> int:
        for path in some:
            decode(path, side, data.fit, data.max_pixels, data.interpolation)
        return len(some)

    def packed(_: int) -> int:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.u8"
            pack.build(path, index, side, cores, data.fit, max_pixels=data.max_pixels, filter_=data.interpolation)
        return len(index)

    return [Case("decode, one core", one), Case(f"pack, {counted(cores, 'core')}", packed)]
