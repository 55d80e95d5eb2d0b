"""The fault campaign: a training to its end, then the same with faults, compared bit for bit.

Used by the tests here in a short form and by benchmarks/faults.py in a long one. Faults are injected from outside, into
real processes; nothing in leafdist knows of them.
"""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import psutil
from safetensors.torch import save_file

from leafdist.config.networks import network
from leafdist.models.build import build_model
from leafdist.models.weights import PACKAGED
from leafdist.runs.layout import generations
from tests.helpers.paths import REPO, SHARED
from tests.helpers.programs import AUGMENTED

VOLATILE = ("seconds", "images_per_second", "epoch_seconds")
CLASSES, PER_SPLIT = 4, {"train": 40, "val": 10, "test": 10}
TRAINING: list[object] = ["--model.name", "baseline", "--train.batch_size", 16, "--train.epochs", 4]
TRAINING += ["--train.save_every", 3, "--train.log_every", 1, "--track.wandb", "off", "--data.cache", "packs"]
MOMENTS = ("anywhere", "start-up", "packing", "saving", "validation")
HEAD_EPOCHS = 2
SWITCH = HEAD_EPOCHS - 1  # the epoch, from 0, after which a run changes: its head is thawed, or mixing ends
MIXED: list[object] = [*AUGMENTED, "--augment.mixup", 0.4, "--augment.cutmix", 1, "--augment.mix_off_epochs", 2]
MIXED += ["--data.sampling", "sqrt", "--optim.class_weights", "balanced", "--optim.label_smoothing", 0.1]
EVERYTHING: list[object] = [*MIXED, "--train.ema", 0.9, "--train.select", "macro_f1", "--train.patience", 3]
HEAD_FIRST: list[object] = ["--train.head_epochs", HEAD_EPOCHS, "--optim.layer_decay", 0.8, "--model.drop_path", 0.2]
HEAD_FIRST += ["--data.resize", 64, "--data.crop", 0]
PATIENCE = 300.0  # seconds for one start


def make_data(folder: Path) -> Path:
    """Real photos of four classes where they are, drawn ones elsewhere; 160 to train on."""
    archive, raw = SHARED / "data" / "leaf256.tar", folder / "raw"
    if archive.exists():
        with tarfile.open(archive) as tar:
            for member in _some(tar):
                (raw / member.name).parent.mkdir(parents=True, exist_ok=True)
                (raw / member.name).write_bytes(cast("IO[bytes]", tar.extractfile(member)).read())
        raw = next(path.parent for path in raw.rglob("*") if path.is_dir() and any(path.glob("*.[jJ]*")))
    else:
        from leafdist.prepare.sample import draw_sample

        draw_sample(raw, per_class=sum(PER_SPLIT.values()))
    for source in sorted(path for path in raw.iterdir() if path.is_dir())[:CLASSES]:
        photos = iter(sorted(source.iterdir()))
        for split, count in PER_SPLIT.items():
            target = folder / "splitted" / split / source.name
            target.mkdir(parents=True)
            for _ in range(count):
                (photo := next(photos)).rename(target / photo.name)
    return folder / "splitted"


def _some(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The first photos of the first classes that have enough of them."""
    by_class: dict[str, list[tarfile.TarInfo]] = {}
    for member in tar.getmembers():
        if member.isfile() and member.name.lower().endswith((".jpg", ".jpeg", ".png")):
            by_class.setdefault(str(Path(member.name).parent), []).append(member)
    wanted = sum(PER_SPLIT.values())
    large = [name for name in sorted(by_class) if len(by_class[name]) >= wanted]
    for name in large[:CLASSES]:
        yield from sorted(by_class[name], key=lambda member: member.name)[:wanted]


def head_first(name: str, folder: Path) -> list[object]:
    """Return the settings of a timm network whose head learns first: on real weights where a package has them."""
    settings = [*HEAD_FIRST, "--model.name", name]
    if network(name).timm in PACKAGED:
        return settings
    save_file(build_model(name, 1000, 64).state_dict(), folder / "weights.safetensors")
    return [*settings, "--model.weights", folder / "weights.safetensors"]


@dataclass
class Job:
    """One training in a folder of its own, started as often as needed."""

    folder: Path
    data: Path
    world: int = 1
    extra: list[object] = field(default_factory=list)

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "run"

    @property
    def command(self) -> list[str]:
        launcher: list[object] = []
        if self.world > 1:
            launcher = [
                "-m",
                "accelerate.commands.launch",
                "--multi_gpu",
                "--num_machines",
                1,
                "--mixed_precision",
                "no",
            ]
            launcher += ["--num_processes", self.world, "--main_process_port", 0, "--dynamo_backend", "no"]
        command = [sys.executable, *launcher, REPO / "train.py", "--data.root", self.data, *TRAINING, *self.extra]
        return list(map(str, command))

    @property
    def environment(self) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("WANDB", "SLURM"))}
        return environment | {"OMP_NUM_THREADS": "1", "LEAFDIST_EXPECT_WORLD": str(self.world)}

    def start(self) -> subprocess.Popen[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("a") as log:
            return subprocess.Popen(
                self.command, stdout=log, stderr=log, cwd=self.folder, env=self.environment, text=True
            )

    def finish(self) -> int:
        """Start, wait for the end, and return the exit status."""
        return self.start().wait(PATIENCE)

    @property
    def output(self) -> str:
        return (self.folder / "log.txt").read_text()

    @property
    def record(self) -> dict[str, Any]:
        return dict(json.loads((self.run / "run.json").read_text()))

    def outcome(self) -> dict[str, Any]:
        """All that must not depend on faults."""
        newest = generations(self.run / "last")[0]
        state = json.loads((newest / "state.json").read_text())
        names = [*sorted(newest.glob("*.safetensors")), self.run / "best" / "model.safetensors"]
        return {
            "files": [hashlib.sha256(path.read_bytes()).hexdigest() for path in names],
            "newest": newest.name,
            "state": {key: value for key, value in state.items() if key not in VOLATILE},
            "metrics": self.events(),
        }

    def events(self) -> list[dict[str, Any]]:
        """metrics.jsonl without what is of each start, and of the clock."""
        lines = [json.loads(line) for line in (self.run / "metrics.jsonl").read_text().splitlines()]
        kept = [line for line in lines if line["event"] not in ("start", "end")]
        return [{key: value for key, value in line.items() if key not in VOLATILE} for line in kept]


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process and all below it; trainings are those whose command line holds train.py and no launcher."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def ranks(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The training processes, in order of start."""
    found = []
    for member in family(process):
        try:
            line = member.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if any(word.endswith("train.py") for word in line) and not any("launch" in word for word in line):
            found.append(member)
    return found


def kill_all(process: subprocess.Popen[str]) -> None:
    """SIGKILL, everything at once."""
    for member in family(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)
    process.wait(60)


def wait_for(process: subprocess.Popen[str], happened: Callable[[], bool], limit: float = PATIENCE) -> bool:
    """Poll until it happened; False when the process ended first, or the time is over."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if happened():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    return False


def at(job: Job, moment: str, dice: random.Random, duration: float) -> Callable[[], bool]:
    """A condition that becomes true at a random instant of that moment of the run."""
    began, delay = time.monotonic(), dice.random()
    if moment in ("anywhere", "start-up"):
        due = began + delay * (0.7 * duration if moment == "anywhere" else 4.0)
        return lambda: time.monotonic() > due
    if moment == "packing":
        return lambda: any((job.folder / "packs").glob(".*.tmp"))
    if moment == "saving":
        pattern, wanted = dice.choice((("last/.step-*.tmp", dice.randrange(1, 4)), ("best/.model*.tmp", 1)))
        there, times, pause = [False], [0], delay * 0.03  # up to the manifest, and the rename

        def happened() -> bool:
            before, there[0] = there[0], any(job.run.glob(pattern))
            times[0] += there[0] and not before
            if times[0] < wanted:
                return False
            time.sleep(pause)
            return True

        return happened
    steps = PER_SPLIT["train"] * CLASSES // 16
    log, reached, started = job.run / "metrics.jsonl", list[float](), time.time()
    if moment == "switch":
        line, pause = f'"event": "epoch", "epoch": {SWITCH},', delay * min(2, duration / 20)
    else:
        line, pause = f'"step": {dice.randrange(1, 4) * steps},', delay * 0.15

    def passed() -> bool:  # in this start: one that goes on behind the line passes it as it begins
        if not reached and log.exists() and log.stat().st_mtime > started and line in log.read_text():
            reached.append(time.monotonic())
        return bool(reached) and time.monotonic() > reached[0] + pause

    return passed
