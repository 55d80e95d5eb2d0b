"""Standard streams that outlive their reader, their terminal and their disk: a line may be lost, never the program."""

import os
import sys
from contextlib import suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from select import select
from typing import Any

OUTPUTS = {1: "stdout", 2: "stderr"}


def outlive(*, strict: bool = False) -> None:
    """Let no line that cannot be printed end this program, nor the next file get the number of a closed stream.

    What cannot go to the standard output goes to the standard error. `strict`: the output is what the program is for,
    so the first error there is raised. The last call counts.
    """
    for number in range(3):
        if _is_closed(number):
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)
    for number, name in OUTPUTS.items():
        stream = getattr(sys, name)
        if stream is None:  # it was closed when Python started
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - to the end
        elif isinstance(raw := getattr(getattr(stream, "buffer", None), "raw", None), _Outliving):  # a second call
            raw.strict = raw.raises = strict and number == 1
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, TextIOWrapper):  # not a notebook's own
            with suppress(OSError):
                stream.flush()
            raw = BufferedWriter(_Outliving(number, strict=strict and number == 1))
            lines = stream.line_buffering or stream.write_through
            setattr(sys, name, TextIOWrapper(raw, stream.encoding, "backslashreplace", line_buffering=lines))


class _Outliving(FileIO):
    """Standard output or error; where it fails, lines go to the standard error or get lost."""

    def __init__(self, number: int, *, strict: bool) -> None:
        super().__init__(number, "wb", closefd=False)
        self.strict = self.raises = strict

    def write(self, data: Any) -> int:
        """Write what can be written; raises OSError once if strict."""
        try:
            while (count := super().write(data)) is None:  # full, and somebody made the pipe non-blocking
                select([], [self], [])
        except OSError as error:
            if self.raises:
                self.raises = False
                raise OSError(error.errno, error.strerror, "standard output") from None
            if self.fileno() == 1 and not self.strict:
                with suppress(OSError):  # Ctrl-C on `train.py | tee` ends tee first
                    os.write(2, data)
            return len(data)
        return count


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False
