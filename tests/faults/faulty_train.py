"""train.py with a fault at step 5, hang, die, throw, desert, vanish, pause or inf: FAULT RANK, then train.py's own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from torch import Tensor

from leafdist.data.loader import Batch
from leafdist.distributed import watchdog
from leafdist.training.step import TrainStep
from train import main

fault, victim, *arguments = sys.argv[1:]
train_step = TrainStep.__call__


def faulty_step(self: TrainStep, step: int, batch: Batch) -> Tensor:
    if step == 5 and fault in ("desert", "vanish") and self.runtime.rank != int(victim):
        time.sleep(600)
    if step == 5 and self.runtime.rank == int(victim):
        if fault == "hang":
            time.sleep(600)
        elif fault in ("die", "vanish"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "pause":
            subprocess.Popen(["sh", "-c", f"sleep 8; kill -CONT {os.getpid()}"])
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fault in ("throw", "desert"):
            raise KeyError("a mistake of ours")
        elif fault == "inf":
            next(self.model.parameters()).data.fill_(float("inf"))
    return train_step(self, step, batch)


if fault == "vanish":
    watchdog.SILENT, watchdog.GRACE = 5, 3.0
elif fault == "pause":
    watchdog.SILENT = 3
TrainStep.__call__ = faulty_step  # type: ignore[method-assign]
sys.argv = ["train.py", *arguments]
sys.exit(main())
