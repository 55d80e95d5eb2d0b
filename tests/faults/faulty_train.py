"""train.py with a fault at step 5: hang, die, throw, desert, inf. Arguments: FAULT RANK, then train.py's own."""

import os
import signal
import sys
import time
from pathlib import Path

from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
from leafdist.data.plan import Share
from leafdist.step import Sums, TrainStep
from train import main

fault, victim, *arguments = sys.argv[1:]
train_step = TrainStep.__call__


def faulty_step(self: TrainStep, step: int, share: Share, images: Tensor, labels: Tensor) -> Sums:
    if step == 5 and fault == "desert" and self.runtime.rank != int(victim):
        time.sleep(600)
    if step == 5 and self.runtime.rank == int(victim):
        if fault == "hang":
            time.sleep(600)
        elif fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault in ("throw", "desert"):
            raise KeyError("a mistake of ours")
        elif fault == "inf":
            next(self.model.parameters()).data.fill_(float("inf"))
    return train_step(self, step, share, images, labels)


TrainStep.__call__ = faulty_step  # type: ignore[method-assign]
sys.argv = ["train.py", *arguments]
sys.exit(main())
