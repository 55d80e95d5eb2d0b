"""Which rank the others wait for, where none has died: each rank tells how far its main thread has come.

gloo's collectives break and name a rank. NCCL's wait, for all ranks alike, until NCCL aborts the processes.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from leafdist.system.errors import INTERRUPTED, Failure

DISK = "the disk of the photos or packs does not answer. Look at it, or name another one by data.root or data.cache"


@dataclass(frozen=True)
class Standstill:
    """A thread that stands in one line for too long. beats: how many it has sent; waits: inside PyTorch."""

    beats: int
    waits: bool
    where: str

    @classmethod
    def of(cls, thread: int, beats: int, *, reading: bool) -> "Standstill":
        """Look at the innermost Python call of `thread` (its ident), which may be `reading` photos."""
        if reading:
            return cls(beats, waits=False, where=f"reading photos: {DISK}")
        frame = sys._current_frames()[thread]
        waits = frame.f_globals.get("__name__", "").startswith("torch.")
        code = frame.f_code
        where = f"in {Path(code.co_filename).name}:{frame.f_lineno}, {code.co_name} (its stacks are above)"
        return cls(beats, waits, where)

    def to_json(self) -> str:
        """One line, for the store."""
        return json.dumps(asdict(self))


def hanging(reports: Sequence[str]) -> Failure | None:
    """Name the rank that the others wait for, from each rank's Standstill as JSON; "" is of a rank that goes on.

    That is one with fewer beats, or with as many, but not inside PyTorch. None where that holds of no rank, or of all.
    """
    if not all(reports):
        return None
    found = [Standstill(**json.loads(report)) for report in reports]
    come = [(one.beats, one.waits) for one in found]
    behind = come.index(min(come))
    if min(come) == max(come):
        return None
    return Failure(behind, f"it hangs {found[behind].where}", INTERRUPTED)
