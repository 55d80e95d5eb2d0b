"""Photos per second that one process trains on."""

import time

import torch
import torch.nn.functional as F

from leafdist.config.schema import Config
from leafdist.distributed.runtime import resolve_precision
from leafdist.models.build import build_model
from leafdist.models.dropout import seek
from leafdist.training.optim import build_optimizer

CLASSES = 38


def training_rate(config: Config, rows: int, threads: int, seconds: float) -> float:
    """Photos per second, measured for `seconds` on one batch of `rows` in memory."""
    device, side = torch.device("cuda" if torch.cuda.is_available() else "cpu"), config.data.side
    if device.type == "cpu":
        torch.set_num_threads(threads)
    precision = resolve_precision(config.train.precision)
    model = build_model(config.model.name, CLASSES, side, dropout=config.model.dropout).to(device).train()
    optimizer, pixels = build_optimizer(model, config.optim), torch.rand(rows, 3, side, side, device=device)
    labels, kind = torch.arange(rows, device=device) % CLASSES, torch.float16 if precision == "fp16" else torch.bfloat16
    began, steps = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        seek(model, 0, steps, 0)
        with torch.autocast(device.type, kind, enabled=precision != "no"):
            logits = model(pixels)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        steps += 1
    return rows * steps / passed
