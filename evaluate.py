"""Exact accuracy of the best checkpoint of one or several runs; the same files for any number of processes.

python evaluate.py runs/resnet50
python evaluate.py runs/baseline runs/resnet50 --split val
python evaluate.py runs/resnet50 --data photos-from-the-field
accelerate launch --multi_gpu --num_processes 4 evaluate.py runs/resnet50 --groups leaf_ids.tsv
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leafdist import console

if TYPE_CHECKING:
    from leafdist.runtime import Runtime


def main() -> int:
    """Returns the exit status: 0, 2 for wrong input, 1 for anything else."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run folder, such as runs/resnet50")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="default: test")
    parser.add_argument(
        "--data",
        metavar="ROOT",
        help="where the split folders lie now, or other photos: ROOT/<split>/<class>/ or ROOT/<class>/; classes are "
        "matched by name (default: as in training)",
    )
    parser.add_argument("--groups", metavar="FILE", type=Path, help="leaf ids (class, stem, leaf_id): interval by leaf")
    parser.add_argument("--tta", action="store_true", help="average over four views of a photo: as it is and mirrored")
    options = parser.parse_args()
    from leafdist.job import run  # torch: imported once the command line is known to be right

    return run(lambda runtime: evaluate_all(options, runtime), precision="no", timeout_minutes=10, deterministic=False)


def evaluate_all(options: argparse.Namespace, runtime: Runtime) -> None:
    """Evaluate run after run, then print them side by side."""
    from leafdist import report
    from leafdist.assessment import Request, assess
    from leafdist.comparison import compare
    from leafdist.comparison.text import show

    request = Request(options.split, options.data, options.groups, options.tta)
    results = {run: assess(run, request, runtime) for run in options.runs}
    if runtime.is_main:
        figures = ("95 % interval", "macro F1", "top 3", "loss", "ECE", "correct")
        rows = [[str(run), *row_of(result)] for run, result in results.items()]
        console.table(["run", f"{options.split} accuracy", *figures], rows)
    for remark in remarks(results[options.runs[-1]]):
        runtime.say(remark)
    if len(results) > 1 and len({result["data"] for result in results.values()}) == 1:
        split = results[options.runs[0]]["split"]
        runtime.agree(lambda: show(compare(options.runs, split, options.groups)))
    for run in results:
        report.attempt(run, runtime)


def row_of(result: dict[str, Any]) -> list[str]:
    """The headline figures."""
    low, high = result.get("interval_by_leaf", result["interval"])
    calibration = result["calibration"]
    ece = calibration.get("ece_calibrated", calibration["ece"])
    counts = f"{result['correct']} of {result['images']}"
    counts += f", {result['unreadable']} unreadable ones counted as wrong" if result["unreadable"] else ""
    shares = (f"{value:.4f}" for value in (result["macro_f1"], result["top3_accuracy"], result["loss"], ece))
    return [f"{result['accuracy']:.4f}", f"{low:.4f}-{high:.4f}", *shares, counts]


def remarks(result: dict[str, Any]) -> list[str]:
    """What the figures mean; for several runs the same, since the photos are."""
    fitted = result["calibration"]["temperature"]
    found = [f"ECE: {f'at temperature {fitted:.3f}, fitted on val' if fitted else 'uncalibrated, val is not at hand'}"]
    if "elsewhere" in result:
        unknown = ", ".join(f"{name} ({photos})" for name, photos in result["unknown"].items())
        absent = ", ".join(result["absent"])
        found += [f"other photos than the run's: {result['elsewhere']}"]
        found += [f"left out, of classes that the run does not know: {unknown}"] if unknown else []
        found += [f"classes of the run without a photo: {absent}"] if absent else []
    return [*found, f"leaves apart from those of training: {result['leaf_disjoint']}"]


if __name__ == "__main__":
    sys.exit(main())
