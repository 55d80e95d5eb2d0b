"""report: one page about a run, or about two side by side."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the parser of `report`."""
    report = commands.add_parser(
        "report",
        help="write RUN/report.html, or a page of two runs side by side",
        examples=("leafdist report runs/resnet50", "leafdist report runs/baseline runs/resnet50"),
    )
    report.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run folder, such as runs/resnet50")
    report.add_argument("--to", metavar="FOLDER", type=Path, help="folder to write to (default: RUN)")
    report.set_defaults(run=report_runs)


def report_runs(options: argparse.Namespace) -> None:
    """Write the page and print its path. Raises ValueError for more than two runs."""
    from leafdist.report import write as report
    from leafdist.system import console

    if len(options.runs) > 2:
        raise ValueError(f"{len(options.runs)} runs given: a report shows one or two. More: leafdist compare RUN ...")
    console.say(f"wrote {report.write(*options.runs[:2], to=options.to)}")
