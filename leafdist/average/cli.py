"""average: runs as one, or a run and what it started from as one."""

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = (
    "leafdist average runs/seed-0 runs/seed-1 runs/seed-2 --out runs/soup",
    "leafdist average runs/fine-tuned --with-start 0.5 --out runs/half-way",
)


def add(commands: Any) -> None:
    """Add the parser of `average`."""
    average = commands.add_parser(
        "average",
        help="average the weights of runs into a new one",
        description="Average the best checkpoints of runs of one network and one split, or of a run and the weights "
        "that it started from, into a new run folder. Statistics of BatchNorm are computed anew.",
        examples=EXAMPLES,
    )
    average.add_argument("runs", metavar="RUN", nargs="+", help="run folders, or a pattern in quotes")
    average.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="the new run folder")
    average.add_argument(
        "--with-start", metavar="SHARE", type=float, help="share of one run, 0 to 1; the rest: what it started from"
    )
    average.set_defaults(run=average_runs)


def average_runs(options: argparse.Namespace) -> int:
    """Average as the options say; return the exit status."""
    from leafdist.average.average import average
    from leafdist.distributed.job import run
    from leafdist.runs.named import named_runs

    runs, out, share = named_runs(options.runs), options.out, options.with_start
    return run(
        lambda runtime: average(runs, out, share, runtime), precision="no", timeout_minutes=10, deterministic=False
    )
