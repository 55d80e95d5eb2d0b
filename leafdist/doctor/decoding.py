"""Photos per second that one core decodes, against those that the device trains on."""

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from leafdist.bench.device import training_rates
from leafdist.config.schema import Config, DataConfig
from leafdist.data.decode import decode
from leafdist.data.folds import fold_root
from leafdist.data.index import check_classes, scan
from leafdist.distributed.memory import memory_for_rows
from leafdist.distributed.runtime import usable_cpus
from leafdist.doctor.diagnosis import Finding, error, note, ok, warning
from leafdist.doctor.launch import Launch
from leafdist.system.console import command, counted
from leafdist.system.errors import UnreadablePhotoError
from leafdist.system.processes import usable_cores

SECONDS = 3.0  # of decoding, and of training
ROWS = 32  # photos per step on a CPU, where the whole batch would take long


def check_photos(config: Config, launch: Launch) -> Iterator[Finding]:
    """Check that photos can be decoded, and fast enough; without photos, say how many the device would train on."""
    data, root, rows = config.data, Path(config.data.root), rows_at_once(config, launch)
    try:
        with memory_for_rows(rows, resident=False):
            slow, demand = demanded(config, launch, rows)
    except OSError as fault:
        text, _, way = str(fault).partition(". ")
        yield error("photos", text, way)
        return
    pace = f"{config.model.name} trains on {{demand:,.0f}} photos/s here at best, {{slow:,.0f}} in the slowest step"
    if torch.cuda.is_available():
        pace += f", in {torch.cuda.max_memory_reserved() / 2**30:.1f} GiB for {counted(rows, 'photo')} at once"
    if root.is_file() or (not root.exists() and data.root == DataConfig().root):
        what = "is an archive" if root.is_file() else "does not exist; `leafdist sample-data` draws photos"
        yield note("photos", f"{pace}; data.root={root} {what}", figures={"demand": demand, "slow": slow})
        return
    try:
        index = scan(folder := fold_root(root, data.fold), "train")
        check_classes(folder, "val", index.classes)
    except ValueError as fault:
        text, _, way = str(fault).partition(". ")
        yield error("photos", text, way or "Name a folder of train/<class>/<photo> with --data.root")
        return
    bad, rate = decoding_rate([index.folder / name for name in index.names], data)
    if bad:
        text = f"{len(bad)} of a few hundred cannot be read: {bad[0]}"
        yield warning("photos", text, command("leafdist", "audit", root))
    if rate:
        found = verdict(data, rate, demand, len(index), pace)
        yield replace(found, figures=found.figures | {"slow": slow})


def rows_at_once(config: Config, launch: Launch) -> int:
    """Return the photos of a step that this node's processes each try."""
    rows = math.ceil(config.train.batch_size / launch.world)
    return min(rows, config.train.max_rows or rows, rows if torch.cuda.is_available() else ROWS)


def demanded(config: Config, launch: Launch, rows: int) -> tuple[float, float]:
    """Photos per second that all processes of this node train on, in the slowest and in the fastest step."""
    threads = usable_cpus(launch.local_world, launch.world)
    rates = training_rates(config, rows, threads, SECONDS)
    return min(rates) * launch.local_world, max(rates) * launch.local_world


def decoding_rate(paths: Sequence[Path], data: DataConfig) -> tuple[list[str], float]:
    """What is wrong with photos that cannot be decoded, and photos per second of one core, reading included."""
    bad, done, began = list[str](), 0, time.perf_counter()
    for path in random.Random(0).sample(paths, min(len(paths), 5000)):
        try:
            decode(path, int(data.resize), data.fit, data.max_pixels, data.interpolation)
            done += 1
        except UnreadablePhotoError as fault:
            bad.append(str(fault).split(". ")[0])
        if time.perf_counter() - began > SECONDS:
            break
    return bad, done / (time.perf_counter() - began)


def verdict(data: DataConfig, rate: float, demand: float, photos: int, pace: str) -> Finding:
    """Say how many cores keep up with the device, or how long packing takes."""
    cores, needed = usable_cores(), math.ceil(demand / rate)
    minutes = photos / rate / cores / 60
    figures = {"rate": rate, "demand": demand, "needed": needed, "minutes": minutes}
    text = f"{pace}; a core decodes {{rate:,.0f}}"
    if data.source == "pack":
        text += f", once for a pack: {{minutes:.1f}} min for {counted(photos, 'photo')}"
        return ok("photos", text, figures=figures)
    text += "; cores that keep up with the device: {needed:.0f}"
    if needed > cores:
        return warning("photos", f"{text}, {cores} may be used", "data.source=pack decodes once", figures)
    return ok("photos", text, figures=figures)
