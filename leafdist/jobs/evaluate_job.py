"""Exact accuracy of the best checkpoint of one or several runs; the same files for any number of processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leafdist.runs.layout import RunLayout
from leafdist.system import environment
from leafdist.system.arguments import Parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from leafdist.distributed.runtime import Runtime

ABOUT = __doc__
EXAMPLES = (
    "{} runs/resnet50",
    "{} runs/baseline runs/resnet50 --split val",
    "{} runs/resnet50 --data photos-from-the-field",
    "{} runs/resnet50 --outside photos-of-other-things",
    "{} runs/resnet50 --swap",
    "accelerate launch --multi_gpu --num_processes 4 evaluate.py runs/resnet50 --groups leaf_ids.tsv",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 2 for wrong input, 1 for anything else."""
    examples = [line.format("python evaluate.py") for line in EXAMPLES]
    parser = Parser(prog="evaluate.py", description=ABOUT, examples=examples)
    add_arguments(parser)
    return evaluate_runs(parser.parse_args(arguments), "evaluate.py")


def evaluate_runs(options: argparse.Namespace, prog: str = "leafdist evaluate") -> int:
    """Evaluate as the options say; return the exit status."""
    from leafdist.config.parse import refusing  # yaml: not for --help

    with refusing(prog):
        environment.settle_and_import()
        from leafdist.distributed.job import run  # torch: imported once the command line is known to be right

    return run(lambda runtime: evaluate(options, runtime), precision="no", timeout_minutes=10, deterministic=False)


def add_arguments(parser: Parser) -> None:
    """Add the arguments of an evaluation."""
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run folder, such as runs/resnet50")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="the photos to judge")
    parser.add_argument(
        "--data",
        metavar="ROOT",
        help="where the split folders are now, or other photos: ROOT/<split>/<class>/ or ROOT/<class>/; classes are "
        "matched by name (default: as in training)",
    )
    parser.add_argument("--groups", metavar="FILE", type=Path, help="leaf ids (class, stem, leaf_id): interval by leaf")
    parser.add_argument("--tta", action="store_true", help="average over four views of a photo: as it is and mirrored")
    parser.add_argument(
        "--sure",
        metavar="ACCURACY",
        type=float,
        help="refuse answers that are not sure enough for this accuracy of the others, on val (default: 0.95)",
    )
    parser.add_argument(
        "--outside",
        metavar="FOLDER",
        type=Path,
        action="append",
        default=[],
        help="photos that show none of the run's classes: how many are refused; may be given several times",
    )
    parser.add_argument("--swap", action="store_true", help="instead: how much of the accuracy is due to backgrounds")
    parser.add_argument("--to", metavar="FOLDER", type=Path, help="write to FOLDER/<name of the run>, not to RUN")


def evaluate(options: argparse.Namespace, runtime: Runtime) -> None:
    """Evaluate run after run, then print them side by side."""
    from leafdist.evaluation import headline, outside
    from leafdist.evaluation.assess import Request, assess_roots, check
    from leafdist.report import write as report
    from leafdist.tracking.add_evaluation import add_evaluation

    how = options.sure, tuple(options.outside)
    request = Request(options.split, options.data, options.groups, options.tta, options.to, *how)
    runtime.once(lambda: check(options.runs, request))
    if options.swap:
        from leafdist.evaluation.swap_scores import assess_swaps

        assess_swaps(options.runs, request, runtime)
        return
    by_root = {run: assess_roots(run, request, runtime) for run in options.runs}
    assessed = {run: roots[""] for run, roots in by_root.items()}
    evaluations = {run: found.evaluation for run, found in assessed.items()}
    if runtime.is_main:
        rows = [(run, name, found) for run, roots in by_root.items() for name, found in roots.items()]
        for run, _, found in rows:
            if not options.to and found.written:
                add_evaluation(run, found.evaluation.split, runtime.say)
        headline.show(
            {" on ".join(filter(None, (str(run), name))): one.evaluation for run, name, one in rows}, options.split
        )
        outside.show([found.refusal for _, _, found in rows if found.refusal])
        for run in (run for run, found in assessed.items() if found.written):
            report.attempt(run, runtime.say, options.to and request.folder(run))
    bare = runtime.once(lambda: [run for run in options.runs if not RunLayout(run).config.is_file()])
    if len({(one.data, str(one.unknown or {})) for one in evaluations.values()}) > 1:
        way = "" if options.data else ". --data ROOT names the same for all"
        runtime.say(f"not compared: the runs were evaluated on different photos, or know other classes of them{way}")
    elif not all(found.written for found in assessed.values()):
        runtime.say(
            "not compared: a run that may only be read cannot keep evaluations; --to FOLDER writes them elsewhere"
        )
    elif len(evaluations) > 1 and not options.to and bare:
        runtime.say(f"not compared: {bare[0]} has no config.yaml")
    elif len(evaluations) > 1 and not options.to:
        from leafdist.compare import compare, text

        split = evaluations[options.runs[0]].split
        runtime.once(lambda: text.show(compare.compare(options.runs, split, options.groups)))
