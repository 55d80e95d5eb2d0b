"""The reliability diagram: is the model right as often as it is sure?"""

from collections.abc import Sequence
from typing import Any

from leafdist.pages.html import Html, tag
from leafdist.pages.words import data, many, number, percent
from leafdist.report.contents import Facts

SIDE, LEFT, TOP, BELOW = 300, 40, 8, 64  # pixels; below: the photos of each bin
HIST = 34


def calibration(facts: Facts) -> Html | None:
    """Reliability diagram, before and after the temperature."""
    found = (facts.evaluation or {}).get("calibration")
    if not found:
        return None
    after = found["bins_calibrated"] if facts.calibrated else None
    return tag(
        "section",
        tag("h2", "Confidence", id="confidence"),
        tag("div", tag("figure", _diagram(found["bins"], after)), _words(facts, found), class_="beside"),
    )


def _words(facts: Facts, found: dict[str, Any]) -> Html:
    pairs = [("before", "other", found["ece"], found["loss"])]
    told = "The run is not calibrated; evaluate.py fits a temperature on val."
    if facts.calibrated:
        pairs.append(("after", "main", found["ece_calibrated"], found["loss_calibrated"]))
        told = f"Temperature {facts.temperature:.3f}, fitted on {found['fitted_on']}: logits are divided by it."
    head = tag("thead", tag("tr", tag("td"), [tag("th", name, scope="col") for name in ("calibration error", "loss")]))
    rows = [
        tag(
            "tr",
            tag("th", _dot(style), name, scope="row"),
            tag("td", data(ece, percent(ece, 2))),
            tag("td", data(loss, number(loss))),
        )
        for name, style, ece, loss in pairs
    ]
    help_ = (
        "Photos are sorted into bins by the model's confidence. On the straight line it is right as often as it is "
        "sure; below it, it is too sure. A larger dot, and a taller bar below, is a bin of more photos, by the square "
        "root."
    )
    table = tag(
        "table",
        tag("caption", "Calibration before and after", class_="unseen"),
        head,
        tag("tbody", rows),
        class_="plain",
    )
    return tag("div", tag("p", help_, class_="soft"), table, tag("p", told, class_="soft"))


def _dot(style: str) -> Html:
    return tag(
        "svg",
        tag("circle", cx=5, cy=5, r=4, class_=f"dot {style}"),
        viewBox="0 0 10 10",
        class_="key",
        aria_hidden="true",
    )


def _diagram(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]] | None) -> Html:
    parts = [*_frame(), *_points(before, "other"), *_bars(before, "other", 0.0)]
    if after:
        parts += [*_points(after, "main"), *_bars(after, "main", 0.5)]
    used = [one for one in after or before if one["images"]]
    spoken = "; ".join(f"{percent(one['confidence'], 0)} sure, {percent(one['accuracy'], 0)} right" for one in used)
    box = f"0 0 {LEFT + SIDE + 12} {TOP + SIDE + BELOW + 4}"
    return tag("svg", parts, viewBox=box, role="img", aria_label=f"Reliability: {spoken}", class_="reliability")


def _frame() -> list[Html]:
    parts = [tag("line", x1=_x(0), y1=_y(0), x2=_x(1), y2=_y(1), class_="ideal")]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(tag("line", x1=_x(0), x2=_x(1), y1=_y(share), y2=_y(share), class_="grid"))
        parts.append(tag("text", f"{100 * share:.0f}", x=LEFT - 6, y=_y(share) + 3.5, class_="tick end"))
        parts.append(tag("text", f"{100 * share:.0f}", x=_x(share), y=_y(0) + 15, class_="tick middle"))
    parts.append(tag("text", "right, %", x=LEFT + 4, y=TOP + 13, class_="tick"))
    return [*parts, tag("text", "sure, %", x=_x(1), y=_y(0) - 6, class_="tick end")]


def _x(share: float) -> float:
    return round(LEFT + SIDE * share, 1)


def _y(share: float) -> float:
    return round(TOP + SIDE * (1 - share), 1)


def _points(bins: Sequence[dict[str, Any]], style: str) -> list[Html]:
    used = [one for one in bins if one["images"]]
    most = max((one["images"] for one in used), default=1)
    path = "M" + "L".join(f"{_x(one['confidence'])} {_y(one['accuracy'])}" for one in used)
    dots = [
        tag(
            "circle",
            tag("title", _told(one)),
            cx=_x(one["confidence"]),
            cy=_y(one["accuracy"]),
            r=round(2.5 + 5 * (one["images"] / most) ** 0.5, 1),
            class_=f"dot {style}",
        )
        for one in used
    ]
    return [tag("path", d=path, class_=f"line {style}"), *dots] if used else []


def _told(one: dict[str, Any]) -> str:
    return f"{many(one['images'], 'photo')}: {percent(one['confidence'])} sure, {percent(one['accuracy'])} right"


def _bars(bins: Sequence[dict[str, Any]], style: str, shift: float) -> list[Html]:
    """By the square root: the last bin holds most photos, and the others are to be seen too."""
    most = max((one["images"] for one in bins), default=0) or 1
    bars = []
    for one in bins:
        height = round(HIST * (one["images"] / most) ** 0.5, 1)
        width = (one["high"] - one["low"]) * SIDE * 0.42
        x = _x(one["low"] + (one["high"] - one["low"]) * (0.05 + 0.9 * shift))
        bars.append(
            tag(
                "rect", x=x, y=TOP + SIDE + BELOW - height, width=round(width, 1), height=height, class_=f"area {style}"
            )
        )
    return bars
