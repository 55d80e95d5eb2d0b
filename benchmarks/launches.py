"""Counts what an optimizer step asks of a GPU: launches, copies, waits, milliseconds of the host; over the null GPU.

RUN_SH python -O -m benchmarks.launches --model.name resnet50 --train.precision bf16 --train.batch_size 256

RUN_SH is the null GPU's run.sh, whose kernels compute nothing: PyTorch's host side is real, results are not.
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from leafdist.config.parse import parse_config
from leafdist.config.schema import Config
from leafdist.data.loader import Batch
from leafdist.data.mixing import Mixing
from leafdist.data.plan import EpochPlan, Purpose, Share, streams
from leafdist.distributed.runtime import Runtime
from leafdist.models.build import build_model
from leafdist.training.graph import WARM_UP
from leafdist.training.step import TrainStep
from leafdist.training.sums import StepSums

WARM, STEPS = WARM_UP + 2, 10
WAITS = "host waits: stream", "host waits: event", "host waits: copy", "host waits: device"
COUNTS = ("launch", "H2D pageable", "H2D pinned", "D2H pageable", "D2H pinned", "graph launch")

# what CUDA refuses while a graph is captured, or what would be missing from the graph
HAZARDS = (
    "HAZARD wait in capture",
    "HAZARD pageable copy in capture",
    "launch outside of the captured streams",
    "H2D pageable in capture",
    "D2H pageable in capture",
)


def main() -> None:
    """Print the counts per step of one rank as a line of JSON, from rank 0."""
    step, runtime, config = make_step(sys.argv[1:])
    augment, extra = config.augment, streams(config.augment)
    mixing = Mixing(augment.mixup, augment.cutmix, config.data.side) if augment.mixes else None
    size, side, sums, library = config.train.batch_size, int(config.data.resize), StepSums(), ctypes.CDLL(None)
    for number in range(WARM):
        sums.push(step(number, batch(size, side, runtime, number, extra, mixing)))
    hazards = sum(library.nullcuda_count(name.encode()) for name in HAZARDS)
    library.nullcuda_reset()
    began = time.process_time()
    for number in range(WARM, WARM + STEPS):
        sums.push(step(number, batch(size, side, runtime, number, extra, mixing)))
    spent = time.process_time() - began
    counts = {name: library.nullcuda_count(name.encode()) / STEPS for name in (*COUNTS, *WAITS)}
    runtime.say(json.dumps(counts | {"hazards": hazards, "host ms": round(1000 * spent / STEPS, 2)}))
    step.release()
    runtime.close()


def make_step(arguments: list[str]) -> tuple[TrainStep, Runtime, Config]:
    """Make the step of train.py's `arguments`, with random weights and nothing frozen."""
    config = parse_config(["--model.weights", "none", "--model.freeze", "none", *arguments])
    runtime = Runtime(precision=config.train.precision)
    config = replace(config, train=replace(config.train, precision=runtime.precision))
    step = TrainStep(config, build_model(config.model.name, 33, config.data.side), runtime, 1000)
    step.watch.judge = step.watch.pending.clear  # type: ignore[method-assign]  # flags are what the memory held before
    step.wrapped.train()
    return step, runtime, config


def batch(  # noqa: PLR0917
    size: int, side: int, runtime: Runtime, number: int, extra: Sequence[Purpose] = (), mixing: Mixing | None = None
) -> Batch:
    """Make this rank's share of the batch of `size` with that number; extra: streams of draws beside the first."""
    plan = EpochPlan(size, size, 0, number, extra, mixing=mixing)
    return batch_of(plan.share(0, runtime.rank, runtime.world), side, runtime)


def batch_of(share: Share, side: int, runtime: Runtime) -> Batch:
    """Make the batch of a share on the device, without a copy."""
    rows = len(share.indices)  # one more than the share has, where photos are mixed
    images = torch.empty((rows, side, side, 3), dtype=torch.uint8, device=runtime.device)
    numbers = torch.empty(rows, dtype=torch.int64, device=runtime.device)
    draws = torch.empty(share.draws.shape, dtype=torch.float64, device=runtime.device)
    return Batch(share, images, numbers, numbers, draws)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # now and then the interpreter's own end aborts here, with threads of PyTorch still alive
