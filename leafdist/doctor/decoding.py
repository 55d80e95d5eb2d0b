"""Photos that a core decodes a second, against those that the device trains on in that time."""

import math
import random
import time
from collections.abc import Iterator
from pathlib import Path

from leafdist.config.schema import Config, DataConfig
from leafdist.doctor.cores import quota
from leafdist.doctor.diagnosis import Finding, error, note, ok, warning
from leafdist.doctor.launch import Place
from leafdist.system.processes import usable_cores

SECONDS = 3.0  # of decoding, and of training
ROWS = 32  # photos a step on a CPU, where the whole batch would take long
CLASSES = 38  # of the network: a few more or less are nothing


def check_photos(config: Config, place: Place) -> Iterator[Finding]:
    """Where there are any; else only what the device would take."""
    from leafdist.data.folds import fold_root

    root = Path(config.data.root)
    demand = trained_a_second(config, place) * place.local_world
    name, pace = config.model.name, "{demand:,.0f} photos/s here (a few steps from memory)"
    if not root.exists() and config.data.root == DataConfig().root:
        way = "Name them with --data.root; `leafdist sample-data` draws some"
        yield note("photos", f"{name} trains on {pace}; data.root={root} is not there", way, demand=demand)
        return
    if root.is_file():
        yield ok("photos", f"{name} trains on {pace}; data.root={root} is an archive", demand=demand)
        return
    try:
        paths = photos_of(fold_root(root, config.data.fold) / "train")
    except ValueError as fault:
        text, _, way = str(fault).partition(". ")
        yield error("photos", text, way or "Name a folder of train/<class>/<photo> with --data.root")
        return
    bad, rate = decoded_a_second(paths, config.data)
    if bad:
        yield warning("photos", f"{len(bad)} of a few hundred cannot be read: {bad[0]}", f"leafdist audit {root}")
    if rate:
        yield verdict(config.data, rate, demand, len(paths), f"{name} trains on {pace}")


def photos_of(folder: Path) -> list[Path]:
    """All of a split. Raises ValueError where there is none."""
    from leafdist.data.photos import list_classes, list_images

    paths = [Path(entry) for name in list_classes(folder) for entry in list_images(folder / name)[0]]
    if not paths:
        raise ValueError(f"{folder} holds no photos. Name a folder of train/<class>/<photo> with --data.root")
    return paths


def decoded_a_second(paths: list[Path], data: DataConfig) -> tuple[list[str], float]:
    """By one core, of photos drawn from all of them, the disk included; and those that cannot be decoded."""
    from leafdist.data.decode import decode
    from leafdist.system.errors import UnreadablePhotoError

    drawn = random.Random(0).sample(paths, min(len(paths), 5000))
    bad, done, began = list[str](), 0, time.perf_counter()
    for path in drawn:
        try:
            decode(path, data.resize, data.fit)
            done += 1
        except UnreadablePhotoError as fault:
            bad.append(str(fault).split(". ")[0])
        if time.perf_counter() - began > SECONDS:
            break
    return bad, done / (time.perf_counter() - began)


def trained_a_second(config: Config, place: Place) -> float:
    """By one process: forward, backward and update, on one batch in memory."""
    import torch
    import torch.nn.functional as F

    from leafdist.distributed.runtime import resolve_precision, usable_cpus
    from leafdist.models.build import build_model
    from leafdist.models.dropout import seek
    from leafdist.training.optim import build_optimizer

    cuda = torch.cuda.is_available()
    device, side = torch.device("cuda" if cuda else "cpu"), int(config.data.crop) or config.data.resize
    rows = math.ceil(config.train.batch_size / place.world)
    rows = min(rows, config.train.max_rows or rows, rows if cuda else ROWS)
    if not cuda:
        torch.set_num_threads(usable_cpus(place.local_world, place.world))
    precision = resolve_precision(config.train.precision)
    model = build_model(config.model.name, CLASSES, side, dropout=config.model.dropout).to(device).train()
    optimizer, pixels = build_optimizer(model, config.optim), torch.rand(rows, 3, side, side, device=device)
    labels, kind = torch.arange(rows, device=device) % CLASSES, torch.float16 if precision == "fp16" else torch.bfloat16

    def step(number: int) -> None:
        seek(model, 0, number, 0)
        with torch.autocast(device.type, kind, enabled=precision != "no"):
            logits = model(pixels)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        if cuda:
            torch.cuda.synchronize()

    began, steps = time.perf_counter(), 1
    step(0)  # to warm up, where there is time for more
    if time.perf_counter() - began < SECONDS:
        began, steps = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < SECONDS:
        steps += 1
        step(steps)
    return rows * steps / passed


def verdict(data: DataConfig, rate: float, demand: float, photos: int, pace: str) -> Finding:
    """How many cores keep up with the device, or that it does not matter."""
    cores = int(min(usable_cores(), quota() or math.inf)) or 1
    figures = {"rate": rate, "demand": demand, "needed": math.ceil(demand / rate)}
    text = f"{pace}; a core decodes {{rate:,.0f}}"
    if data.source != "folder":
        minutes = photos / rate / cores / 60
        text += f": moot, as the {photos:,} are packed once, in about {{minutes:.1f}} min"
        return ok("photos", text, **figures, minutes=minutes)
    text += ": {needed:.0f} core(s) keep up with the device"
    if figures["needed"] > cores:
        return warning("photos", f"{text}, {cores} may be used", "data.source=pack decodes once", **figures)
    return ok("photos", text, **figures)
