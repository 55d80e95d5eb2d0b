"""train, evaluate: what the scripts of these names do."""

import argparse
from typing import Any

from leafdist.jobs.evaluate_job import ABOUT, EXAMPLES, add_arguments, evaluate_runs
from leafdist.system import signals


def add(commands: Any) -> None:
    """Add the parsers of `train` and `evaluate`."""
    train = commands.add_parser(
        "train",
        help="train a classifier, as train.py does",
        add_help=False,  # train.py's own help has all settings
        examples=("leafdist train --config configs/baseline.yaml", "leafdist train --data.root splitted --help"),
    )
    train.set_defaults(takes_settings=True, run=run_train)
    examples = [line.format("leafdist evaluate").replace("evaluate.py", "-m leafdist evaluate") for line in EXAMPLES]
    evaluate = commands.add_parser(
        "evaluate", help="judge the best checkpoint of runs, as evaluate.py does", description=ABOUT, examples=examples
    )
    add_arguments(evaluate)
    evaluate.set_defaults(run=evaluate_runs)


def run_train(options: argparse.Namespace) -> int:
    """Train; return the exit status of train.py."""
    from leafdist.jobs.train_job import main

    if options.own_program:
        signals.ignore()  # outside `main`: see train.py
    return main(options.settings, "leafdist train")
