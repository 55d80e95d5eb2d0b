"""compare, summary: evaluated runs against each other, or together as one result."""

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = (
    "leafdist compare runs/baseline runs/resnet50",
    "leafdist compare runs/baseline runs/resnet50 --groups leaf_ids.tsv --csv disagree.csv",
    "leafdist compare runs/rates-1 runs/rates-2 runs/rates-3 --split val --json compared.json",
)

SUMMARY_EXAMPLES = (
    "leafdist summary 'runs/fold-*' --split val --groups leaf_ids.tsv",
    "leafdist summary runs/seed-0 runs/seed-1 runs/seed-2 --html seeds.html --json seeds.json",
)


def add(commands: Any) -> None:
    """Add the parsers of `compare` and `summary`."""
    compare = commands.add_parser(
        "compare", help="compare evaluated runs: which is better, how surely, and what differs", examples=EXAMPLES
    )
    compare.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="run folders, compared with the first")
    compare.add_argument("--split", default="test", help="compare eval-SPLIT.json")
    compare.add_argument("--groups", metavar="FILE", type=Path, help="class, stem, leaf_id: intervals by leaf")
    compare.add_argument("--csv", metavar="FILE", type=Path, help="list photos that only one of two runs gets right")
    compare.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to this file")
    compare.set_defaults(run=compare_runs)
    summary = commands.add_parser(
        "summary",
        help="folds or seeds as one result: mean, spread, all answers together",
        description="Folds or seeds as one result. --split val: of folds, each photo is answered once, by the run that "
        "did not train on it.",
        examples=SUMMARY_EXAMPLES,
    )
    summary.add_argument("runs", metavar="RUN", nargs="+", help="run folders, or a pattern in quotes")
    summary.add_argument("--split", default="test", help="summarise eval-SPLIT.json")
    summary.add_argument("--groups", metavar="FILE", type=Path, help="class, stem, leaf_id: an interval by leaf too")
    summary.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to this file")
    summary.add_argument("--html", metavar="FILE", type=Path, help="also write them as one page")
    summary.set_defaults(run=summarise_runs)


def compare_runs(options: argparse.Namespace) -> None:
    """Print the comparison and write it where asked. Raises ValueError where runs cannot be compared."""
    from leafdist.compare.compare import compare
    from leafdist.compare.pair import write_photos
    from leafdist.compare.text import show
    from leafdist.system import files

    comparison = compare(options.runs, options.split, options.groups)
    show(comparison)
    files.write_asked(options.csv, lambda path: write_photos(path, comparison.pairs))
    files.write_asked(options.json, lambda path: files.write_json(path, comparison.json()))


def summarise_runs(options: argparse.Namespace) -> None:
    """Print the summary and write it where asked. Raises ValueError where runs cannot be summarised."""
    from leafdist.compare.summary import summarise
    from leafdist.compare.summary_page import page
    from leafdist.compare.summary_text import show_summary
    from leafdist.runs.named import named_runs
    from leafdist.system import files

    summary = summarise(named_runs(options.runs), options.split, options.groups)
    show_summary(summary)
    files.write_asked(options.json, lambda path: files.write_json(path, summary.json()))
    files.write_asked(options.html, lambda path: files.write_text(path, page(summary)))
