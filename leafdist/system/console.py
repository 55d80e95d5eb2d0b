"""One look for all commands: fitted and coloured on a terminal, plain and always the same in a file or a pipe.

`NO_COLOR` (https://no-color.org) leaves colours out, `TERM=dumb` everything that a typewriter could not do.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
NUMBER = re.compile(r"[-+−±<]?\d")
EMPTY = ("", "-")
# what moves a cursor, turns the direction of writing, is invisible, or is no character: names of files hold anything
CONTROLS = re.compile(
    "[\\0-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff]"
)
UNBOUNDED = 10**6  # width and height of a file


def say(text: str = "", style: str = "") -> None:
    """Print to the standard output, in one of STYLES where colours are shown."""
    _print(text, style, sys.stdout)


def command(*words: object) -> str:
    """A command line that can be pasted into a shell, whatever names it holds."""
    return shlex.join(map(str, words))


def counted(count: int, one: str) -> str:
    """`1 photo`, `2 photos`, `2 classes`."""
    return f"{count:,} {one}" + ("" if count == 1 else "es" if one.endswith(("s", "tch")) else "s")


def say_aside(text: str) -> None:
    """Print to the standard error what a person wants to know and a script must not read."""
    _print(text, "", sys.stderr)


def output(text: str) -> None:
    """Print what another program reads to the standard output, as it is."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Print a warning to the standard error."""
    _print(f" {text}", "", sys.stderr, mark=paint("warning:", "yellow", sys.stderr))


def error(text: object, program: str = "") -> None:
    """Print an error to the standard error, after the name of the program if given."""
    mark = paint("error:", "red", sys.stderr)
    _print(f" {text}", "", sys.stderr, mark=f"{program}: {mark}" if program else mark)


def _print(text: str, style: str, stream: IO[str], mark: str = "") -> None:
    print(mark + paint(visible(text), style, stream), file=stream, flush=True)


def visible(text: str) -> str:
    """Return `text` in one line, with escapes such as `\\x1b` for what a terminal would obey and for stray bytes."""
    with suppress(UnicodeEncodeError, UnicodeDecodeError):  # Latin-1, or half a pair: its bytes are shown one by one
        text = text.encode("utf-8", "surrogateescape").decode()  # names in UTF-8, listed in a locale of ASCII
    return CONTROLS.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    byte = ord(character) - 0xDC00  # as Python keeps a byte that is no text
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()


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

    cells = [[visible(str(cell)) for cell in row] for row in rows]
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for at, name in enumerate(columns):
        right = all(NUMBER.match(row[at]) or row[at] in EMPTY for row in cells)
        fold = shrink is None or name == shrink
        grid.add_column(Text(visible(name)), justify="right" if right else "left", overflow="fold", no_wrap=not fold)
    for number, row in enumerate(cells):
        grid.add_row(*map(Text, row), style=(styles or {}).get(number))
    size = None if on_terminal(sys.stdout) else UNBOUNDED  # both, or rich takes its own for TERM=dumb
    console = Console(width=size, height=size, highlight=False, color_system="auto" if coloured(sys.stdout) else None)
    with console.capture() as shown:
        console.print(grid)
    if title:
        say(title, "bold")
    output("\n".join(line.rstrip() for line in shown.get().splitlines()))


class bar:  # noqa: N801 - used as a function: `with console.bar(10, "photo") as bar`
    """Progress and the time left, on the standard error if that is a terminal and nowhere else; `n` is what is done.

    Lines printed meanwhile appear above the bar. `total` is None where it is not known; a `unit` of B counts bytes.
    """

    def __init__(self, total: int | None, unit: str, text: str = "", *, start: int = 0, shown: bool = True) -> None:
        self.n, self.note = start, ""
        self.shown = _progress(unit) if shown and on_terminal(sys.stderr) else None
        if self.shown:
            self.task = self.shown.add_task(visible(text), total=total, completed=start, note=self.note)
            self.shown.start()
            self.shown.console.show_cursor()  # a process that is killed could not bring it back

    def update(self, count: int = 1, note: str | None = None) -> None:
        """Add `count` to what is done; `note` replaces the text at the end of the bar."""
        self.n += count
        if self.shown:
            self.note = self.note if note is None else visible(note)
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
