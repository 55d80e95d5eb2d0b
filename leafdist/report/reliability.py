"""The reliability diagram: is the model right as often as it is sure?"""

from collections.abc import Sequence
from dataclasses import dataclass

from leafdist.pages.axis import Axis
from leafdist.pages.words import many, percent
from leafdist.report.contents import Contents
from leafdist.runs.results import Bin

SIDE, LEFT, TOP, BELOW = 300, 40, 8, 64  # pixels; below: the photos of each bin
BAR = 34  # pixels of the tallest bar


@dataclass(frozen=True)
class Side:
    """The confidences before (style `other`) or after (`main`) the temperature."""

    name: str
    style: str
    ece: float
    loss: float
    bins: Sequence[Bin]

    @property
    def used(self) -> list[Bin]:
        """Bins that hold photos."""
        return [one for one in self.bins if one.images]

    def share(self, one: Bin) -> float:
        """The root of a bin's part of the fullest one: the last holds most photos, the others are to be seen too."""
        return float((one.images / max(found.images for found in self.bins)) ** 0.5)


class Reliability:
    """The diagram, before the temperature and, where there is one, after it."""

    side, left, top, bottom, height = SIDE, LEFT, TOP, TOP + SIDE + BELOW, TOP + SIDE + BELOW + 4
    x, y = Axis(0, 1, LEFT, LEFT + SIDE), Axis(0, 1, TOP + SIDE, TOP)

    def __init__(self, sides: Sequence[Side], fitted: str) -> None:
        self.sides, self.fitted = sides, fitted
        told = (f"{percent(one.confidence, 0)} sure, {percent(one.accuracy, 0)} right" for one in sides[-1].used)
        self.spoken = f"Reliability: {'; '.join(told)}"

    def path(self, side: Side) -> str:
        """The line through a side's points, as an SVG path."""
        return "M" + "L".join(f"{self.x(one.confidence)} {self.y(one.accuracy)}" for one in side.used)

    def told(self, one: Bin) -> str:
        """Say what a bin holds."""
        return f"{many(one.images, 'photo')}: {percent(one.confidence)} sure, {percent(one.accuracy)} right"

    def bar(self, side: Side, one: Bin) -> tuple[float, float, float]:
        """The left end, width and height of a bin's bar; bars before stand left of those after."""
        shift = 0.9 * 0.5 if side.style == "main" else 0.0
        wide = one.high - one.low
        height = round(BAR * side.share(one), 1) if one.images else 0.0
        return self.x(one.low + wide * (0.05 + shift)), round(wide * SIDE * 0.42, 1), height


def reliability(contents: Contents) -> Reliability | None:
    """Draw the confidences before and after the temperature; None in evaluations of old releases."""
    found = contents.calibration
    if found is None:
        return None
    sides = [Side("before", "other", found.ece, found.loss, found.bins)]
    fitted = "The run is not calibrated; evaluate.py fits a temperature on val."
    if contents.calibrated:
        assert found.ece_calibrated is not None
        assert found.loss_calibrated is not None
        sides.append(Side("after", "main", found.ece_calibrated, found.loss_calibrated, found.bins_calibrated or []))
        fitted = f"Temperature {contents.temperature:.3f}, fitted on {found.fitted_on}: logits are divided by it."
    return Reliability(sides, fitted)
