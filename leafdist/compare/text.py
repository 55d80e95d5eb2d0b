"""A comparison to read."""

from collections.abc import Sequence
from typing import Any

from leafdist.compare.compare import Comparison, facts
from leafdist.compare.pair import Pair
from leafdist.compare.significance import BEYOND_CHANCE
from leafdist.system import console

SHOWN = 5  # photos each way
EPOCHS = 20  # rows, at most
TEST = {"photo": "McNemar's exact test", "leaf": "exact test by leaf"}


def show(comparison: Comparison) -> None:
    """Print all of it."""
    show_runs(comparison)
    for pair in comparison.pairs:
        show_pair(pair, len(comparison.pairs))
    names = comparison.names
    if settings := comparison.settings():
        rows = [(key, *("-" if value is None else value for value in row)) for key, row in settings.items()]
        _section(("setting", *names), rows, "settings that differ")
    if epochs := comparison.epochs():
        rows = [(row + 1, *map(_share, epochs[row])) for row in chosen(len(epochs))]
        _section(("epoch", *names), rows, "val accuracy after an epoch")
    console.say()
    for line in comparison.remarks():
        console.say(f"note: {line}", "dim")


def show_runs(comparison: Comparison) -> None:
    """A row a run: accuracy, time and cost."""
    columns = ("run", "accuracy", "95 % interval", "best val", "epochs", "time", "photos/s", "GPU hours", "restarts")
    rows = []
    for name, answers in zip(comparison.names, comparison.answers, strict=True):
        known = facts(answers)
        interval = " to ".join(map(_share, known["interval"]))
        rate = known["images_per_second"]
        row = [name, _share(known["accuracy"]), interval, _share(known["best_val_accuracy"]), known["epochs"]]
        row += [clock(known["seconds"]), f"{rate:.0f}" if rate else "-", f"{known['gpu_hours']:.2f}", known["restarts"]]
        rows.append(row)
    console.table(columns, rows, title=f"{comparison.images} photos of {comparison.split}", shrink="run")


def show_pair(pair: Pair, pairs: int) -> None:
    """What two runs differ by, how surely, and on what."""
    low, high = (f"{100 * end:+.2f}" for end in pair.interval)
    holm = f", Holm over {pairs} comparisons" if pairs > 1 else ""
    sure = "beyond chance" if pair.p < BEYOND_CHANCE else "within chance"
    console.say()
    console.say(f"{pair.second} against {pair.first}: {100 * pair.difference:+.2f} points, {sure}", "bold")
    console.say(f"95 % interval {low} to {high} (bootstrap by {pair.unit}); {_p(pair.p)} ({TEST[pair.unit]}{holm})")
    console.say(
        f"only {pair.second} right: {pair.only_second}; only {pair.first} right: {pair.only_first}; "
        f"both: {pair.both}; neither: {pair.neither}"
    )
    show_classes(pair)
    for right, wrong in ((pair.second, pair.first), (pair.first, pair.second)):
        show_photos(pair, right, wrong)


def show_classes(pair: Pair) -> None:
    """Those that differ beyond chance."""
    rows = []
    for one in pair.telling:
        points = f"{100 * (one.second - one.first):+.1f}"
        rows.append((one.name, one.images, _share(one.first), _share(one.second), points, _p(one.p)))
    if rows:
        columns = ("class", "photos", pair.first, pair.second, "points", "chance")
        _section(columns, rows, f"classes that differ beyond chance (Holm over {len(pair.classes)})")
    else:
        console.say(f"no class differs beyond chance (Holm over {len(pair.classes)})")


def show_photos(pair: Pair, right: str, wrong: str) -> None:
    """Those that one gets right, the surest mistakes of the other."""
    photos = [photo for photo in pair.photos if photo.right == right]
    rows = [(photo.path, photo.predicted or "unreadable", f"{photo.confidence:.3f}") for photo in photos[:SHOWN]]
    if rows:
        more = f" ({SHOWN} of {len(photos)}; leafdist compare --csv lists all)" if len(photos) > SHOWN else ""
        title = f"right with {right}, {wrong}'s surest mistakes{more}"
        _section(("photo", f"{wrong} says", "confidence"), rows, title)


def chosen(epochs: int) -> list[int]:
    """Which rows to show: all, or the first, the last and some between them."""
    if epochs <= EPOCHS:
        return list(range(epochs))
    return sorted({round(place * (epochs - 1) / (EPOCHS - 1)) for place in range(EPOCHS)})


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _section(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> None:
    console.say()
    console.table(columns, rows, title=title, shrink=columns[0])


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _p(value: float) -> str:
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.4f}"
