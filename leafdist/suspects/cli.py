"""suspects: photos whose label is probably wrong."""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SHOWN = 20
EXAMPLES = ("leafdist suspects 'runs/fold-*'", "leafdist suspects 'runs/fold-*' --out labels.tsv --html suspects.html")


def add(commands: Any) -> None:
    """Add the parser of `suspects`."""
    suspects = commands.add_parser(
        "suspects", help="list photos whose label is probably wrong, by runs evaluated on val", examples=EXAMPLES
    )
    suspects.add_argument("runs", metavar="RUN", nargs="+", help="run folders, or a pattern in quotes")
    suspects.add_argument("--top", metavar="N", type=int, default=SHOWN, help="print the N worst")
    suspects.add_argument(
        "--out", metavar="FILE", type=Path, help="new labels.tsv: one row a suspect, all keep their labels"
    )
    suspects.add_argument("--html", metavar="FILE", type=Path, help="write a page with a picture of each")
    suspects.set_defaults(run=find_suspects)


def find_suspects(options: argparse.Namespace) -> None:
    """Print the suspects and write them where asked. Raises ValueError where cleanlab or an evaluation is missing."""
    from leafdist.system import console, files
    from leafdist.system.arguments import extra

    if find_spec("cleanlab") is None:
        raise ValueError(f"cleanlab, which finds wrong labels, is not installed: {extra('suspects')}")
    if options.out and options.out.exists():
        raise ValueError(f"{options.out} exists, and may hold decisions: it is not overwritten. Name another file")
    from leafdist.runs.named import named_runs
    from leafdist.suspects.out_of_fold import pool
    from leafdist.suspects.pictured import page
    from leafdist.suspects.suspects import find, write

    answers = pool(named_runs(options.runs))
    found = find(answers)
    console.say(answers.headline(len(found)))
    rows = [(one.path, one.given, one.suggested, f"{one.quality:.4f}") for one in found[: max(0, options.top)]]
    if rows:
        console.table(("photo", "given", "suggested", "quality"), rows, shrink="photo")
    files.write_asked(options.html, lambda path: files.write_text(path, page(answers, found)))
    if options.out:
        write(options.out, found)
        way = console.command("leafdist", "split", "RAW", "NEW", "--groups", "near", "--labels", options.out)
        console.say_aside(f"wrote {options.out}: change keep to move or drop where you agree, then {way}")
