"""What the device does: the ceiling of a network fed with one constant batch, training, evaluation."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F

from leafdist.bench.timing import Case
from leafdist.config.schema import Config
from leafdist.data import open as sources
from leafdist.data.augment import Augment
from leafdist.distributed.runtime import Runtime, resolve_precision
from leafdist.evaluation.evaluate import Judging, evaluate
from leafdist.models.dropout import seek
from leafdist.runs.tracker import NullTracker
from leafdist.training.model import make_model
from leafdist.training.optim import build_optimizer
from leafdist.training.progress import Progress
from leafdist.training.state import Lap, TrainState
from leafdist.training.trainer import Trainer

Precision = Literal["no", "bf16", "fp16"]
BATCH = 256  # of the ceiling of evaluation
NEVER = 1e9  # minutes between checkpoints


def ceilings(config: Config, classes: int, runtime: Runtime) -> list[Case]:
    """In each precision and memory format that the device has, and compiled as configured otherwise."""
    cuda = runtime.device.type == "cuda"
    precisions: list[Precision] = ["no"]
    if cuda or resolve_precision("auto") == "bf16":
        precisions.append("bf16")
    if cuda:
        precisions.append("fp16")
    variants = [(precision, layout, "") for precision in precisions for layout in (False, True)]
    best = (runtime.precision, config.train.channels_last)
    variants += [(*best, mode) for mode in ("default", *(["reduce-overhead"] if cuda else []))]
    return [
        ceiling(
            replace(config, train=replace(config.train, precision=precision, channels_last=layout)),
            classes,
            runtime,
            compiled=mode,
        )
        for precision, layout, mode in variants
    ]


def ceiling(config: Config, classes: int, runtime: Runtime, compiled: str = "") -> Case:
    """Forward, backward and update on one constant batch, and nothing else. `compiled`: a mode of torch.compile."""
    model, pixels = _model_and_pixels(config, classes, runtime, config.train.batch_size)
    model.train()
    labels = torch.arange(config.train.batch_size, device=runtime.device) % classes
    optimizer = build_optimizer(model, config.optim)
    network = torch.compile(model, dynamic=False, mode=compiled) if compiled else model

    def work(batches: int) -> int:
        for step in range(batches):
            seek(model, config.seed, step, 0)
            with runtime.autocast(config.train.precision):
                logits = network(pixels)
            F.cross_entropy(logits.float(), labels).backward()
            optimizer.step()
            optimizer.zero_grad()
        return batches * config.train.batch_size

    name = f"{config.train.precision}, {'channels_last' if config.train.channels_last else 'contiguous'}"
    return Case(f"{name}, compile={compiled}" if compiled else name, work)


def training(config: Config, runtime: Runtime, name: str) -> Case:
    """The trainer itself, from its loader to its logged losses."""
    config = replace(config, train=replace(config.train, save_minutes=NEVER, epochs=1))
    loaders = sources.open_loaders(config.data, ("train",), runtime)
    index = loaders["train"].source.index
    model = make_model(config.model, len(index.classes), config.data.side, config.seed, runtime)
    job = Trainer(config, model, loaders, runtime, Path(tempfile.gettempdir()))
    job.tracker, job.lap, job.progress = NullTracker(), Lap(), Progress(1, 0, shown=False)

    def work(batches: int) -> int:
        job.state, job.total_steps = TrainState(), batches
        job.train_epoch()
        job.sums.collect(runtime, job.state.epoch_totals)
        return int(job.state.epoch_totals.rows)

    return Case(name, work)


def evaluations(config: Config, runtime: Runtime) -> list[Case]:
    """The network alone on one constant batch, then evaluation of photos of the val split."""
    (loader,) = sources.open_loaders(config.data, ("val",), runtime).values()
    index = loader.source.index
    model, pixels = _model_and_pixels(config, len(index.classes), runtime, BATCH)
    augment = Augment.from_config(config.data).for_evaluation()
    precision = config.train.precision

    def constant(batches: int) -> int:
        with torch.inference_mode(), runtime.autocast(precision):
            for _ in range(batches):
                model(pixels)
        return batches * BATCH

    def photos(batches: int) -> int:
        loader.source.index = replace(index, labels=index.labels[: batches * BATCH])
        evaluate(model, loader, augment, runtime, Judging(precision, config.crop_seed))
        return len(loader.source.index)

    model.eval()
    return [Case("constant batch", constant), Case("photos", photos)]


def _model_and_pixels(
    config: Config, classes: int, runtime: Runtime, rows: int
) -> tuple[torch.nn.Module, torch.Tensor]:
    side = config.data.side
    layout = torch.channels_last if config.train.channels_last else torch.contiguous_format
    model = make_model(config.model, classes, side, config.seed, runtime)
    pixels = torch.rand((rows, 3, side, side), device=runtime.device).contiguous(memory_format=layout)
    return model.to(runtime.device, memory_format=layout), pixels  # type: ignore[call-overload]
