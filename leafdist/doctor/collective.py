"""An all-reduce over all processes, each in a process of its own: one that hangs or dies is a finding, not the end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from leafdist.doctor.diagnosis import Finding, error, ok
from leafdist.doctor.launch import Place

CHECK = "all-reduce"
LAST_WORDS = 400  # characters
FIREWALL = "Check the network between the nodes: NCCL_SOCKET_IFNAME or GLOO_SOCKET_IFNAME name its interface"
DEBUG = "NCCL_DEBUG=INFO says more"


def all_reduce(place: Place, seconds: float, rounds: int = 0) -> Iterator[Finding]:
    """Of this rank; `place.port` is that of a store that is open. rounds: of the large one; 0: as many as are usual."""
    deadline = time.monotonic() + 2 * seconds
    with started(place, seconds, rounds) as child:
        yield judge(place, child, deadline)


def among(processes: int, seconds: float, rounds: int = 0) -> Iterator[Finding]:
    """Of so many processes on this machine, over loopback."""
    from leafdist.doctor.meeting import Meeting

    meeting = Meeting(Place("here"), seconds)
    places = [
        replace(meeting.place, rank=rank, world=processes, local_rank=rank, local_world=processes)
        for rank in range(processes)
    ]
    deadline = time.monotonic() + 2 * seconds
    children = [started(place, seconds, rounds) for place in places]
    opened = [child.__enter__() for child in children]
    try:
        yield from (judge(place, child, deadline) for place, child in zip(places, opened, strict=True))
    finally:
        for child in children:
            child.__exit__(None, None, None)


@contextmanager
def started(place: Place, seconds: float, rounds: int) -> Iterator[subprocess.Popen[str]]:
    """The process that does it; gone at the end, whatever happens."""
    facts = [place.address, place.port, place.rank, place.world, place.local_rank, seconds, rounds]
    command = [sys.executable, "-m", "leafdist.doctor.all_reduce", *map(str, facts)]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=variables)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def judge(place: Place, child: subprocess.Popen[str], deadline: float) -> Finding:
    """Wait for its end."""
    try:
        out, err = child.communicate(timeout=max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        child.kill()
        _, err = child.communicate()
        text = f"rank {place.rank} of {place.world} hangs, and was ended"
        return error(CHECK, f"{text}{_last(err)}", f"{FIREWALL}; {DEBUG}")
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        text = f"the process of rank {place.rank} of {place.world} was killed by {name}{_last(err)}"
        return error(CHECK, text, "Out of memory? Look at `dmesg`, or the job's log")
    if child.returncode:
        return error(CHECK, f"rank {place.rank} of {place.world} failed{_last(err)}", f"{FIREWALL}; {DEBUG}")
    values = json.loads(out.splitlines()[-1])
    text = f"{values['backend']} over {place.world} process(es): {{milliseconds:.2f}} ms for a number, "
    text += f"{{rate:,.0f}} MB/s for {values['mebibytes']} MiB"
    return ok(CHECK, text, milliseconds=values["milliseconds"], rate=values["rate"])


def _last(words: str) -> str:
    """The last line that it said on the standard error."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return f": {lines[-1][:LAST_WORDS]}" if lines else ""
