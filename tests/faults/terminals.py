"""Signals as they come from outside: into `train.py | tee`, under nohup, on a terminal that closes."""

import os
import pty
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import psutil

from leafdist.runs.layout import generations, step_of
from tests.faults.campaign import Job, ranks, wait_for
from tests.faults.cases import Row

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
OURS = re.compile(r'File "[^"]*(leafdist/|train\.py)|Exception ignored')
ENDLESS: list[object] = ["--train.epochs", 5000, "--train.save_every", 0, "--data.resize", 16]


class Stage:
    """Where one job runs: as a pipe into tee, under nohup, or on a terminal of its own."""

    def __init__(self, way: str, job: Job) -> None:
        self.way, self.job, self.shown = way, job, b""
        job.folder.mkdir(parents=True)
        command = ["nohup", *job.command] if way == "nohup" else job.command
        self.log = (job.folder / "log.txt").open("wb")
        self.tee: subprocess.Popen[bytes] | None = None
        self.master = -1
        out: object = self.log
        if way == "tee":
            self.tee = subprocess.Popen(["tee", "seen.txt"], stdin=subprocess.PIPE, stdout=self.log, cwd=job.folder)
            out = self.tee.stdin
        elif way == "terminal":
            self.master, slave = pty.openpty()
            out = slave
            self.reader = Thread(target=self._read, daemon=True)
        line = ["setsid", "--ctty", *command] if way == "terminal" else command
        self.process = subprocess.Popen(
            line, stdin=out if way == "terminal" else subprocess.DEVNULL, stdout=out,  # type: ignore[call-overload]
            stderr=self.log if way == "tee" else out, cwd=job.folder, env=job.environment, text=True,
        )  # fmt: skip
        if self.tee and self.tee.stdin:
            self.tee.stdin.close()
        elif way == "terminal":
            os.close(slave)
            self.reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while block := os.read(self.master, 65536):
                self.shown += block

    def send(self, number: signal.Signals) -> None:
        """To all that a terminal or a scheduler would send it to; a launcher dies of USR1 and forwards nothing."""
        if self.way == "terminal" and number in (signal.SIGINT, signal.SIGHUP):
            os.write(self.master, b"\x03") if number == signal.SIGINT else self.hang_up()
            return
        if self.tee:
            self.tee.send_signal(number)
        plain = number in (signal.SIGUSR1, signal.SIGUSR2) and self.job.world > 1
        for process in ranks(self.process) if plain else [psutil.Process(self.process.pid)]:
            process.send_signal(number)
        if self.way == "terminal":
            self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal; the kernel sends SIGHUP."""
        if self.master >= 0:
            os.set_blocking(self.master, False)
            master, self.master = self.master, -1
            os.close(os.dup2(os.open(os.devnull, os.O_RDWR), master))

    def ended(self) -> str:
        """Wait for the end; return all that was shown."""
        self.process.wait(120)
        if self.tee:
            self.tee.wait(60)
        self.log.close()
        return self.job.output + self.shown.decode(errors="replace")


def stop(way: str, number: signal.Signals, job: Job, dice: random.Random) -> str:
    """Send one signal at a random instant of the training; return what is wrong afterwards, or nothing."""
    stage, wanted, delay = Stage(way, job), dice.randrange(1, 40), dice.random()
    log = job.run / "metrics.jsonl"
    if not wait_for(stage.process, lambda: log.exists() and log.read_text().count('"step"') >= wanted):
        return f"did not train: {stage.ended()[-500:]}"
    time.sleep(delay)
    stage.send(number)
    if way == "nohup" and number == signal.SIGHUP and job.world == 1:  # what nohup is for
        time.sleep(2)
        if stage.process.poll() is not None:
            return "ended, in spite of nohup"
        stage.send(signal.SIGTERM)
    text = stage.ended()
    steps = max(event["step"] for event in job.events() if event["event"] == "step")
    kept = max(map(step_of, generations(job.run / "last")), default=0)
    expected = (75,) if job.world == 1 else (1, -number, 128 + number)
    faults = {
        f"state {job.record['state']}": job.record["state"] != "interrupted",
        f"step {steps} reached, {kept} kept": kept < steps,
        f"status {stage.process.returncode}": stage.process.returncode not in expected,
        "a traceback of ours": OURS.search(text),
    }
    wrong = "; ".join(fault for fault, found in faults.items() if found)
    return f"{job.folder}: {wrong}: {text[-1500:]}" if wrong else ""


def stops(make: Callable[[int, list[object]], Job], way: str, world: int, each: int, dice: random.Random) -> Row:
    """Send `each` of SIGNALS to trainings that run that way."""
    faults = [stop(way, number, make(world, ENDLESS), dice) for number in SIGNALS for _ in range(each)]
    print(*filter(None, faults), sep="\n", flush=True)
    good = faults.count("")
    return Row(f"INT, TERM, HUP, USR1, USR2, {way}, {world} process(es)", len(faults), len(faults), good)
