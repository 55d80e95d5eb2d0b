"""How the training went: loss and accuracy, learning rate, throughput, and every epoch as a table."""

from collections.abc import Iterator
from typing import Any

from leafdist.pages.axis import short
from leafdist.pages.html import Html, tag
from leafdist.pages.lines import Line, Scale, line_chart
from leafdist.pages.words import THIN, data, duration, number, percent
from leafdist.report.contents import Facts

LOSS = Scale(short, short, log=True)
SHARE = Scale(lambda value: f"{100 * value:.3g}{THIN}%", percent, "percent")
RATE = Scale(short, short, zero=True)
RATE_IN_STEPS = Scale(short, short, log=True)  # of ten or more, one below the other
SPEED = Scale(short, short, zero=True)


def curves(facts: Facts) -> Html:
    runs = [("", "main", facts)]
    return tag("section", tag("h2", "Learning", id="learning"), charts(runs), epochs_table(facts))


def charts(runs: list[tuple[str, str, Facts]]) -> Html:
    """Of one run or of several over each other: a prefix of the legend, `main` or `other`, and the run."""
    marks = [at for _, _, facts in runs for at in facts.restarted_at] if len(runs) == 1 else []
    dropping = all(facts.record.config.optim.schedule == "step" for _, _, facts in runs)
    parts = [
        line_chart("Loss", "epoch", [line for run in runs for line in _losses(*run)], LOSS, marks),
        line_chart("Accuracy", "epoch", [line for run in runs for line in _accuracies(*run)], SHARE, marks),
        line_chart(
            "Learning rate",
            "epoch",
            [_steps(*run, key="lr", name="rate") for run in runs],
            RATE_IN_STEPS if dropping else RATE,
            marks,
        ),
        line_chart(
            "Images a second",
            "epoch",
            [_steps(*run, key="images_per_second", name="images/s") for run in runs],
            SPEED,
            marks,
        ),
    ]
    return tag("div", parts, class_="charts")


def _losses(prefix: str, style: str, facts: Facts) -> Iterator[Line]:
    if not prefix:
        yield _steps(prefix, "other-faint", facts, key="loss", name="train, steps")
    yield from _pair(prefix, style, facts, "loss")


def _accuracies(prefix: str, style: str, facts: Facts) -> Iterator[Line]:
    yield from _pair(prefix, style, facts, "accuracy")


def _pair(prefix: str, style: str, facts: Facts, what: str) -> Iterator[Line]:
    """One run: train in grey, val in colour. Two runs: a colour each, train dashed."""
    train_style = f"{style}-dashed" if prefix else "other"
    for side, look in (("train", train_style), ("val", style)):
        rows = [row for row in facts.record.epochs if row.get(f"{side}_{what}") is not None]
        places = [(row["epoch"] + 1.0, float(row[f"{side}_{what}"])) for row in rows]
        kept = [place for row, place in zip(rows, places, strict=True) if row["epoch"] == facts.meta.get("epoch")]
        best = kept[0] if kept and side == "val" else None
        yield Line(f"{prefix}{side}", [x for x, _ in places], [y for _, y in places], look, best)


def _steps(prefix: str, style: str, facts: Facts, *, key: str, name: str) -> Line:
    rows = [row for row in facts.record.steps if row.get(key) is not None]
    x = [row["step"] / facts.steps_per_epoch for row in rows]
    return Line(f"{prefix}{name}", x, [float(row[key]) for row in rows], style)


def epochs_table(facts: Facts) -> Html:
    head = ("epoch", "train loss", "val loss", "train accuracy", "val accuracy", "time")
    rows = [_epoch(row, best=row["epoch"] == facts.meta.get("epoch")) for row in facts.record.epochs]
    header = tag("thead", tag("tr", [tag("th", name, scope="col") for name in head]))
    table = tag("div", tag("table", header, tag("tbody", rows), class_="plain"), class_="scroll")
    return tag("details", tag("summary", "Every epoch in figures"), table)


def _epoch(row: dict[str, Any], *, best: bool) -> Html:
    losses = [row.get("train_loss"), row.get("val_loss")]
    shares = [row.get("train_accuracy"), row.get("val_accuracy")]
    cells = [data(value, number(value)) if value is not None else "–" for value in losses]
    cells += [data(value, percent(value, 2)) if value is not None else "–" for value in shares]
    name = tag("th", str(row["epoch"] + 1), " best" if best else "", scope="row")
    return tag(
        "tr", name, [tag("td", cell) for cell in cells], tag("td", duration(row["seconds"])), class_=best and "best"
    )
