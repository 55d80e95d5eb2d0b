"""Exact accuracy of the best checkpoint of one or several runs; the same files for any number of processes.

python evaluate.py runs/resnet50
python evaluate.py runs/baseline runs/resnet50 --split val
accelerate launch --multi_gpu --num_processes 4 evaluate.py runs/resnet50 --data /scratch/splitted
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leafdist import files

if TYPE_CHECKING:
    from leafdist.runtime import Runtime


def main() -> int:
    """Returns the exit status: 0, 2 for wrong input, 1 for anything else."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run folder, such as runs/resnet50")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="default: test")
    parser.add_argument("--data", metavar="ROOT", help="where the split folders lie now (default: as in training)")
    parser.add_argument("--groups", metavar="FILE", type=Path, help="leaf ids (class, stem, leaf_id): interval by leaf")
    options = parser.parse_args()
    from leafdist.job import run  # torch: imported once the command line is known to be right

    return run(lambda runtime: evaluate_all(options, runtime), precision="no", timeout_minutes=10, deterministic=False)


def evaluate_all(options: argparse.Namespace, runtime: Runtime) -> None:
    """Evaluate run after run, then print them side by side."""
    results = {run: evaluate_run(run, options, runtime) for run in options.runs}
    width = max(len(str(run)) for run in results)
    runtime.say(f"{'run':{width}}  {options.split} accuracy  95 % interval     loss  correct")
    for run, result in results.items():
        low, high = result.get("interval_by_leaf", result["interval"])
        counts = f"{result['correct']} of {result['images']}"
        counts += f", {result['unreadable']} unreadable ones counted as wrong" if result["unreadable"] else ""
        rate = f"{result['accuracy']:13.4f}  {low:.4f}-{high:.4f}"
        runtime.say(f"{run!s:{width}}  {rate}  {result['loss']:7.4f}  {counts}")
    runtime.say(f"leaves apart from those of training: {result['leaf_disjoint']}")


def evaluate_run(run: Path, options: argparse.Namespace, runtime: Runtime) -> dict[str, Any]:
    """Writes `eval-<split>.json` and `predictions-<split>.csv` into the run folder; returns the first one's content."""
    from leafdist import setup, sources
    from leafdist.evaluation import evaluate, write_predictions
    from leafdist.intervals import by_leaf

    split = options.split
    config, model, classes = setup.load_run(run, runtime, options.data)
    loader = sources.open_loaders(config.data, (split,), runtime, classes)[split]
    augment = setup.augmentation(config.data).for_evaluation()
    precision, seed = config.train.precision, setup.crop_seed(config)
    predictions = evaluate(model, loader, augment, runtime, precision=precision, random_crop_seed=seed)
    index = loader.source.index
    result = predictions.summary(split, index.classes) | {"data": index.digest} | sources.origin(index)
    if options.groups:
        leaves = runtime.agree(lambda: sources.leaves_of(index, options.groups))
        result["interval_by_leaf"] = by_leaf(predictions.hits, leaves)

    def write() -> None:
        write_predictions(run / f"predictions-{split}.csv", index, predictions)
        files.write_json(run / f"eval-{split}.json", result)

    runtime.agree(write)
    return result


if __name__ == "__main__":
    sys.exit(main())
