"""A null GPU that is full before the optimizer's averages are made, before an evaluation, and before gradients are."""

import sys
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.launches import batch, make_step
from leafdist.data.augment import Augment
from leafdist.data.index import scan
from leafdist.data.loader import Loader
from leafdist.data.pack import ensure_pack
from leafdist.data.source import PackSource
from leafdist.evaluation.evaluate import Judging, evaluate


def fill(*_: object) -> None:
    """Leave no room for what is not there yet."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.0)


def say_what_fails(work: Callable[[], object]) -> None:
    """Print the message for the user; anything else ends this program."""
    try:
        work()
    except OSError as error:
        print(error)
    torch.cuda.set_per_process_memory_fraction(1.0)


root = Path(sys.argv[1])
step, runtime, config = make_step(["--train.batch_size", "8"])
index = scan(root, "val")
source = PackSource(index, int(config.data.resize), ensure_pack(index, int(config.data.resize), root / "cache", 1))
loader = Loader(source, runtime.device, 0, resident=True)
augment = Augment.from_config(config.data).for_evaluation()
hook = step.optimizer.register_step_pre_hook(fill)
rows = batch(8, int(config.data.resize), runtime, 0)
say_what_fails(lambda: step(0, rows))
hook.remove()
step.runtime.world = 2  # a process alone settles nothing
fill()
say_what_fails(step._settle_buckets)
step.runtime.world = 1
fill()
say_what_fails(lambda: evaluate(step.model, loader, augment, runtime, Judging("no")))
