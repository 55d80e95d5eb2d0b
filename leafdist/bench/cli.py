"""bench: what this machine can do."""

import argparse
from pathlib import Path
from typing import Any

from leafdist.system.arguments import listed

PARTS = ("ceiling", "training", "evaluation", "loading", "packing")


def add(commands: Any) -> None:
    """Add the parser of `bench`."""
    bench = commands.add_parser(
        "bench",
        help="measure how fast this machine trains",
        usage="leafdist bench [options] [--config FILE] [--section.key VALUE ...]",
        examples=(
            "leafdist bench --config configs/resnet50.yaml --data.root splitted",
            "leafdist bench --parts ceiling,training --turns 3 --json bench.json --config configs/baseline.yaml",
        ),
    )
    bench.add_argument("--parts", default=",".join(PARTS), help="parts to measure, separated by commas")
    bench.add_argument("--turns", type=int, default=5, help="how many times to measure each case")
    bench.add_argument("--seconds", type=float, default=3, help="seconds per turn")
    bench.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to this file")
    bench.set_defaults(run=run_bench, takes_settings=True)


def run_bench(options: argparse.Namespace) -> None:
    """Measure with the settings of train.py. Raises ValueError."""
    from leafdist.config.parse import parse_config

    parts = listed("--parts", options.parts, PARTS)
    if options.turns < 1:
        raise ValueError(f"--turns {options.turns}: must be at least 1")
    config = parse_config(options.settings, "leafdist bench")
    from leafdist.bench.bench import bench  # imports torch

    bench(config, parts, options.turns, options.seconds, options.json)
