"""Line charts as SVG, in the page's own colours; the legend gives the values under the pointer."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from leafdist.pages.axis import Axis, around
from leafdist.pages.html import Html, tag

WIDTH, HEIGHT = 380, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 28
MOST = 400  # points a line; more cannot be told apart


@dataclass(frozen=True)
class Line:
    """style: `main`, `other`, and `-dashed` or `-faint` of either; best: x and y of the epoch that is kept."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "main"
    best: tuple[float, float] | None = None

    def thinned(self) -> "Line":
        """At most MOST points, spread evenly, the last among them."""
        step = max(1, -(-len(self.x) // MOST))
        places = sorted({*range(0, len(self.x), step), len(self.x) - 1}) if self.x else []
        return replace(self, x=[self.x[i] for i in places], y=[self.y[i] for i in places])


@dataclass(frozen=True)
class Scale:
    """How values are written, beside the axis and in the legend; `unit` tells the script: `percent` or `number`."""

    tick: Callable[[float], str]
    write: Callable[[float], str]
    unit: str = "number"
    zero: bool = False
    log: bool = False


def line_chart(title: str, x_name: str, lines: Sequence[Line], scale: Scale, marks: Sequence[float] = ()) -> Html:
    """`marks`: places on x where the run was started again."""
    drawn = [line.thinned() for line in lines if line.x]
    x_axis = Axis(0.0, max((line.x[-1] for line in drawn), default=1.0), LEFT, WIDTH - RIGHT)
    y_axis = around((y for line in drawn for y in line.y), HEIGHT - BOTTOM, TOP, zero=scale.zero, log=scale.log)
    frame = {"x": [x_axis.low, x_axis.high, x_axis.start, x_axis.end], "unit": scale.unit, "axis": x_name}
    values = [{"x": [_round(x) for x in line.x], "y": [_round(y) for y in line.y]} for line in drawn]
    return tag(
        "figure",
        tag("figcaption", tag("h3", title + (", logarithmic" if y_axis.log else "")), _legend(drawn, scale)),
        tag(
            "svg",
            [*_grid(x_axis, y_axis, scale, x_name), *(_mark(x_axis(at)) for at in marks)],
            [_path(line, x_axis, y_axis) for line in drawn],
            [_best(line, line.best, x_axis, y_axis) for line in drawn if line.best],
            tag("line", class_="cursor", y1=TOP, y2=HEIGHT - BOTTOM, visibility="hidden"),
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            aria_label=_spoken(title, x_name, drawn, scale),
        ),
        class_="chart",
        data_frame=json.dumps(frame),
        data_lines=json.dumps(values),
    )


def _round(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


def _spoken(title: str, x_name: str, lines: Sequence[Line], scale: Scale) -> str:
    told = [f"{line.name} from {scale.write(line.y[0])} to {scale.write(line.y[-1])}" for line in lines]
    told += [
        f"{line.name} {scale.write(line.best[1])} at {x_name} {line.best[0]:g}, kept" for line in lines if line.best
    ]
    return f"{title} by {x_name}: {'; '.join(told)}"


def _legend(lines: Sequence[Line], scale: Scale) -> Html:
    items = [
        tag("li", _swatch(line.style), f"{line.name} ", tag("b", scale.write(line.y[-1]), class_="now"))
        for line in lines
    ]
    kept = [f"epoch {line.best[0]:g} is kept" for line in lines if line.best]
    ring = tag("li", _swatch("", ring=True), kept[0]) if len(kept) == 1 else None
    return tag("ul", items, tag("li", "at the end", class_="at"), ring, class_="legend")


def _swatch(style: str, *, ring: bool = False) -> Html:
    line = tag("line", x1=0, x2=18, y1=5, y2=5, class_=f"line {style}")
    drawn = tag("circle", cx=9, cy=5, r=3.5, class_="ring main") if ring else line
    return tag("svg", drawn, viewBox="0 0 18 10", class_="swatch", aria_hidden="true")


def _grid(x_axis: Axis, y_axis: Axis, scale: Scale, x_name: str) -> list[Html]:
    parts = []
    for value in y_axis.ticks():
        at = y_axis(value)
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
        parts.append(tag("text", scale.tick(value), x=LEFT - 6, y=at + 3.5, class_="tick end"))
    for value in x_axis.ticks(5):
        if x_axis(value) < WIDTH - RIGHT - 34 or value == x_axis.high:
            parts.append(tag("text", f"{value:g}", x=x_axis(value), y=HEIGHT - BOTTOM + 15, class_="tick middle"))
    return [*parts, tag("text", x_name, x=WIDTH - RIGHT, y=HEIGHT - 1, class_="tick end")]


def _mark(at: float) -> Html:
    line = tag("line", x1=at, x2=at, y1=TOP, y2=HEIGHT - BOTTOM, class_="mark")
    return tag("g", line, tag("title", "started again here"))


def _path(line: Line, x_axis: Axis, y_axis: Axis) -> Html:
    """Broken where a value is not finite; a single point is a dot."""
    points = list(zip(line.x, line.y, strict=True))
    if len(points) == 1 and math.isfinite(line.y[0]):
        return tag("circle", cx=x_axis(line.x[0]), cy=y_axis(line.y[0]), r=2.5, class_=f"dot {line.style}")
    pieces = [list(run) for finite, run in groupby(points, lambda point: math.isfinite(point[1])) if finite]
    path = "".join(f"M{'L'.join(f'{x_axis(x)} {y_axis(y)}' for x, y in piece)}" for piece in pieces)
    return tag("path", d=path, class_=f"line {line.style}")


def _best(line: Line, place: tuple[float, float], x_axis: Axis, y_axis: Axis) -> Html:
    x, y = place
    ring = tag("circle", cx=x_axis(x), cy=y_axis(y), r=4, class_=f"ring {line.style}")
    return tag("g", ring, tag("title", f"{line.name}: the best epoch, {x:g}, whose weights are kept"))
