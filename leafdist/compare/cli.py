"""compare: evaluated runs on the same photos."""

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = (
    "leafdist compare runs/baseline runs/resnet50",
    "leafdist compare runs/baseline runs/resnet50 --groups leaf_ids.tsv --csv disagree.csv",
    "leafdist compare runs/rates-1 runs/rates-2 runs/rates-3 --split val --json compared.json",
)


def add(commands: Any) -> None:
    """Add the parser of `compare`."""
    compare = commands.add_parser(
        "compare", help="compare evaluated runs: which is better, how surely, and what differs", examples=EXAMPLES
    )
    compare.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="run folders; the first is the baseline")
    compare.add_argument("--split", default="test", help="compare eval-SPLIT.json")
    compare.add_argument("--groups", metavar="FILE", type=Path, help="class, stem, leaf_id: intervals by leaf")
    compare.add_argument("--csv", metavar="FILE", type=Path, help="list photos that only one of two runs gets right")
    compare.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to this file")
    compare.set_defaults(run=compare_runs)


def compare_runs(options: argparse.Namespace) -> None:
    """Print the comparison and write it where asked. Raises ValueError where runs cannot be compared."""
    from leafdist.compare.compare import compare
    from leafdist.compare.pair import write_photos
    from leafdist.compare.text import show
    from leafdist.system import console, files

    comparison = compare(options.runs, options.split, options.groups)
    show(comparison)
    if options.csv:
        write_photos(options.csv, comparison.pairs)
        console.say_aside(f"wrote {options.csv}")
    if options.json:
        files.write_json(options.json, comparison.json())
        console.say_aside(f"wrote {options.json}")
