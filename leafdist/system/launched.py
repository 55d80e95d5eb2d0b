"""What a process knows of its launcher, without torch: whether it speaks for all, and how it tells of the end."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from leafdist.system.errors import DONE

ALONE = ("", "0", "1")


def speaks() -> bool:
    """Whether this process prints the messages for all: it is rank 0, or no launcher started it.

    A RANK left in the shell, by a pod or an earlier export, counts only with WORLD_SIZE, MASTER_ADDR and MASTER_PORT.
    """
    meets = os.environ.get("MASTER_ADDR") and os.environ.get("MASTER_PORT")
    return not meets or os.environ.get("WORLD_SIZE", "") in ALONE or os.environ.get("RANK", "0") == "0"


def explain(text: str) -> None:
    """Leave the reason of this end where torchrun and `accelerate launch` look for one to show."""
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        with suppress(OSError):  # it is printed as well
            error = {"message": text, "extraInfo": {"timestamp": int(time.time())}}
            Path(path).write_text(json.dumps({"message": error}), encoding="utf-8")


def hand_over(status: int, *, main: bool) -> int:
    """Note the exit status in $LEAFDIST_STATUS, if slurm/launch.sh made that file; return the one to leave with.

    Launchers lose statuses, and answer each but 0 with a page of traceback. So where the script reads the file, all
    ranks leave with 0. Call it only where all of them leave together.
    """
    path = os.environ.get("LEAFDIST_STATUS")
    if not path:
        return status
    if main:
        if not Path(path).is_file():  # another file system, as in a container: the script would read nothing
            return status
        try:
            Path(path).write_text(str(status))
        except OSError:  # a full disk
            return status
    return DONE
