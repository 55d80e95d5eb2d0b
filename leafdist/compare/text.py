"""A comparison as text for a terminal."""

from collections.abc import Sequence

from leafdist.compare.compare import Comparison, settings_that_differ
from leafdist.compare.pair import Pair
from leafdist.system import console

SHOWN = 5  # photos each way
EPOCHS = 20  # rows, at most
TEST = {"photo": "McNemar's exact test", "leaf": "exact test by leaf"}


def show(comparison: Comparison) -> None:
    """Print all of a comparison."""
    show_runs(comparison)
    for pair in comparison.pairs:
        show_pair(pair, len(comparison.pairs))
    names = comparison.names
    if settings := settings_that_differ(comparison.runs):
        rows = [(key, *("-" if value is None else value for value in row)) for key, row in settings.items()]
        _section(("setting", *names), rows, "settings that differ")
    if epochs := comparison.epochs():
        accuracies = [(row + 1, *map(_share, epochs[row])) for row in chosen(len(epochs))]
        _section(("epoch", *names), accuracies, "val accuracy after an epoch")
    console.say()
    for line in comparison.remarks():
        console.say(f"note: {line}", "dim")


def show_runs(comparison: Comparison) -> None:
    """Print a row per run: accuracy, time and cost."""
    interval = f"95 % interval by {comparison.pairs[0].unit}"
    columns = ("run", "accuracy", interval, "best val", "epochs", "time", "photos/s", "GPU hours", "restarts")
    rows = []
    for name, run in comparison.figures().items():
        interval, rate = " to ".join(map(_share, run.interval)), run.images_per_second
        results = (_share(run.accuracy), interval, _share(run.best_val_accuracy), run.epochs)
        cost = (clock(run.seconds), f"{rate:.0f}" if rate else "-", f"{run.gpu_hours:.2f}", run.restarts)
        rows.append((name, *results, *cost))
    console.table(columns, rows, title=f"{comparison.images} photos of {comparison.split}", shrink="run")


def show_pair(pair: Pair, pairs: int) -> None:
    """Print what two runs differ by, how surely, and on what."""
    low, high = (f"{100 * end:+.2f}" for end in pair.interval)
    holm = f", Holm over {pairs} comparisons" if pairs > 1 else ""
    sure = "beyond chance" if pair.beyond_chance else "within chance"
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
    """Print the classes that differ beyond chance."""
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
    """Print the photos that one run gets right alone, the surest mistakes of the other first."""
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
    return sorted({round(row * (epochs - 1) / (EPOCHS - 1)) for row in range(EPOCHS)})


def clock(seconds: float) -> str:
    """`1:02:05` of 3725 seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _section(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str) -> None:
    console.say()
    console.table(columns, rows, title=title, shrink=columns[0])


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _p(value: float) -> str:
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.4f}"
