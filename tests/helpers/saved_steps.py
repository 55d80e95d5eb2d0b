"""Saves over the null GPU while the training goes on: FOLDER, then train.py's arguments.

Prints how many tensors of the files are not those of their step, and what the last save asked for, as a line of JSON.
"""

import ctypes
import json
import sys
import time
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.launches import COUNTS, WAITS, make_step
from leafdist.data.loader import Batch
from leafdist.data.plan import EpochPlan
from leafdist.runs.checkpoint import Snapshot, optimizer_tensors, save_last
from leafdist.training.checkpoint_writer import Writer

SAVES, CLASSES = 4, 33
folder = Path(sys.argv[1])
step, runtime, config = make_step(sys.argv[2:])
size, side, library, writer = config.train.batch_size, config.data.resize, ctypes.CDLL(None), Writer()
expected = list[dict[str, torch.Tensor]]()


def train(number: int) -> None:
    """Take one step, on photos of one colour."""
    share = EpochPlan(size, size, 0, number).share(0)
    images = torch.full((size, side, side, 3), 50 + number, dtype=torch.uint8, device=runtime.device)
    indices = torch.arange(size, device=runtime.device)
    draws = torch.from_numpy(share.draws).to(runtime.device)
    step(number, Batch(share, images, indices % CLASSES, indices, draws))


def save(number: int) -> None:
    """Begin to save; nothing waits for the end."""
    writer.make_room()
    snapshot = Snapshot.of(step.model, step.optimizer, {})
    writer.submit(partial(save_last, folder / str(number), 0, snapshot))


for number in range(SAVES):
    train(2 * number)
    there = step.model.state_dict() | optimizer_tensors(step.optimizer)
    expected.append({key: value.cpu() for key, value in there.items()})
    save(number)
    train(2 * number + 1)
writer.wait()
saved = [
    {name: tensor for path in (folder / str(number)).rglob("*.safetensors") for name, tensor in load_file(path).items()}
    for number in range(SAVES)
]
wrong = sum(not torch.equal(saved[number].pop(key), value) for number in range(SAVES) for key, value in expected[number].items())
assert not any(saved)
library.nullcuda_reset()
began = time.thread_time()
save(SAVES)
spent = time.thread_time() - began
counts = {name: library.nullcuda_count(name.encode()) for name in COUNTS}
writer.wait()
counts |= {name: library.nullcuda_count(name.encode()) for name in (*WAITS, "stream wait", "cudaHostAlloc")}
runtime.say(json.dumps(counts | {"tensors": len(there), "wrong": wrong, "host ms": round(1000 * spent, 2)}))
runtime.close()
