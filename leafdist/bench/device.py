"""What the device does: the ceiling of a network fed with one constant batch, training, evaluation."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leafdist.bench.timing import Case, timed
from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.data.augment import Augment
from leafdist.data.class_weights import class_weights
from leafdist.data.open import open_loaders
from leafdist.distributed.precision import Precision, autocast, settle_precision
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import Judging, evaluate
from leafdist.models.build import build_model
from leafdist.models.dropout import dropout_layers, seek_rows, seek_step
from leafdist.training.model import make_model
from leafdist.training.optim import build_optimizer
from leafdist.training.rates import group_parameters
from leafdist.training.trainer import Trainer

BATCH = 256  # photos per constant batch of an evaluation
CLASSES = 38  # of the network in `training_rate`: a few more or less change nothing
NEVER = 1e9  # minutes between checkpoints


class ConstantBatch:
    """Trains `model` on one batch of `rows` photos in the device's memory; `mode` is one of torch.compile, if any."""

    def __init__(
        self, config: Config, model: nn.Module, device: torch.device, rows: int, classes: int, *, mode: str = ""
    ) -> None:
        self.config, self.rows, self.device = config, rows, device
        self.model, self.pixels = _placed(config, model, device, rows)
        self.labels = torch.arange(rows, device=device) % classes
        self.model.train()
        self.dropouts = dropout_layers(self.model)
        head = network(config.model.name).head
        self.network = torch.compile(self.model, dynamic=False, mode=mode) if mode else self.model
        self.optimizer = build_optimizer(group_parameters(self.model, config.optim, head), config.optim)

    def train(self, batches: int) -> int:
        """Take so many optimizer steps: forward, backward, update; returns the number of photos."""
        for number in range(batches):
            seek_step(self.dropouts, self.config.seed, number, self.device)
            seek_rows(self.dropouts, 0, self.rows)
            with autocast(self.device, self.config.train.precision):
                logits = self.network(self.pixels)
            F.cross_entropy(logits.float(), self.labels).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        return batches * self.rows


def training_rates(config: Config, rows: int, threads: int, seconds: float) -> list[float]:
    """Photos per second of each step of one process, for `seconds`, two steps at least, on a batch of `rows` in memory.

    On a GPU of ten steps at a time, since training does not wait for each. `threads` are used on a CPU. No process
    group is needed; the network has random weights.
    """
    cuda = torch.cuda.is_available()
    device, together = torch.device("cuda" if cuda else "cpu"), 10 if cuda else 1
    if cuda:  # as in training
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    else:
        torch.set_num_threads(threads)
    config = replace(config, train=replace(config.train, precision=settle_precision(config.train.precision).precision))
    model = build_model(config.model.name, CLASSES, config.data.side, dropout=config.model.dropout)
    batch = ConstantBatch(config, model, device, rows, CLASSES)

    case = Case("", batch.train)
    timed(case, together)  # a warm-up
    rates, began = list[float](), time.monotonic()
    while len(rates) < 2 or time.monotonic() - began < seconds:
        took, photos = timed(case, together)
        rates.append(photos / took)
    return rates


def ceilings(config: Config, classes: Sequence[str], runtime: Runtime) -> list[Case]:
    """One case per precision and memory format of the device, then the configured ones compiled."""
    cuda = runtime.device.type == "cuda"
    precisions: list[Precision] = ["no"]
    if cuda or settle_precision("auto").precision == "bf16":
        precisions.append("bf16")
    if cuda:
        precisions.append("fp16")
    cases = []
    for precision in precisions:
        for layout in (False, True):
            train = replace(config.train, precision=precision, channels_last=layout)
            cases.append(ceiling(replace(config, train=train), classes, runtime))
    modes = ("default", "reduce-overhead") if cuda else ("default",)
    return cases + [ceiling(config, classes, runtime, mode) for mode in modes]


def ceiling(config: Config, classes: Sequence[str], runtime: Runtime, compiled: str = "") -> Case:
    """Training on one constant batch; `compiled` is a mode of torch.compile."""
    model = make_model(config, classes, runtime)
    rows = min(config.train.batch_size, config.train.max_rows or config.train.batch_size)
    batch = ConstantBatch(config, model, runtime.device, rows, len(classes), mode=compiled)
    name = f"{config.train.precision}, {'channels_last' if config.train.channels_last else 'contiguous'}"
    return Case(f"{name}, compile={compiled}" if compiled else name, batch.train)


def training(config: Config, runtime: Runtime, name: str) -> Case:
    """The trainer itself, from its loader to its logged losses."""
    train = replace(config.train, save_minutes=NEVER, epochs=1, head_epochs=0)
    config = replace(config, train=train, augment=replace(config.augment, mix_off_epochs=0))
    loaders = open_loaders(config.data, ("train",), runtime)
    index = loaders["train"].source.index
    model, folder = make_model(config, index.classes, runtime), Path(tempfile.gettempdir())
    weights = runtime.once(lambda: class_weights(config.optim.class_weights, config.data.sampling, index))
    return Case(name, Trainer(config, model, loaders, runtime, folder, class_weights=weights).train_first)


def evaluations(config: Config, runtime: Runtime) -> list[Case]:
    """The network alone on one constant batch, then evaluation of photos of the val split."""
    (loader,) = open_loaders(config.data, ("val",), runtime).values()
    index = loader.source.index
    model, pixels = _placed(config, make_model(config, index.classes, runtime), runtime.device, BATCH)
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


def _placed(config: Config, model: nn.Module, device: torch.device, rows: int) -> tuple[nn.Module, Tensor]:
    """The network on its device, and random pixels (rows,3,side,side), both in the configured memory format."""
    layout = torch.channels_last if config.train.channels_last else torch.contiguous_format
    pixels = torch.rand((rows, 3, config.data.side, config.data.side), device=device)
    return model.to(device, memory_format=layout), pixels.contiguous(memory_format=layout)  # type: ignore[call-overload]
