"""Latency of exported networks by onnxruntime, and of PyTorch, in turns: `python benchmarks/exported.py RUN FOLDER`.

FOLDER is what `leafdist export RUN --preprocess --precision fp32,fp16,int8` wrote. One thread each: idle pools of
onnxruntime spin, and PyTorch's threads wait for one another, so that with more each would slow what comes after it.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from leafdist.export import onnx_file
from leafdist.export.subject import Subject
from leafdist.system import console

WARM, TURNS = 3, 30


def main() -> None:
    run, folder = map(Path, sys.argv[1:])
    subject = Subject.load(run, inside=True)
    torch.set_num_threads(1)
    side = int(subject.config.data.resize)
    rows = []
    for batch in (1, 32):
        photos = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), np.uint8)
        known: dict[str, Callable[[], object]] = {"PyTorch": partial(subject.scores, photos)}
        for path in sorted(folder.glob("*.onnx")):
            known[path.name] = partial(onnx_file.answers_of(path.read_bytes(), 1), photos)
        seconds: dict[str, list[float]] = {name: [] for name in known}
        for _ in range(WARM + TURNS):
            for name, work in known.items():
                seconds[name].append(clock(work))
        base = seconds["model.onnx"][WARM:]
        for name, every in seconds.items():
            taken = every[WARM:]
            ratio = median(one / other for one, other in zip(base, taken, strict=True))
            rows.append([batch, name, f"{1000 * median(taken):.1f}", f"{1000 * min(taken):.1f}", f"{ratio:.2f}"])
    console.table(["batch", "network", "median ms", "least ms", "times as fast as fp32"], rows)
    print(f"one thread each, torch {torch.__version__}, {TURNS} turns")


def clock(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
