"""The kinds of faults, one function each: inject, let the run finish, compare with the run that had none."""

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file

from leafdist.runs.layout import generations, step_of
from tests.faults.campaign import Job, at, kill_all, ranks, wait_for

SGD: list[object] = ["--optim.name", "sgd", "--train.precision", "no"]
CLOSE = 1e-4  # fp32, drawn photos: 1.4e-5; another memory format alone, on one process, makes 2.5e-5. Real photos: 1e-8
HARMS: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "one byte flipped": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "removed": Path.unlink,
}
FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json")


@dataclass
class Row:
    """A line of the table: `identical` of `runs` equal the run without faults; `lost` counts the others."""

    kind: str
    faults: int
    runs: int
    identical: int
    note: str = ""

    @property
    def lost(self) -> int:
        return self.runs - self.identical


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


class Cases:
    """All on the same data and `settings`; the run without faults is made once for each number of processes."""

    def __init__(self, folder: Path, data: Path, seed: int, settings: Sequence[object] = ()) -> None:
        self.folder, self.data, self.dice, self.settings = folder, data, random.Random(seed), settings
        self.references: dict[tuple[int, str], Job] = {}
        self.duration: dict[int, float] = {}
        self.count = 0

    def job(self, world: int, extra: list[object] | None = None) -> Job:
        self.count += 1
        return Job(self.folder / f"job{self.count:03}", self.data, world, [*self.settings, *(extra or [])])

    def reference(self, world: int, extra: list[object] | None = None) -> Job:
        """The run without faults, made when first asked for."""
        key = (world, str(extra))
        if key not in self.references:
            job, began = self.job(world, extra), time.monotonic()
            assert job.finish() == 0, job.output[-3000:]
            self.duration[world] = time.monotonic() - began
            self.references[key] = job
        return self.references[key]

    def same(self, job: Job, said: str = "") -> bool:
        """Let it finish; whether that is the run without faults, bit for bit, and the log holds `said`."""
        status = job.finish()
        same = status == 0 and said in job.output and job.outcome() == self.reference(job.world).outcome()
        if same:
            shutil.rmtree(job.folder)
        else:
            print(f"{job.folder}: status {status}, differs: {job.output[-2000:]}", flush=True)
        return same

    def kills(self, world: int, runs: int, each: int, moments: tuple[str, ...]) -> Row:
        """SIGKILL of everything, `each` times a run, at random instants of `moments`."""
        self.reference(world)
        fallen = identical = 0
        kept: list[int] = []
        for _ in range(runs):
            job = self.job(world)
            for _ in range(each):
                moment = self.dice.choice(moments)
                if moment == "packing":  # there is a pack from the start before
                    shutil.rmtree(job.folder / "packs", ignore_errors=True)
                process = job.start()
                due = at(job, moment, self.dice, self.duration[world])
                wait_for(process, due, self.duration[world] + 20)
                fallen += process.poll() is None
                kill_all(process)
                kept.append(self.kept(job))
            identical += self.same(job)
        kind = f"SIGKILL of all, {' or '.join(moments)}, {world} process(es)"
        note = f"kept: steps {', '.join(map(str, kept))}" if moments == ("switch",) else ""
        return Row(kind, fallen, runs, identical, note)

    def signals(self, numbers: tuple[signal.Signals, ...], world: int, moment: str = "") -> Row:
        """To every rank of one run, in turn, at random steps or a moment: it is interrupted and has lost no step."""
        self.reference(world)
        job, fallen, slowest, clean = self.job(world), 0, 0.0, True
        for number in numbers:
            process, wanted = job.start(), self.dice.randrange(1, 9)
            due = at(job, moment, self.dice, 0.0) if moment else self.after(job, wanted)
            if not wait_for(process, due):
                break
            sent = time.monotonic()
            for rank in ranks(process):
                rank.send_signal(number)
            status = process.wait(120)
            slowest, fallen = max(slowest, time.monotonic() - sent), fallen + 1
            clean &= status != 0 and job.record["state"] == "interrupted" and self.kept(job) >= self.step(job)
        note = f"{slowest:.1f} s at most to the exit" + ("" if clean else "; LOST STEPS OR WRONG STATE")
        names = [*dict.fromkeys(number.name for number in numbers), *filter(None, [moment])]
        return Row(f"{', '.join(names)}, {world} process(es)", fallen, 1, int(self.same(job) and clean), note)

    def step(self, job: Job) -> int:
        """Last step in metrics.jsonl."""
        path = job.run / "metrics.jsonl"
        return max((event["step"] for event in job.events()), default=0) if path.exists() else 0

    def after(self, job: Job, steps: int) -> Callable[[], bool]:
        """A condition that becomes true when `steps` more are in metrics.jsonl."""
        wanted = self.step(job) + steps
        return lambda: self.step(job) >= wanted

    def kept(self, job: Job) -> int:
        """Step of the newest checkpoint, 0 without one."""
        return max(map(step_of, generations(job.run / "last")), default=0)

    def one_rank_killed(self, each: int, world: int = 2) -> Row:
        """SIGKILL of one rank: the launch ends by itself, with a message that names that rank."""
        self.reference(world)
        job, fallen, slowest, named = self.job(world), 0, 0.0, True
        for _ in range(each):
            process, due = job.start(), self.after(job, self.dice.randrange(1, 7))
            if not wait_for(process, due):
                break
            victim = self.dice.randrange(world)
            found = [rank for rank in ranks(process) if rank.environ().get("RANK") == str(victim)]
            killed, before = time.monotonic(), len(job.output)
            found[0].kill()
            status = process.wait(120)
            slowest, fallen = max(slowest, time.monotonic() - killed), fallen + 1
            named &= status != 0 and f"rank {victim} was the first to fail" in job.output[before:]
        note = f"{slowest:.1f} s at most to the exit" + ("" if named else "; NOT NAMED")
        return Row(f"SIGKILL of one of {world} ranks", fallen, 1, int(self.same(job) and named), note)

    def damage(self, files: tuple[str, ...] = FILES, harms: tuple[str, ...] = tuple(HARMS)) -> Row:
        """The newest checkpoint of a run cut in its middle, each file in each way."""
        self.reference(1)
        cut, identical, runs = self.job(1), 0, 0
        process = cut.start()
        wait_for(process, lambda: len(list((cut.run / "last").glob("step-*"))) == 2 and self.step(cut) > 14)
        kill_all(process)
        for name in files:
            for harm in map(HARMS.__getitem__, harms):
                job = self.job(1)
                shutil.copytree(cut.folder, job.folder)
                newest = max((job.run / "last").glob("step-*"))
                harm(newest / name)
                same = self.same(job, f"{newest.name} is damaged")
                runs, identical = runs + 1, identical + same
        return Row(f"newest checkpoint damaged, each file {', '.join(harms)}", runs, runs, identical)

    def other_worlds(self, worlds: tuple[int, ...] = (1, 2, 3, 1)) -> Row:
        """Stopped, first at the switch if there is one, resumed on others: SGD in fp32 within CLOSE of one process."""
        one, job = self.reference(1, SGD), self.job(1, SGD)
        for world in worlds[:-1]:
            job.world = world
            process, thaws = job.start(), self.settings and not self.step(job)
            wait_for(process, at(job, "switch", self.dice, 0.0) if thaws else self.after(job, 8))
            for rank in ranks(process):
                rank.send_signal(signal.SIGTERM)
            process.wait(120)
        job.world = worlds[-1]
        assert job.finish() == 0, job.output[-3000:]
        mine, theirs = (load_file(max((it.run / "last").glob("step-*")) / FILES[0]) for it in (job, one))
        weights = max((mine[key] - theirs[key]).abs().max().item() for key in mine)
        pairs = zip(job.events(), one.events(), strict=True)
        losses = max(abs(a.get("loss", 0) - b.get("loss", 0)) for a, b in pairs)
        note = f"largest difference: weight {weights:.1e}, loss {losses:.1e}"
        kind = f"resumed on {' -> '.join(map(str, worlds))} processes, SGD within {CLOSE:g}"
        return Row(kind, len(worlds) - 1, 1, int(max(weights, losses) < CLOSE), note)

    def disk_full(self) -> Row:
        """A small tmpfs fills up in a save; enlarged, the run goes on."""
        self.reference(1)
        job = self.job(1)
        with mounted(job.folder / "runs", "size=60m") as remount:
            status = job.finish()
            clear = status == 1 and "No space left" in job.output and "Traceback" not in job.output
            clear = clear and job.record["state"] == "failed"
            remount("size=900m")
            same = clear and job.finish() == 0 and job.outcome() == self.reference(1).outcome()
        return Row("disk full while saving", 1, 1, int(same), "" if clear else f"status {status}, NO CLEAR MESSAGE")

    def read_only(self) -> Row:
        """A run folder that cannot be written, at the start."""
        self.reference(1)
        job = self.job(1)
        with mounted(job.folder / "runs", "size=900m") as remount:
            remount("ro")
            clear = job.finish() == 2 and "Read-only file system" in job.output and "Traceback" not in job.output
            remount("rw")
            same = clear and job.finish() == 0 and job.outcome() == self.reference(1).outcome()
        return Row("run folder read-only at the start", 1, 1, int(same), "" if clear else "NO CLEAR MESSAGE")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A tmpfs, for root; yields what remounts it."""

    def remount(new: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{new}", str(folder)], check=True)

    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield remount
    finally:
        subprocess.run(["umount", str(folder)], check=True)
