"""Milliseconds and memory of an optimizer step on a GPU: python -m benchmarks.steps --sides 52 224 --rows 32 256.

Anything else goes to train.py's settings, such as --train.graph never. Batches lie on the device: `leafdist bench`
measures with the loader. host: what the process computes meanwhile. allocated, reserved: peaks of PyTorch's allocator,
with an epoch's short last batch, as large as it can be; the CUDA context and what cuDNN keeps to itself come on top.
"""

import argparse
import gc
import os
import statistics
import sys
import time
from contextlib import redirect_stdout
from itertools import product

import numpy as np
import torch
from accelerate.state import AcceleratorState

from benchmarks.launches import WARM, make_step
from leafdist.data.loader import Batch
from leafdist.data.plan import EpochPlan, Share, streams
from leafdist.training.sums import StepSums

TURNS = 3
CLASSES = 33  # of benchmarks/launches.py
COLUMNS = "pixels | rows | precision | ms, median | least | photos/s | host, ms | allocated, GiB | reserved, GiB"


def main() -> None:
    """Print a row per size, precision and number of rows, as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[52, 224])
    parser.add_argument("--rows", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp16", "no"])
    parser.add_argument("--seconds", type=float, default=0.5, help="of each of three turns")
    options, settings = parser.parse_known_args()
    device = torch.cuda.get_device_properties(0)
    print(f"{device.name}, {device.total_memory / 2**30:.1f} GiB, torch {torch.__version__}", *settings)
    print(f"\n| {COLUMNS} |\n|{' --- |' * 9}", flush=True)
    for case in product(options.sides, options.rows, options.precisions):
        print(f"| {' | '.join([*map(str, case), *measured(*case, options.seconds, settings)])} |", flush=True)


def measured(side: int, rows: int, precision: str, seconds: float, settings: list[str]) -> list[str]:
    """Return the columns after the first three."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    AcceleratorState._reset_state(reset_partial_state=True)
    sizes = ["--data.resize", max(64, side * 8 // 7), "--data.crop", side, "--train.batch_size", rows]
    arguments = [*map(str, sizes), "--train.precision", precision, *settings]
    try:
        with redirect_stdout(sys.stderr):  # what it says of graphs
            return timed(rows, arguments, seconds)
    except (OSError, torch.OutOfMemoryError):
        return ["out of memory", *[""] * 5]


def timed(rows: int, arguments: list[str], seconds: float) -> list[str]:
    """Warm up, take steps of so many rows for three times `seconds`, and one of a row less."""
    step, runtime, config = make_step(arguments)
    plan = EpochPlan(max(2, 2 * rows - 1), rows, 0, 0, streams(config.augment))
    side, sums, number = int(config.data.resize), StepSums(), 0
    pixels = np.random.default_rng(0).integers(0, 256, (rows, side, side, 3), np.uint8)

    def batch_of(share: Share) -> Batch:
        count = len(share)
        arrays = pixels[:count], np.arange(count) % CLASSES, share.indices, share.draws
        return Batch(share, *(torch.from_numpy(array).to(runtime.device) for array in arrays))

    full, last = map(batch_of, plan.shares(0, 1))

    def take(count: int) -> tuple[float, float]:
        """Return milliseconds per step, of the clock and of the process's threads."""
        nonlocal number
        torch.cuda.synchronize()
        clock, process = time.perf_counter(), time.process_time()
        for _ in range(count):
            sums.push(step(number, full))
            number += 1
        process = time.process_time() - process
        torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - clock) / count, 1e3 * process / count

    take(WARM)
    count = max(1, round(1e3 * seconds / take(2)[0]))
    turns = [take(count) for _ in range(TURNS)]
    sums.push(step(number, last))
    take(1)
    step.release()
    clocks, hosts = zip(*turns, strict=True)
    peaks = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    clock = statistics.median(clocks)
    figures = [f"{clock:.2f}", f"{min(clocks):.2f}", f"{1e3 * rows / clock:,.0f}", f"{statistics.median(hosts):.2f}"]
    return figures + [f"{peak / 2**30:.2f}" for peak in peaks]


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # now and then the interpreter's own end aborts here, with threads of PyTorch still alive
