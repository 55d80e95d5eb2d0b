"""report, augment-preview: one page about a run or two; what a configuration makes of photos."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the parsers of `report` and `augment-preview`."""
    report = commands.add_parser(
        "report",
        help="write RUN/report.html, or a page of two runs side by side",
        examples=("leafdist report runs/resnet50", "leafdist report runs/baseline runs/resnet50"),
    )
    report.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run folder, such as runs/resnet50")
    report.add_argument("--to", metavar="FOLDER", type=Path, help="folder to write to (default: RUN)")
    report.set_defaults(run=report_runs)
    preview = commands.add_parser(
        "augment-preview",
        help="draw what augmentation makes of training photos",
        usage="leafdist augment-preview [--out FILE] [--config FILE] [--section.key VALUE ...]",
        examples=("leafdist augment-preview --config configs/resnet50.yaml --augment.trivial true --out preview.png",),
    )
    preview.add_argument("--out", metavar="FILE", type=Path, default=Path("preview.png"), help="the PNG to write")
    preview.set_defaults(run=draw_preview, takes_settings=True)


def report_runs(options: argparse.Namespace) -> None:
    """Write the page and print its path. Raises ValueError for more than two runs."""
    from leafdist.report import write as report
    from leafdist.system import console

    if len(options.runs) > 2:
        raise ValueError(f"{len(options.runs)} runs given: a report shows one or two. More: leafdist compare RUN ...")
    console.say(f"wrote {report.write(*options.runs[:2], to=options.to)}")


def draw_preview(options: argparse.Namespace) -> None:
    """Write the picture of the settings of train.py and print its path. Raises ValueError."""
    from leafdist.config.parse import parse_config
    from leafdist.system import console

    config = parse_config(options.settings, "leafdist augment-preview")
    from leafdist.report.preview import write_preview  # imports torch

    write_preview(config, options.out)
    console.say(f"wrote {options.out}")
