"""Scan, index, split and start with a million photos: python benchmarks/million.py FOLDER [PHOTOS] [--out FILE].

Draws them (16x16 PNG, 33 classes) in FOLDER/raw, links them into FOLDER/splitted, then measures each step in a process
of its own: wall time, time of all cores, and the peak memory of its largest process. Needs about 8 GB and 2 million
inodes. The training reads the folder: a pack of a million photos is a matter of the decoder, and measured elsewhere.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from leafdist.prepare.sample import CLASSES

LOOK = """
import json, sys, time
from pathlib import Path
from leafdist.data.kept_index import open_index
began = time.perf_counter()
index = open_index(Path(sys.argv[1]), sys.argv[2], None, Path(sys.argv[3]))
print(len(index), "photos in", round(time.perf_counter() - began, 2), "s")
"""


def draw(folder: Path, photos: int) -> None:
    """Write as many files as asked for, with a few hundred different contents."""
    random = np.random.default_rng(0)
    contents = []
    for _ in range(256):
        file = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8)).resize((16, 16)).save(file, "PNG")
        contents.append(file.getvalue())
    each = -(-photos // len(CLASSES))

    def fill(label: int) -> None:
        (folder / CLASSES[label]).mkdir(parents=True)
        for number in range(min(each, photos - label * each)):
            path = folder / CLASSES[label] / f"photo {number:06}.png"
            path.write_bytes(contents[(label * 31 + number) % len(contents)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, range(len(CLASSES))))


def measured(name: str, command: list[str]) -> dict[str, object]:
    """A training is told to stop at its first line about a step: its seconds are those until then."""
    began = time.perf_counter()
    plain = os.environ | {"TERM": "dumb"}  # lines, not a bar, on a terminal too
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=plain)
    assert process.stdout
    seconds, last = 0.0, ""
    for line in process.stdout:
        if not seconds:
            last = line.strip()
        if line.startswith("epoch 1 step ") and not seconds:
            seconds = time.perf_counter() - began
            process.terminate()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 75), (name, status)
    row = {"step": name, "seconds": round(seconds or time.perf_counter() - began, 1)}
    return row | {
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": usage.ru_maxrss >> 10,
        "said": last,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--out", type=Path, help="where to write the figures too, as JSON")
    options = parser.parse_args()
    raw, root, cache = (options.folder / name for name in ("raw", "splitted", "cache"))
    if not raw.exists():
        draw(raw, options.photos)
    python = [sys.executable]
    look = [*python, "-c", LOOK, str(root), "train", str(cache)]
    train = [
        *python,
        "train.py",
        "--config",
        "configs/baseline.yaml",
        "--data.root",
        str(root),
        "--data.source",
        "folder",
    ]
    train += ["--data.cache", str(cache), "--data.workers", "2", "--data.resize", "16", "--train.log_every", "1"]
    train += ["--run.folder", str(options.folder / "runs"), "--track.wandb", "off"]
    steps = {
        "split --mode hardlink": [*python, "-m", "leafdist", "split", str(raw), str(root), "--mode", "hardlink"],
        "first scan of train": look,
        "scan of train again": look,
        "start": train,
        "start again": [*train, "--run.name", "again"],
    }
    rows = []
    for name, command in steps.items():
        rows.append(measured(name, command))
        print(json.dumps(rows[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
