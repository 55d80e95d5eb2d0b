"""Odd names of classes, photos and runs, in odd locales, through every command: seeded, and whatever fails is printed.

python -m tests.helpers.odd_names [CHAINS] [FIRST SEED]
"""

import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.paths import REPO

STEERING = b"[\0-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]"  # terminals, in UTF-8
PIECES = [
    *(
        "Blätter",
        "叶",
        "🍂",
        "e\u0301",
        "\udcff",
        "\udce4\udcb8",
        "\n",
        "\r",
        "\t",
        "\x1b[31m",
        "\x9b2J",
        "\u2028",
        "\u202e",
    ),
    *("\x85", "=1+1", "@a", "-x", "+1", "'", '"', ",", ";", "%s", "{0}", "$HOME", "`id`", "&amp;<b>", "|", "\\n", "#"),
    *("*", "~", " ", "___", "null", "1e3", "no", "x" * 60),
]
LOCALES: list[dict[str, str]] = [
    {},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
]
TINY = ["--model.name", "baseline", "--data.resize", "16", "--train.epochs", "1", "--train.batch_size", "8"]


def odd_name(chance: random.Random) -> str:
    """A name of one to three pieces that a file may have."""
    return "".join(chance.choices(PIECES, k=chance.randint(1, 3))).lstrip(". ") or "a"


def draw(raw: Path, chance: random.Random) -> None:
    """Three classes of ten photos, all with odd names."""
    for color in range(3):
        folder = raw / f"{odd_name(chance)}{color}"
        folder.mkdir(parents=True)
        for number in range(10):
            pixels = np.random.default_rng(number).integers(0, 120, (24, 24, 3), np.uint8)
            pixels[..., color] += 90
            Image.fromarray(pixels).save(folder / f"{odd_name(chance)}{number}.png")


def chain(seed: int, folder: Path) -> list[str]:
    """Run every command in turn; return what went wrong."""
    chance = random.Random(seed)
    name = "".join(filter(str.isprintable, odd_name(chance))) + "r"  # control characters and blanks alone are refused
    environment = os.environ | {"PYTHONPATH": str(REPO), "WANDB_MODE": "disabled"}
    environment |= chance.choice(LOCALES) | {"OMP_NUM_THREADS": "1"}
    draw(folder / "raw", chance)
    leafdist, run = ["-m", "leafdist"], f"runs/{name}"
    commands = [
        [*leafdist, "split", "raw", "splitted", "--order", "listed"],
        [*leafdist, "audit", "splitted"],
        [str(REPO / "train.py"), *TINY, "--track.wandb", "off", f"--run.name={name}"],
        [str(REPO / "evaluate.py"), run],
        [*leafdist, "predict", run, "raw", "--csv", "answers.csv"],
        [*leafdist, "predict", run, "raw"],
        [*leafdist, "predict", run, "raw", "--jsonl"],
        [*leafdist, "export", run, "--formats", "safetensors,pt2"],
        [*leafdist, "report", run],
        [*leafdist, "runs"],
    ]
    faults = []
    for command in commands:
        done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, check=False)
        said = done.stdout + done.stderr
        clear = done.returncode == 0 or (done.returncode == 2 and b"error:" in said)
        if not clear or b"Traceback" in said or re.search(STEERING, said):
            faults.append(f"seed {seed}: {shlex.join(command)!a}: status {done.returncode}: {said[-1500:]!r}")
        if done.returncode:
            break
    return faults


def main(chains: int = 20, first: int = 0) -> int:
    """Print what went wrong in so many chains; return the exit status."""
    faults = 0
    for seed in range(first, first + chains):
        with tempfile.TemporaryDirectory() as folder:
            found = chain(seed, Path(folder))
        faults += len(found)
        print(*found or [f"seed {seed}: fine"], sep="\n", flush=True)
    print(f"{chains} chains, {faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
