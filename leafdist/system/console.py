"""One look for all commands: fitted and coloured on a terminal, plain and always the same in a file or a pipe.

`NO_COLOR` (https://no-color.org) leaves colours out, `TERM=dumb` everything that a typewriter could not do.
"""

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
NUMBER = re.compile(r"[-+−±<]?\d")
EMPTY = ("", "-")


def say(text: str = "", style: str = "") -> None:
    """To the standard output; the whole of it may be of one of STYLES."""
    print(paint(text, style, sys.stdout), flush=True)


def say_aside(text: str) -> None:
    """To the standard error: what a person wants to know and a script must not read."""
    print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    say_aside(f"{paint('warning:', 'yellow', sys.stderr)} {text}")


def error(text: object, program: str = "") -> None:
    """A fault, whoever raised it: what it is about, the rule, the way out."""
    mark = paint("error:", "red", sys.stderr)
    say_aside(f"{program}: {mark} {text}" if program else f"{mark} {text}")


def paint(text: str, style: str, stream: IO[str]) -> str:
    """`text`, in a style of STYLES where `stream` shows colours."""
    return f"\033[{STYLES[style]}m{text}\033[0m" if style and text and coloured(stream) else text


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    styles: Mapping[int, str] | None = None,
    shrink: str | None = None,
) -> None:
    """Print rows below the names of their columns; columns of numbers stand to the right.

    styles: of some rows, by number. shrink: the column whose cells are folded first where the terminal is narrow.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if title:
        say(title, "bold")
    if on_terminal(sys.stdout):
        _fitted_table(columns, cells, styles or {}, shrink)
    else:
        say("\n".join(plain_table(columns, cells)))


def plain_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Lines as wide as they need to be, two spaces between columns."""
    right = _numbers(columns, cells)
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    return [line(columns), *map(line, cells)]


def _numbers(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[bool]:
    """Of each column, whether it holds nothing else."""
    return [all(NUMBER.match(row[place]) or row[place] in EMPTY for row in cells) for place in range(len(columns))]


def _fitted_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], styles: Mapping[int, str], shrink: str | None
) -> None:
    from rich.console import Console  # noqa: PLC0415 - 0.1 s
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, number in zip(columns, _numbers(columns, cells), strict=True):
        fold = shrink is None or name == shrink
        grid.add_column(Text(name), justify="right" if number else "left", overflow="fold", no_wrap=not fold)
    for place, row in enumerate(cells):
        grid.add_row(*map(Text, row), style=styles.get(place))
    Console(file=sys.stdout, highlight=False, color_system="auto" if coloured(sys.stdout) else None).print(grid)
    sys.stdout.flush()


def bar(total: int | None, unit: str, text: str = "", *, start: int = 0, shown: bool = True) -> "tqdm[Any]":
    """Progress with the time left, on the standard error of a terminal and nowhere else; bytes where the unit is B."""
    from tqdm import tqdm  # noqa: PLC0415 - 0.1 s

    shown = shown and on_terminal(sys.stderr)
    return tqdm(
        total=total, initial=start, unit=unit, desc=text or None, unit_scale=unit == "B", disable=not shown,
        dynamic_ncols=True, leave=False,
    )  # fmt: skip


def on_terminal(stream: IO[str]) -> bool:
    """Whether somebody looks at it, on something that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(stream: IO[str]) -> bool:
    return on_terminal(stream) and not os.environ.get("NO_COLOR")
