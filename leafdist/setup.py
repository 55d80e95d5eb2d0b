"""From a configuration to its parts: data sources, augmentation, model, each checked by one process for all."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from leafdist.checkpoint import load_best
from leafdist.config import Config, DataConfig, ModelConfig, from_dict
from leafdist.data.augment import Augment
from leafdist.data.folds import fold_root
from leafdist.data.index import Index, scan
from leafdist.data.loader import Loader
from leafdist.data.pack import cache_folder, ensure_pack
from leafdist.data.plan import chunk, micro_batches, smallest_part
from leafdist.data.source import FolderSource, PackSource, Source
from leafdist.models import build_model
from leafdist.models.resnet import trains_batchnorm
from leafdist.models.weights import check_state, find_weights
from leafdist.runtime import Runtime

DEVICE_SHARE = 0.25  # of a GPU's free memory, at most, for packs that nobody asked to put there


def open_loaders(
    data: DataConfig, splits: Sequence[str], runtime: Runtime, classes: Sequence[str] | None = None
) -> dict[str, Loader]:
    """A loader a split; classes are those of the first split where none are given."""
    sources = open_sources(data, splits, runtime, classes)
    resident = on_device(data, sources, runtime)
    return {
        split: Loader(source, runtime.device, workers(data, runtime), resident=resident)
        for split, source in sources.items()
    }


def on_device(data: DataConfig, sources: dict[str, Source], runtime: Runtime) -> bool:
    """Whether the packs live in the memory of the device. Raises ValueError where they should and do not fit."""
    if data.source == "folder" or data.placement == "host":
        return False
    size = sum(len(source.index) for source in sources.values()) * data.resize**2 * 3
    if runtime.device.type != "cuda":
        return data.placement == "device"
    free = torch.cuda.mem_get_info(runtime.device)[0]
    if data.placement == "device" and size > free:
        raise ValueError(f"data.placement=device: {size >> 20} MiB of pack, {free >> 20} MiB free. Use host")
    return data.placement == "device" or size < free * DEVICE_SHARE


def open_sources(
    data: DataConfig, splits: Sequence[str], runtime: Runtime, classes: Sequence[str] | None = None
) -> dict[str, Source]:
    """Scanned by one process, packed by one process a node; the others wait as long as it takes."""
    root = runtime.agree(lambda: fold_root(Path(data.root), data.fold), on="all")

    def scan_all() -> dict[str, Index]:
        first = scan(root, splits[0], classes)
        return {splits[0]: first} | {split: scan(root, split, first.classes) for split in splits[1:]}

    def pack_all() -> dict[str, Path]:
        folder = cache_folder(root, data.cache)
        return {split: ensure_pack(index, data.resize, folder, cpus, runtime.say) for split, index in indexes.items()}

    cpus = runtime.cpus * runtime.local_world
    indexes = runtime.agree(scan_all)
    if data.source == "folder":
        return {split: FolderSource(index, data.resize) for split, index in indexes.items()}
    packs = runtime.agree(pack_all, on="local_main")
    return {split: PackSource(index, data.resize, packs[split]) for split, index in indexes.items()}


def workers(data: DataConfig, runtime: Runtime) -> int:
    """Worker processes of a rank that reads from the folder."""
    return runtime.cpus if data.workers == "auto" else int(data.workers)


def augmentation(data: DataConfig) -> Augment:
    """Of a resolved configuration."""
    return Augment(int(data.crop), float(data.hflip), float(data.vflip), data.normalize)


def side(data: DataConfig) -> int:
    """Pixels of a picture as the network sees it."""
    return int(data.crop) or data.resize


def make_model(config: ModelConfig, num_classes: int, pixels: int, seed: int, runtime: Runtime) -> nn.Module:
    """The network with its pretrained weights, found or downloaded by one process a node."""
    weights: Path | None = None
    if config.weights != "none":
        weights = runtime.agree(lambda: find_weights(config.weights), on="local_main")
    return runtime.agree(
        lambda: build_model(
            config.name,
            num_classes,
            pixels,
            seed=seed,
            dropout=config.dropout,
            freeze=config.freeze,
            frozen_batchnorm=config.frozen_batchnorm,
            weights=weights,
        ),
        on="all",
    )


def check_batchnorm(model: nn.Module, config: Config, num_samples: int, world: int) -> None:
    """Raises ValueError where trainable BatchNorm would see one value a channel: its variance would be undefined."""
    rows = smallest_part(num_samples, config.train.batch_size, world, config.train.accumulate, config.train.max_rows)
    if rows == 1 and side(config.data) <= 32 and trains_batchnorm(model):
        raise ValueError(
            f"train.batch_size={config.train.batch_size} over {world} process(es) leaves a rank with one row of "
            f"{side(config.data)} pixels: no variance for BatchNorm. Change the batch size, or data.crop above 32"
        )


def check_sync_batchnorm(model: nn.Module, config: Config, num_samples: int, world: int) -> None:
    """Raises ValueError where some process would have fewer parts in a step: the others would wait for it in vain."""
    if not config.train.sync_batchnorm or world == 1 or not trains_batchnorm(model):
        return
    size = config.train.batch_size
    for total in {min(size, num_samples), num_samples % size or size}:
        shares = [chunk(total, rank, world) for rank in (0, world - 1)]
        parts = [micro_batches(s.stop - s.start, config.train.accumulate, config.train.max_rows) for s in shares]
        if len(parts[0]) != len(parts[1]):
            raise ValueError(
                f"train.sync_batchnorm=true: a batch of {total} photos gives {len(parts[0])} part(s) to one of {world} "
                f"processes and {len(parts[1])} to another. Change train.batch_size={size}, accumulate or max_rows"
            )


def describe(config: Config, num_samples: int, runtime: Runtime) -> None:
    """What a reader of a batch log needs to know first."""
    batch, world = config.train.batch_size, runtime.world
    rows = len(range(batch)[chunk(batch, 0, world)])
    micro = len(micro_batches(rows, config.train.accumulate, config.train.max_rows))
    runtime.say(
        f"{world} process(es) on {runtime.device.type}, precision {runtime.precision}, "
        f"{runtime.cpus} CPU(s) each; "
        f"batch {batch} = {world} x {rows} rows at most, in {micro} micro-batch(es); "
        f"{num_samples} photos to train on"
    )


def data_facts(loaders: dict[str, Loader]) -> dict[str, Any]:
    """What a run is bound to besides its configuration: the class list and the photos of each split."""
    indexes = {split: loader.source.index for split, loader in loaders.items()}
    return {
        "classes": list(indexes["train"].classes),
        "data": {split: {"photos": len(index), "digest": index.digest} for split, index in indexes.items()},
    }


def load_run(run: Path, runtime: Runtime, root: str | None = None) -> tuple[Config, nn.Module, tuple[str, ...]]:
    """Configuration, best model and classes of a run; its data lies at `root` where given."""
    tensors, meta = runtime.agree(lambda: load_best(run), on="all")
    config = from_dict(meta["config"])
    if root:
        config = replace(config, data=replace(config.data, root=root))
    classes = tuple(meta["classes"])
    model = build_model(config.model.name, len(classes), side(config.data))
    check_state(tensors, model.state_dict(), run / "best" / "model.safetensors")
    model.load_state_dict(tensors)
    layout = torch.channels_last if config.train.channels_last else torch.contiguous_format
    model = model.to(runtime.device, memory_format=layout)  # type: ignore[call-overload]
    return config, model.eval(), classes


def crop_seed(config: Config) -> int | None:
    """Seed of the random crops of evaluation, or None for the centre."""
    return config.seed if config.data.eval_crop == "random" else None


def preprocessing(data: DataConfig) -> dict[str, Any]:
    """What evaluation and prediction must do to a photo."""
    crop = {"crop": data.crop, "eval_crop": data.eval_crop}
    return {"resize": data.resize, **crop, "normalize": data.normalize}
