"""sync: to W&B, after a job without a network."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add `leafdist sync`."""
    sync = commands.add_parser(
        "sync", help="upload to W&B what was tracked offline", examples=("leafdist sync runs/resnet50 runs/baseline",)
    )
    sync.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run folder, such as runs/resnet50")
    sync.set_defaults(run=sync_runs)


def sync_runs(options: argparse.Namespace) -> None:
    """Upload the runs; raises SystemExit with wandb's status if it failed."""
    from leafdist.tracking.sync import sync

    if status := sync(options.runs):
        raise SystemExit(status)
