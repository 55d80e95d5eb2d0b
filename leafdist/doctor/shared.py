"""What nodes have in common: the folder of runs with its locks, and the time. Rank 0 shows, the other nodes look."""

import time
from collections.abc import Iterator
from pathlib import Path

from leafdist.doctor.diagnosis import Finding, ok, warning
from leafdist.doctor.folders import probe
from leafdist.doctor.meeting import Meeting
from leafdist.doctor.services import check_skew
from leafdist.system import locks


def check_shared(meeting: Meeting, runs: Path) -> Iterator[Finding]:
    """One process a node takes part."""
    place = meeting.place
    deadline = time.monotonic() + meeting.patience.total_seconds()
    if place.rank == 0:
        try:
            show(meeting, runs, deadline)
        except OSError:  # told by the check of that folder
            meeting.put("shown", {"node": place.node, "path": None})
    elif place.first_here:
        shown = meeting.get("shown", 0, deadline)
        if shown and shown["path"] and shown["node"] != place.node:
            yield from look(Path(shown["path"]), shown["node"])
            yield from compare_clocks(meeting, shown["node"], deadline)
    if place.rank:
        meeting.put("looked", value=True)


def show(meeting: Meeting, runs: Path, deadline: float) -> None:
    """Hold a lock in the folder of runs until all have looked."""
    place = meeting.place
    with probe(runs) as path:
        lock = locks.hold(path, 1, lambda _: None)
        meeting.put("shown", {"node": place.node, "path": str(path)})
        for rank in range(1, place.world):
            for turn in (1, 2):
                if _looked(meeting, rank, f"ping{turn}", deadline):
                    meeting.store.set(f"pong{turn}/{rank}", repr(time.time()))
            meeting.get("looked", rank, deadline)
        lock.release()


def _looked(meeting: Meeting, rank: int, name: str, deadline: float) -> bool:
    """Whether it asks for the time; not if it has nothing to ask."""
    while time.monotonic() < deadline:
        if meeting.store.check([f"{name}/{rank}"]):
            return True
        if meeting.store.check([f"looked/{rank}"]):
            return False
        time.sleep(0.001)
    return False


def look(path: Path, first: str) -> Iterator[Finding]:
    """From another node."""
    folder = path.parent.parent
    if not path.exists():
        text = f"{folder} of {first} is another folder here: a job that comes back elsewhere would not find its run"
        yield warning("runs", text, "Set run.folder to a folder that all nodes share")
    elif locks.held(path) is not True:
        text = f"a lock that {first} holds in {folder} is not seen here: two jobs could train one run at once"
        yield warning("locks", text, "Mount it with them (Lustre: -o flock, not localflock; NFS: no local_lock)")
    else:
        yield ok("locks", f"those of {first} in {folder} are seen")


def compare_clocks(meeting: Meeting, first: str, deadline: float) -> Iterator[Finding]:
    """The second question finds rank 0 waiting for it, so its way there and back is short."""
    offset = trip = float("inf")
    for turn in (1, 2):
        asked = time.time()
        meeting.put(f"ping{turn}", value=True)
        answer = meeting.get(f"pong{turn}", meeting.place.rank, deadline)
        if answer is None:
            return
        answered = time.time()
        offset, trip = (asked + answered) / 2 - answer, answered - asked
    yield check_skew(offset, trip, first)
