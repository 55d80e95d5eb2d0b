"""Round numbers for an axis, and where a value lies on it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

LOG_FROM = 25  # largest over smallest value of a loss that a straight axis would flatten


@dataclass(frozen=True)
class Axis:
    """Values `low` to `high` on pixels `start` to `end`; `log`: by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        value, low, high = (math.log(one) if self.log else one for one in (value, self.low, self.high))
        return round(self.start + (self.end - self.start) * (value - low) / ((high - low) or 1), 1)

    def ticks(self, wanted: int = 4) -> list[float]:
        """Return round values on the axis, about as many as wanted."""
        low, high = self.low, self.high
        if self.log:
            powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            steps = (1, 2, 5) if high / low < 2000 else (1,)
            ticks = [10.0**power * one for power in powers for one in steps]
            return [tick for tick in ticks if low <= tick <= high]
        step = _step(low, high, wanted) if high > low else 1.0
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return [round(multiple * step, 12) for multiple in range(first, last + 1)]


def around(values: Iterable[float], start: float, end: float, *, zero: bool = False, log: bool = False) -> Axis:
    """An axis from one round number to another that holds all finite values."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if log and low > 0 and high / low > LOG_FROM:
        return Axis(low / 1.15, high * 1.15, start, end, log=True)
    low = 0.0 if zero or low == high else low
    step = _step(low, high if high > low else low + (abs(low) or 1.0), 4)
    return Axis(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step or step, start, end)


def short(value: float) -> str:
    """`0.25`, `12`, `1500`, `2.5e-4`, `25k`."""
    if abs(value) >= 10_000:
        return f"{value / 1000:.3g}k"
    if 0 < abs(value) < 1e-3:
        digits, power = f"{value:.2e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _step(low: float, high: float, wanted: int) -> float:
    """1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / wanted
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= rough * (1 - 1e-9))
