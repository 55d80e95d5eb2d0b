"""Saves over the null GPU, written long after the training went on: FOLDER, then train.py's arguments.

Prints how many tensors of the files are not those of their step, and what the last save asked for, as a line of JSON.
"""

import ctypes
import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.launches import COUNTS, WAITS, make_step
from leafdist.data.loader import Batch
from leafdist.data.plan import EpochPlan
from leafdist.runs.checkpoint import Snapshot, optimizer_tensors, save_last
from leafdist.runs.host_copies import Tensors

SAVES, CLASSES = 4, 33
folder = Path(sys.argv[1])
step, runtime, config = make_step(sys.argv[2:])
size, side, library, wrong = config.train.batch_size, int(config.data.resize), ctypes.CDLL(None), 0


def train(number: int) -> None:
    """Take one step, on photos of one colour."""
    share = EpochPlan(size, size, 0, number).share(0)
    images = torch.full((size, side, side, 3), 50 + number, dtype=torch.uint8, device=runtime.device)
    indices = torch.arange(size, device=runtime.device)
    draws = torch.from_numpy(share.draws).to(runtime.device)
    step(number, Batch(share, images, indices % CLASSES, indices, draws))


snapshots, expected = list[Snapshot](), list[Tensors]()
for number in range(SAVES):
    train(2 * number)
    there = step.model.state_dict() | optimizer_tensors(step.optimizer)
    expected.append({key: value.cpu() for key, value in there.items()})
    snapshots.append(Snapshot.of(step.model, step.optimizer, {}))
    train(2 * number + 1)
for number in range(SAVES):  # by now all has changed
    save_last(folder, number, snapshots.pop(0))
    saved = {
        key: value for path in folder.glob(f"step-*{number}/*.safetensors") for key, value in load_file(path).items()
    }
    wrong += sum(not torch.equal(saved.pop(key), value) for key, value in expected[number].items()) + len(saved)
library.nullcuda_reset()
began = time.thread_time()
snapshot = Snapshot.of(step.model, step.optimizer, {})
spent = time.thread_time() - began
save_last(folder, SAVES, snapshot)
counts = {name: library.nullcuda_count(name.encode()) for name in (*COUNTS, *WAITS, "stream wait", "cudaHostAlloc")}
runtime.say(json.dumps(counts | {"tensors": len(there), "wrong": wrong, "host ms": round(1000 * spent, 2)}))
runtime.close()
