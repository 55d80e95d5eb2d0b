"""The network that is to be trained, checked against the batches that it will see."""

from pathlib import Path

from torch import nn

from leafdist.config.networks import network
from leafdist.config.schema import Config, ModelConfig
from leafdist.data.plan import chunk, micro_batches, smallest_part
from leafdist.distributed.runtime import Runtime
from leafdist.models.batchnorm import trains_batchnorm
from leafdist.models.build import build_model
from leafdist.models.weights import find_weights


def make_model(config: ModelConfig, num_classes: int, pixels: int, seed: int, runtime: Runtime) -> nn.Module:
    """The network with its pretrained weights, found or downloaded by one process a node."""
    weights: Path | None = None
    if config.weights != "none":
        weights = runtime.once_per_node(lambda: find_weights(config.weights, network(config.name)))
    return runtime.everywhere(
        lambda: build_model(
            config.name,
            num_classes,
            pixels,
            seed=seed,
            dropout=config.dropout,
            freeze=config.freeze,
            frozen_batchnorm=config.frozen_batchnorm,
            weights=weights,
        )
    )


def check_batchnorm(model: nn.Module, config: Config, num_samples: int, world: int) -> None:
    """Raises ValueError where trainable BatchNorm would see one value a channel: its variance would be undefined."""
    train = config.train
    if train.sync_batchnorm and world > 1:  # each part is that of all processes
        rows = min(num_samples, train.batch_size, num_samples % train.batch_size or train.batch_size)
    else:
        rows = smallest_part(num_samples, train.batch_size, world, train.accumulate, train.max_rows)
    if rows == 1 and config.data.side <= 32 and trains_batchnorm(model):
        raise ValueError(
            f"train.batch_size={config.train.batch_size} over {world} process(es) leaves a rank with one row of "
            f"{config.data.side} pixels: no variance for BatchNorm. Change the batch size, or data.crop above 32"
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
