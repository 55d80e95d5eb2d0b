"""train.py with a fault at step 5: FAULT RANK, then train.py's own arguments.

hang, die, throw, desert, vanish, pause, inf; under NCCL starve (its loader sleeps), kill, fill (its GPU is full), stop.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import torch
from torch import Tensor

from leafdist.data.loader import Batch, Loader
from leafdist.distributed import watchdog
from leafdist.training.step import TrainStep
from train import main

fault, victim, *arguments = sys.argv[1:]
train_step = TrainStep.__call__


def faulty_step(self: TrainStep, step: int, batch: Batch) -> Tensor:
    if step == 5 and fault in ("desert", "vanish") and self.runtime.rank != int(victim):
        time.sleep(600)
    if step == 3 and fault == "starve" and self.runtime.rank == int(victim):
        Loader._next = lambda *_: time.sleep(600)  # type: ignore[method-assign]  # between two looks at signals
    if step == 5 and self.runtime.rank == int(victim):
        if fault == "hang":
            time.sleep(600)
        elif fault == "fill":
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(0.0)
        elif fault in ("die", "vanish", "kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "stop":
            os.kill(os.getpid(), signal.SIGTERM)
        elif fault == "pause":
            subprocess.Popen(["sh", "-c", f"sleep 8; kill -CONT {os.getpid()}"])
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fault in ("throw", "desert"):
            raise KeyError("a mistake of ours")
        elif fault == "inf":
            next(self.model.parameters()).data.fill_(float("inf"))
    return train_step(self, step, batch)


if fault == "desert":
    watchdog.GRACE = 5.0
elif fault == "vanish":
    watchdog.SILENT, watchdog.GRACE = 5, 3.0
elif fault in ("starve", "kill", "fill"):
    watchdog.SILENT, watchdog.VERDICT, watchdog.GRACE = 6 if fault == "kill" else 30, 1.0, 3.0
elif fault == "pause":
    watchdog.SILENT = 3
TrainStep.__call__ = faulty_step  # type: ignore[method-assign]
sys.argv = ["train.py", *arguments]
sys.exit(main())
