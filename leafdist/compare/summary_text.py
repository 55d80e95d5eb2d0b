"""A summary as text for a terminal."""

from leafdist.compare.summary import FIGURES, Summary
from leafdist.system import console

NAMES = {"accuracy": "accuracy", "macro_f1": "macro F1", "balanced_accuracy": "balanced accuracy"}


def show_summary(summary: Summary) -> None:
    """Print all of a summary."""
    columns = tuple(NAMES[name] for name in FIGURES)
    rows = [(name, one.photos, *(_share(getattr(one, key)) for key in FIGURES)) for name, one in summary.runs.items()]
    title = f"{console.counted(len(rows), 'run')} on {summary.split}"
    console.table(("run", "photos", *columns), rows, title=title, shrink="run")
    console.say()
    spreads = [
        (NAMES[name], _share(one.mean), f"{100 * one.deviation:.2f}", f"{_share(one.lowest)} to {_share(one.highest)}")
        for name, one in summary.spreads.items()
    ]
    console.table(("over the runs", "mean", "standard deviation", "range"), spreads)
    console.say()
    show_pooled(summary)
    console.say()
    classes = [
        (name, one.images, _share(one.precision), _share(one.recall), _share(one.f1))
        for name, one in summary.pooled.classes.items()
    ]
    columns = ("class", "answers", "precision", "recall", "F1")
    console.table(columns, classes, title="all answers by class", shrink="class")
    console.say()
    for line in summary.remarks:
        console.say(f"note: {line}", "dim")


def show_pooled(summary: Summary) -> None:
    """Print the figures of all answers together."""
    pooled = summary.pooled
    console.say(f"all {pooled.answers:,} answers together", "bold")
    console.say(summary.case)
    columns, kinds = ["figure", "value", "95 % interval by photo"], [pooled.by_photo]
    if pooled.by_leaf:
        columns, kinds = [*columns, f"by leaf ({pooled.leaves:,} of them)"], [*kinds, pooled.by_leaf]
    rows = [
        (NAMES[name], _share(getattr(pooled, name)), *(_range(getattr(bounds, name)) for bounds in kinds))
        for name in FIGURES
    ]
    console.table(columns, rows)


def _share(value: float) -> str:
    return f"{100 * value:.2f} %"


def _range(bounds: tuple[float, float]) -> str:
    return " to ".join(map(_share, bounds))
