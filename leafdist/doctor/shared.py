"""What nodes share: the folder of runs with its locks. Rank 0 holds a lock there, the other nodes look for it."""

import time
from collections.abc import Iterator
from pathlib import Path

from leafdist.doctor.findings import Finding, ok, warning
from leafdist.doctor.folders import probe
from leafdist.doctor.meeting import Meeting
from leafdist.system import locks


def check_shared(meeting: Meeting, runs: Path) -> Iterator[Finding]:
    """Compare the folder of runs with that of rank 0; called on all ranks, one per node looks."""
    launch, deadline = meeting.launch, time.monotonic() + meeting.patience.total_seconds()
    if launch.rank == 0:
        try:
            show(meeting, runs, deadline)
        except OSError:  # reported by the check of that folder
            meeting.put("shown", None)
        return
    if launch.first_here and (shown := meeting.get("shown", 0, deadline)) and shown[0] != launch.node:
        yield look(Path(shown[1]), shown[0])
    meeting.put("looked", value=True)


def show(meeting: Meeting, runs: Path, deadline: float) -> None:
    """Hold a lock in the folder of runs until all ranks have looked."""
    with probe(runs) as path:
        lock = locks.hold(path, 1, lambda _: None)
        meeting.put("shown", [meeting.launch.node, str(path)])
        for rank in range(1, meeting.launch.world):
            meeting.get("looked", rank, deadline)
        lock.release()


def look(path: Path, first: str) -> Finding:
    """Whether this node sees the file at `path` that node `first` holds a lock on."""
    folder = path.parent.parent
    if not path.exists():
        text = f"{folder} of {first} is another folder here: a job that is requeued elsewhere would not find its run"
        return warning("runs", text, "Set run.folder to a folder that all nodes share")
    if locks.held(path) is not True:
        text = f"a lock that {first} holds in {folder} is not seen here: two jobs could train one run at once"
        return warning("locks", text, "Mount it with locks (Lustre: -o flock, not localflock; NFS: no local_lock)")
    return ok("locks", f"those of {first} in {folder} are seen")
