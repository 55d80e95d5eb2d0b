"""sync: upload to W&B after a job without a network."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the parser of `sync`."""
    sync = commands.add_parser(
        "sync", help="upload to W&B what was tracked offline", examples=("leafdist sync runs/resnet50 runs/baseline",)
    )
    sync.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run folder, such as runs/resnet50")
    sync.set_defaults(run=sync_runs)


def sync_runs(options: argparse.Namespace) -> int:
    """Upload the runs; return the exit status."""
    from leafdist.tracking.sync import sync

    return sync(options.runs)
