"""From a configuration to its parts: data sources, augmentation, model, each checked by one process for all."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from leafdist.config.schema import Config, DataConfig, ModelConfig, from_dict
from leafdist.data.augment import Augment
from leafdist.data.plan import chunk, micro_batches, smallest_part
from leafdist.distributed.runtime import Runtime
from leafdist.models.build import build_model
from leafdist.models.resnet import trains_batchnorm
from leafdist.models.weights import check_state, find_weights
from leafdist.runs.checkpoint import load_best


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
    train = config.train
    if train.sync_batchnorm and world > 1:  # each part is that of all processes
        rows = min(num_samples, train.batch_size, num_samples % train.batch_size or train.batch_size)
    else:
        rows = smallest_part(num_samples, train.batch_size, world, train.accumulate, train.max_rows)
    if rows == 1 and side(config.data) <= 32 and trains_batchnorm(model):
        raise ValueError(
            f"train.batch_size={config.train.batch_size} over {world} process(es) leaves a rank with one row of "
            f"{side(config.data)} pixels: no variance for BatchNorm. Change the batch size, or data.crop above 32"
        )


def check_sync_batchnorm(model: nn.Module, config: Config, num_samples: int, world: int) -> None:
    """Raises ValueError where some process would have fewer parts in a step: the others would wait for it in vain."""
    train, size = config.train, config.train.batch_size
    if not train.sync_batchnorm or world == 1 or not trains_batchnorm(model):
        return
    for total in {min(size, num_samples), num_samples % size or size}:
        shares = [chunk(total, rank, world) for rank in (0, world - 1)]
        parts = [
            micro_batches(max(1, s.stop - s.start), config.train.accumulate, config.train.max_rows) for s in shares
        ]
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


def describe_batchnorm(model: nn.Module, config: Config, runtime: Runtime) -> None:
    """Where the number of processes matters, and what to do about it."""
    if runtime.world > 1 and not config.train.sync_batchnorm and trains_batchnorm(model):
        runtime.say(
            "BatchNorm takes its statistics from each process's own rows; --train.sync_batchnorm true: from those of "
            "all, as one process does"
        )


class Loaded(NamedTuple):
    """A run's best checkpoint: meta is what stands in its file."""

    config: Config
    model: nn.Module
    classes: tuple[str, ...]
    meta: dict[str, Any]


def load_run(run: Path, runtime: Runtime, root: str | None = None) -> Loaded:
    """In eval mode, on the device; its data lies at `root` where given. Raises ValueError."""
    tensors, meta = runtime.agree(lambda: load_best(run), on="all")
    if len(set(runtime.gather(meta["sha256"]))) > 1:
        raise ValueError(f"{run}/best was replaced while the processes read it: the run trains. Try again")
    config = from_dict(meta["config"])
    root = root or config.data.root  # a single pass over a folder is not worth a copy
    config = replace(config, data=replace(config.data, root=root, stage=Path(root).is_file()))
    classes = tuple(meta["classes"])
    model = build_model(config.model.name, len(classes), side(config.data))
    check_state(tensors, model.state_dict(), run / "best" / "model.safetensors")
    model.load_state_dict(tensors)
    layout = torch.channels_last if config.train.channels_last else torch.contiguous_format
    model = model.to(runtime.device, memory_format=layout)  # type: ignore[call-overload]
    return Loaded(config, model.eval(), classes, meta)


def crop_seed(config: Config) -> int | None:
    """Seed of the random crops of evaluation, or None for the centre."""
    return config.seed if config.data.eval_crop == "random" else None


def preprocessing(data: DataConfig) -> dict[str, Any]:
    """What evaluation and prediction must do to a photo."""
    crop = {"crop": data.crop, "eval_crop": data.eval_crop}
    return {"resize": data.resize, "fit": data.fit, **crop, "normalize": data.normalize}
