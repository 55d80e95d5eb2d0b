"""One look for all commands: fitted and coloured on a terminal, plain and always the same in a file or a pipe.

`NO_COLOR` (https://no-color.org) leaves colours out, `TERM=dumb` everything that a typewriter could not do.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
NUMBER = re.compile(r"[-+−±<]?\d")
EMPTY = ("", "-")
UNBOUNDED = 10**6  # width and height of a file


def say(text: str = "", style: str = "") -> None:
    """Print to the standard output, in one of STYLES where colours are shown."""
    print(paint(text, style, sys.stdout), flush=True)


def command(*words: object) -> str:
    """A command line that can be pasted into a shell, whatever names it holds."""
    return shlex.join(map(str, words))


def counted(count: int, one: str) -> str:
    """`1 photo`, `2 photos`, `2 classes`."""
    return f"{count:,} {one}" + ("" if count == 1 else "es" if one.endswith(("s", "ch")) else "s")


def say_aside(text: str) -> None:
    """Print to the standard error what a person wants to know and a script must not read."""
    print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print a warning to the standard error."""
    say_aside(f"{paint('warning:', 'yellow', sys.stderr)} {text}")


def error(text: object, program: str = "") -> None:
    """Print an error to the standard error, after the name of the program if given."""
    mark = paint("error:", "red", sys.stderr)
    say_aside(f"{program}: {mark} {text}" if program else f"{mark} {text}")


def paint(text: str, style: str, stream: IO[str]) -> str:
    """Return `text`, in one of STYLES where `stream` shows colours."""
    return f"\033[{STYLES[style]}m{text}\033[0m" if style and text and coloured(stream) else text


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    styles: Mapping[int, str] | None = None,
    shrink: str | None = None,
) -> None:
    """Print rows below the names of their columns; columns of numbers are aligned to the right.

    styles: style by row number. shrink: the only column whose cells are folded where the terminal is narrow.
    """
    from rich.console import Console  # noqa: PLC0415 - 0.1 s
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    cells = [[str(cell) for cell in row] for row in rows]
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for at, name in enumerate(columns):
        right = all(NUMBER.match(row[at]) or row[at] in EMPTY for row in cells)
        fold = shrink is None or name == shrink
        grid.add_column(Text(name), justify="right" if right else "left", overflow="fold", no_wrap=not fold)
    for number, row in enumerate(cells):
        grid.add_row(*map(Text, row), style=(styles or {}).get(number))
    size = None if on_terminal(sys.stdout) else UNBOUNDED  # both, or rich takes its own for TERM=dumb
    console = Console(width=size, height=size, highlight=False, color_system="auto" if coloured(sys.stdout) else None)
    with console.capture() as shown:
        console.print(grid)
    if title:
        say(title, "bold")
    say("\n".join(line.rstrip() for line in shown.get().splitlines()))


class bar:  # noqa: N801 - used as a function: `with console.bar(10, "photo") as bar`
    """Progress and the time left, on the standard error if that is a terminal and nowhere else; `n` is what is done.

    Lines printed meanwhile appear above the bar. `total` is None where it is not known; a `unit` of B counts bytes.
    """

    def __init__(self, total: int | None, unit: str, text: str = "", *, start: int = 0, shown: bool = True) -> None:
        self.n, self.note = start, ""
        self.shown = _progress(unit) if shown and on_terminal(sys.stderr) else None
        if self.shown:
            self.task = self.shown.add_task(text, total=total, completed=start, note=self.note)
            self.shown.start()
            self.shown.console.show_cursor()  # a process that is killed could not bring it back

    def update(self, count: int = 1, note: str | None = None) -> None:
        """Add `count` to what is done; `note` replaces the text at the end of the bar."""
        self.n += count
        if self.shown:
            self.note = self.note if note is None else note
            self.shown.update(self.task, completed=self.n, note=self.note)

    def close(self) -> None:
        """Remove the bar."""
        if self.shown:
            self.shown.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _progress(unit: str) -> "Progress":
    from rich import progress  # noqa: PLC0415 - 0.1 s
    from rich.console import Console  # noqa: PLC0415

    texts = [progress.TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[note]")]
    done = (progress.DownloadColumn(),) if unit == "B" else (progress.MofNCompleteColumn(), progress.TextColumn(unit))
    columns = (texts[0], progress.BarColumn(), *done, progress.TimeRemainingColumn(), texts[1])
    console = Console(
        file=sys.stderr, soft_wrap=True, highlight=False, color_system="auto" if coloured(sys.stderr) else None
    )
    same = on_terminal(sys.stdout) and os.fstat(sys.stdout.fileno()).st_rdev == os.fstat(sys.stderr.fileno()).st_rdev
    return progress.Progress(*columns, console=console, transient=True, redirect_stdout=same, expand=True)


def on_terminal(stream: IO[str]) -> bool:
    """Whether `stream` is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(stream: IO[str]) -> bool:
    """Whether `stream` shows colours."""
    return on_terminal(stream) and not os.environ.get("NO_COLOR")
