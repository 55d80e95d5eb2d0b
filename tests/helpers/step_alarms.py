"""Steps on the null GPU with PyTorch's alarms on: for hidden waits, and for kernels that are not deterministic."""

import sys

import torch
from accelerate.state import AcceleratorState

from benchmarks.launches import batch, make_step
from leafdist.training.sums import StepSums

PLAIN = ("--optim.name", "adam")
PARTS = ("--optim.name", "sgd", "--train.clip_norm", "1", "--train.accumulate", "2")

torch.use_deterministic_algorithms(mode=True)
for precision in ("bf16", "fp16", "no"):
    for more in (PLAIN, PARTS):
        AcceleratorState._reset_state(reset_partial_state=True)
        step, runtime, config = make_step([*sys.argv[1:], "--train.precision", precision, *more])
        sums = StepSums()
        for number in range(2):
            torch.cuda.set_sync_debug_mode("error" if number else "default")
            sums.push(step(number, batch(config.train.batch_size, int(config.data.resize), runtime, number)))
        torch.cuda.set_sync_debug_mode("default")
        print("silent:", precision, *more)
