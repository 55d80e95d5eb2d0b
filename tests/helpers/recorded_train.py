"""train.py with eyes: notes what each row of each step was given. Arguments: OUT DTYPE, then train.py's own."""

import json
import os
import sys
import zlib
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
from leafdist.data.loader import Batch
from leafdist.models.dropout import PlannedDropout, mask
from leafdist.models.resnet import ResNet50
from leafdist.training.step import TrainStep
from train import main

out, dtype, *arguments = sys.argv[1:]
torch.set_default_dtype(getattr(torch, dtype))
rows: dict[str, object] = {}
masks: dict[str, int] = {}
rates: dict[int, float] = {}
train_step, forward = TrainStep.__call__, PlannedDropout.forward


def recorded_step(self: TrainStep, step: int, batch: Batch) -> Tensor:
    share = batch.share
    rates[step] = self.rate(step)
    for row in [] if share.stand_in else range(len(share)):
        seen = [
            int(share.indices[row]),
            zlib.crc32(batch.images[row].numpy().data),
            int(batch.labels[row]),
            share.draws[row].tolist(),
        ]
        rows[f"step {step} row {share.first + row}"] = seen
    return train_step(self, step, batch)


def recorded_forward(self: PlannedDropout, x: Tensor) -> Tensor:
    if self.training and self.threshold:
        assert self.clock is not None
        factors = mask(self.drawn(x.detach()), self.clock, self.seed, self.layer, self.first, self.threshold)
        for row, kept in enumerate(factors > 0):
            name = f"step {int(self.clock)} layer {self.layer} row {self.first + row}"
            masks[name] = zlib.crc32(kept.contiguous().numpy().data)
    return forward(self, x)


TrainStep.__call__ = recorded_step  # type: ignore[method-assign]
PlannedDropout.forward = recorded_forward  # type: ignore[method-assign]
if "resnet50" in arguments and "--train.sync_batchnorm" not in arguments:  # then these alone depend on the cut
    ResNet50.train = lambda self, mode=True: torch.nn.Module.train(self, False)  # type: ignore[method-assign]
sys.argv = ["train.py", *arguments]
status = main()
record = {"rows": rows, "masks": masks, "rates": rates}
Path(f"{out}.{os.getpid()}.json").write_text(json.dumps(record))
sys.exit(status)
