"""How the training went: loss and accuracy, learning rate, throughput, and every epoch as a table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from leafdist.pages.axis import short
from leafdist.pages.lines import Chart, Line, Scale
from leafdist.pages.words import THIN, percent
from leafdist.report.contents import Contents
from leafdist.runs.events import EpochEvent, StepEvent

STRAIGHT, LOGARITHMIC = Scale(short, short, zero=True), Scale(short, short, log=True)
SHARE = Scale(lambda value: f"{100 * value:.3g}{THIN}%", percent, "percent")


@dataclass(frozen=True)
class Curve:
    """One run in the charts; prefix: its name in the legend, empty where it is alone; style: `main` or `other`."""

    prefix: str
    style: str
    contents: Contents

    def losses(self) -> Iterator[Line]:
        """Yield the loss in training and on val; of a run alone each logged step too."""
        if not self.prefix:
            yield self.steps("train, steps", lambda event: event.loss, "other-faint")
        yield self._line("train", lambda event: event.train_loss)
        yield self._line("val", lambda event: event.val_loss)

    def accuracies(self) -> Iterator[Line]:
        """Yield the accuracy in training, on val, and of a run alone on val of its other roots."""
        yield self._line("train", lambda event: event.train_accuracy)
        yield self._line("val", lambda event: event.val_accuracy)
        events = self.contents.record.epochs
        for name in (events[0].roots or {}) if events and not self.prefix else ():
            values = [(event.epoch + 1.0, event.roots[name].accuracy) for event in events if event.roots]
            yield Line(f"val of {name}", [x for x, _ in values], [y for _, y in values], f"{self.style}-dashed")

    def steps(self, name: str, value: Callable[[StepEvent], float], style: str | None = None) -> Line:
        """Draw a value of the logged steps, over epochs."""
        events = self.contents.record.steps
        x = [event.step / self.contents.steps_per_epoch for event in events]
        return Line(f"{self.prefix}{name}", x, [value(event) for event in events], style or self.style)

    def _line(self, side: str, value: Callable[[EpochEvent], float]) -> Line:
        """Draw one run's train in grey and val in colour; two runs in a colour each, train dashed."""
        events, meta = self.contents.record.epochs, self.contents.meta
        x, y = [event.epoch + 1.0 for event in events], [value(event) for event in events]
        if side == "train":
            return Line(f"{self.prefix}train", x, y, f"{self.style}-dashed" if self.prefix else "other")
        best = next((i for i, event in enumerate(events) if meta and event.epoch == meta.epoch), None)
        return Line(f"{self.prefix}val", x, y, self.style, None if best is None else (x[best], y[best]))


def charts(curves: Sequence[Curve]) -> list[Chart]:
    """Draw the charts of one run, or of several over each other."""
    marks = curves[0].contents.restarted_at if len(curves) == 1 else []
    dropping = all(curve.contents.record.config.optim.schedule == "step" for curve in curves)
    rates = [curve.steps("rate", lambda event: event.lr) for curve in curves]
    speeds = [curve.steps("images/s", lambda event: event.images_per_second) for curve in curves]
    return [
        Chart("Loss", "epoch", [line for curve in curves for line in curve.losses()], LOGARITHMIC, marks),
        Chart("Accuracy", "epoch", [line for curve in curves for line in curve.accuracies()], SHARE, marks),
        Chart("Learning rate", "epoch", rates, LOGARITHMIC if dropping else STRAIGHT, marks),
        Chart("Images a second", "epoch", speeds, STRAIGHT, marks),
    ]


def coverage(points: Sequence[tuple[float, float]]) -> Chart:
    """Draw the accuracy of the surest answers over their share, both from 0 to 1."""
    x, y = ([*column] for column in zip(*points, strict=True))
    return Chart("Accuracy", "share answered", [Line("surest answers", x, y)], SHARE)
