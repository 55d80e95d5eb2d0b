"""Line charts: what the template `line_chart` of macros.html draws; the legend gives the values under the pointer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from leafdist.pages.axis import Axis, around

WIDTH, HEIGHT = 380, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 28
MOST = 400  # points per line; more cannot be told apart


@dataclass(frozen=True)
class Line:
    """style: `main`, `other`, and `-dashed` or `-faint` of either; best: x and y of the epoch that is kept."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "main"
    best: tuple[float, float] | None = None

    def thinned(self) -> "Line":
        """About MOST points at most, evenly apart, the last among them."""
        step = max(1, -(-len(self.x) // MOST))
        kept = sorted({*range(0, len(self.x), step), len(self.x) - 1})
        return replace(self, x=[self.x[i] for i in kept], y=[self.y[i] for i in kept])

    @property
    def is_dot(self) -> bool:
        """Whether it is a single point."""
        return len(self.x) == 1 and math.isfinite(self.y[0])


@dataclass(frozen=True)
class Scale:
    """How values are written, beside the axis and in the legend; `unit` tells the script: `percent` or `number`."""

    tick: Callable[[float], str]
    write: Callable[[float], str]
    unit: str = "number"
    zero: bool = False
    log: bool = False


class Chart:
    """A chart of some lines; `marks`: where on x the run was started again."""

    width, height, left, right, top, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM

    def __init__(
        self, title: str, x_name: str, lines: Sequence[Line], scale: Scale, marks: Sequence[float] = ()
    ) -> None:
        self.x_name, self.scale, self.marks = x_name, scale, marks
        self.lines = [line.thinned() for line in lines if line.x]
        self.x = Axis(0.0, max((line.x[-1] for line in self.lines), default=1.0), self.left, self.right)
        values = (y for line in self.lines for y in line.y)
        self.y = around(values, self.bottom, self.top, zero=scale.zero, log=scale.log)
        self.title = title + (", logarithmic" if self.y.log else "")
        self.spoken = f"{title} by {x_name}: {'; '.join(self._told())}"

    @property
    def x_ticks(self) -> list[float]:
        """Values to write below the chart, beside the name of the axis."""
        return [value for value in self.x.ticks(5) if self.x(value) < self.right - 34 or value == self.x.high]

    @property
    def values(self) -> list[dict[str, list[float | None]]]:
        """The points for the script, None where a value is not finite."""
        return [{"x": [_round(x) for x in line.x], "y": [_round(y) for y in line.y]} for line in self.lines]

    def path(self, line: Line) -> str:
        """The line as an SVG path, broken where a value is not finite."""
        points = zip(line.x, line.y, strict=True)
        pieces = [list(run) for finite, run in groupby(points, lambda point: math.isfinite(point[1])) if finite]
        return "".join(f"M{'L'.join(f'{self.x(x)} {self.y(y)}' for x, y in piece)}" for piece in pieces)

    def _told(self) -> list[str]:
        write = self.scale.write
        told = [f"{line.name} from {write(line.y[0])} to {write(line.y[-1])}" for line in self.lines]
        marked = [(line.name, *line.best) for line in self.lines if line.best]
        return told + [f"{name} {write(y)} at {self.x_name} {x:g}, kept" for name, x, y in marked]


def _round(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
