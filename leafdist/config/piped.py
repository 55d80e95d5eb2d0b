"""A file that is a pipe, such as /dev/stdin or bash's <(…): each process of a launch reads all of it."""

import ctypes
import os
import re
import select
import stat
from pathlib import Path

WAIT = 60  # seconds for the writer to end
WAY_OUT = "Write it to a file, and name that"


def opened(path: Path) -> Path:
    """Return `path`; where a launcher closed this descriptor of the shell's <(…), the launcher's own."""
    number = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", str(path))
    return Path(f"/proc/{os.getppid()}/fd/{number[1]}") if number and not path.exists() else path


def read_text(path: Path) -> str:
    """Read a file or a pipe; one that several processes share is left full for the others. Raises ValueError."""
    with path.open("rb", buffering=0) as file:
        shared = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("WORLD_SIZE") or 1) > 1
        piped = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
        return str((_copy(file.fileno(), path) if shared and piped else file.read() or b""), "utf-8")


def _copy(pipe: int, path: Path) -> bytes:
    waiting = select.poll()
    waiting.register(pipe, select.POLLHUP)
    if not waiting.poll(1000 * WAIT):
        raise ValueError(f"{path}: not complete after {WAIT} s, or too long for a pipe. {WAY_OUT}")
    copy, into = os.pipe()
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.tee(pipe, into, 2**30, 0)  # Linux: duplicates what a pipe holds; os has no call for it
    os.close(into)
    with open(copy, "rb") as file:  # noqa: PTH123 - a descriptor
        if done < 0:
            raise OSError(ctypes.get_errno(), f"{path} is a pipe that cannot be copied for all processes. {WAY_OUT}")
        return file.read()
