"""runs: the runs in a folder, how far each is and how good."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leafdist.runs.listing import RunRow

KEYS = ("age", "name", "model", "state", "epoch", "val", "test", "rate", "restarts")
STATES = ("new", "running", "dead", "interrupted", "failed", "finished", "damaged")
STYLES = {"dead": "red", "failed": "red", "damaged": "red", "interrupted": "yellow", "running": "green"}
COLUMNS = ("run", "model", "state", "epoch", "best val", "test", "images/s", "restarts", "age")
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def add(commands: Any) -> None:
    """Add the parser of `runs`."""
    runs = commands.add_parser(
        "runs",
        help="list the runs in a folder",
        description="How far, how good and how fast the runs in a folder are. age: since the end or the last log line. "
        "dead?: the state is running, but no process holds the lock.",
        examples=("leafdist runs", "leafdist runs --sort test --state finished", "leafdist runs runs --json"),
    )
    runs.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, default="runs")
    runs.add_argument("--sort", metavar="KEY", choices=KEYS, default="age", help=f"order by {', '.join(KEYS)}")
    runs.add_argument("--reverse", action="store_true", help="reverse the order")
    runs.add_argument("--state", choices=STATES, action="append", help="only runs in this state; may be repeated")
    runs.add_argument("--model", help="only runs of this network, such as resnet50")
    runs.add_argument("--name", metavar="TEXT", default="", help="only runs with TEXT in their names")
    runs.add_argument("--json", action="store_true", help="print JSON instead, one object per run")
    runs.set_defaults(run=list_folder)


def list_folder(options: argparse.Namespace) -> None:
    """Print the runs of a folder, chosen and ordered as asked."""
    from leafdist.runs.listing import chosen, list_runs, ordered
    from leafdist.system import console

    every = list_runs(options.folder)
    states = set(options.state) if options.state else None
    rows = list(chosen(every, states=states, model=options.model, text=options.name))
    rows = ordered(rows, options.sort, reverse=options.reverse)
    if options.json:
        console.output(json.dumps([asdict(row) for row in rows], indent=2))
        return
    if rows:
        styles = {index: STYLES[row.state] for index, row in enumerate(rows) if row.state in STYLES}
        console.table(COLUMNS, map(cells, rows), styles=styles, shrink="run")
    for row in rows:
        if row.problem:
            console.say(f"{row.name}: {row.problem}", "red")
    if len(rows) < len(every) or not rows:
        console.say_aside(f"{len(rows)} of {console.counted(len(every), 'run')} in {options.folder}")


def cells(row: "RunRow") -> list[str]:
    """The row of a run in the table, in the order of COLUMNS."""

    from leafdist.runs.facts import score_text

    def shown(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    state = "dead?" if row.state == "dead" else row.state
    epochs = f"{shown(row.epoch, 'd')} of {shown(row.epochs, 'd')}"
    test = shown(row.test, ".4f") + " tta" * row.tta
    val = ", ".join(text for text in (shown(row.val, ".4f"), score_text(row.select or "", row.score)) if text)
    scores = [val, test, shown(row.rate, ",.0f"), shown(row.restarts, "d")]
    return [row.name, row.model or "-", state, epochs, *scores, "-" if row.age is None else span(row.age)]


def span(seconds: float) -> str:
    """Write seconds in their largest unit: `3 h`."""
    for unit, name in UNITS:
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
