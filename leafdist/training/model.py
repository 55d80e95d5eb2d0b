"""The network that is to be trained, checked against the batches that it will see."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.data.plan import chunk, micro_batches, smallest_part
from leafdist.distributed.runtime import Runtime
from leafdist.models.batchnorm import RunningStatistics, sees_one_value, trains_batchnorm
from leafdist.models.build import build_model
from leafdist.models.sync_batchnorm import can_synchronize
from leafdist.runs.facts import HeadFacts
from leafdist.runs.layout import RunLayout, generations
from leafdist.system.console import counted
from leafdist.system.contention import slow_cores
from leafdist.system.files import sha256
from leafdist.training.graph import choose_graph
from leafdist.training.head import find_start, read_head, rows_by_name


def prepare_model(
    config: Config, classes: Sequence[str], num_samples: int, runtime: Runtime
) -> tuple[nn.Module, HeadFacts | None]:
    """Build the network and say how it is trained; also return what its head begins with, for run.json.

    Raises ValueError where the weights do not fit, or where BatchNorm cannot be trained so.
    """
    train, world = config.train, runtime.world
    rows = chunk(train.batch_size, 0, world).stop
    parts = len(micro_batches(rows, train.accumulate, train.max_rows))
    shown = counted(num_samples, "row") + " an epoch" if config.data.extra else counted(num_samples, "photo")
    runtime.say(
        f"{counted(world, 'process')} on {runtime.device.type}, precision {runtime.settled}, "
        f"{counted(runtime.cpus, 'CPU')} each; batch {train.batch_size} = {world} x {rows} rows at most, in "
        f"{counted(parts, 'micro-batch')}; {shown} to train on"
    )
    # the other ranks wait meanwhile
    if runtime.device.type == "cpu" and (slowed := runtime.once(lambda: slow_cores(runtime.cpus))):
        runtime.say(f"slow: {slowed.text}. {slowed.way_out}")
    model = make_model(config, classes, runtime)
    check_batchnorm(model, config, num_samples, world)
    check_sync_batchnorm(model, config, num_samples, world)
    if world > 1 and not train.sync_batchnorm and trains_batchnorm(model):
        runtime.say(
            "BatchNorm takes its statistics from each process's own rows; with --train.sync_batchnorm true, from those "
            "of all processes, as one process does"
        )
    return model, runtime.once(lambda: read_head(config, classes, runtime.say))


def for_device(config: Config, runtime: Runtime) -> Config:
    """Replace every auto that depends on the device. Raises ValueError where `train.graph` asks too much of it."""
    graph = choose_graph(config.train, runtime.device, runtime.say)
    return replace(config, train=replace(config.train, precision=runtime.precision, graph=graph))


def make_model(config: Config, classes: Sequence[str], runtime: Runtime) -> nn.Module:
    """Build the configured network; its pretrained weights are found or downloaded by one process per node."""
    settings, weights = config.model, runtime.once_per_node(lambda: find_start(config))

    def build() -> nn.Module:
        rows = rows_by_name(weights, classes) if weights else None
        if rows is None and settings.weights in network(settings.name).weights:  # whose head is of other classes
            rows = [-1] * len(classes)
        return build_model(
            settings.name,
            len(classes),
            config.data.side,
            seed=config.seed,
            dropout=settings.dropout,
            drop_path=settings.drop_path,
            freeze=settings.freeze,
            frozen_batchnorm=settings.frozen_batchnorm,
            weights=weights,
            rows=rows,
        )

    return runtime.everywhere(build)


def config_to_build(config: Config, run: Path) -> Config:
    """Return `config` without `model.weights` where the run has a checkpoint, which holds all weights."""
    return without_weights(config) if generations(RunLayout(run).last) else config


def without_weights(config: Config) -> Config:
    """Return the configuration of a network of drawn weights, which needs no file."""
    return replace(config, model=replace(config.model, weights="none"))


def digest_of_start(config: Config) -> str | None:
    """Return the SHA-256 of the file of `model.weights`; None for drawn weights. Raises ValueError."""
    path = find_start(config)
    return sha256(path) if path else None


def check_batchnorm(model: nn.Module, config: Config, num_samples: int, world: int) -> None:
    """Raises ValueError where trainable BatchNorm would see one value per channel: its variance is undefined."""
    train = config.train
    if train.head_epochs >= train.epochs:  # of the head alone: BatchNorm is in eval mode throughout
        return
    if train.sync_batchnorm and world > 1:  # statistics are those of all processes' rows
        rows = min(num_samples, train.batch_size, num_samples % train.batch_size or train.batch_size)
    else:
        rows = smallest_part(num_samples, train.batch_size, world, train.accumulate, train.max_rows)
    if rows == 1 and sees_one_value(model, config.data.side):
        stride = network(config.model.name).stride
        larger = f", or data.crop above {stride}" if config.data.side <= stride else ""
        raise ValueError(
            f"train.batch_size={train.batch_size} over {counted(world, 'process')} leaves a rank with one row of "
            f"{config.data.side} pixels: no variance for BatchNorm. Change the batch size{larger}"
        )


def check_sync_batchnorm(model: nn.Module, config: Config, num_samples: int, world: int) -> None:
    """Raises ValueError for layers that cannot be synchronised, and where some processes would wait forever."""
    train, size, layers = config.train, config.train.batch_size, RunningStatistics(model).layers
    if not train.sync_batchnorm or world == 1 or not layers or train.head_epochs >= train.epochs:
        return
    if apart := {type(layer).__name__ for layer in layers if not can_synchronize(layer)}:
        raise ValueError(
            f"train.sync_batchnorm=true: {config.model.name} has {', '.join(sorted(apart))} too, which cannot be "
            "synchronised. Set it to false, or choose another network"
        )
    for total in {min(size, num_samples), num_samples % size or size}:
        rows = [chunk(total, rank, world) for rank in (0, world - 1)]
        first, last = (
            len(micro_batches(max(1, own.stop - own.start), train.accumulate, train.max_rows)) for own in rows
        )
        if first != last:
            raise ValueError(
                f"train.sync_batchnorm=true: a batch of {total} photos gives {counted(first, 'part')} to one of "
                f"{world} processes and {last} to another. Change train.batch_size={size}, accumulate or max_rows"
            )
