"""The name of each file of a run folder, and who writes it. No other module spells these names."""

import re
from pathlib import Path

from leafdist.system.console import command

FOUR_VIEWS, BY_LEAF = "+tta", "+leaves"  # how else a split was judged, at the end of an evaluation's name
UNVALIDATED = "-unvalidated"
GENERATION = re.compile(rf"step-([0-9]{{9,}})({UNVALIDATED})?")
UNSAVED = ".unsaved"  # lies in last/ from the first start to the first checkpoint


def generations(last: Path) -> list[Path]:
    """Return the checkpoints in last/, newest first; what else lies there is not ours."""
    return sorted((path for path in last.glob("step-*") if GENERATION.fullmatch(path.name)), key=recency, reverse=True)


def recency(path: Path) -> tuple[int, bool]:
    """Return the step of a checkpoint and whether its epoch was validated: what is greater is newer."""
    return step_of(path), not path.name.endswith(UNVALIDATED)


def step_of(path: Path) -> int:
    """The step of a checkpoint."""
    found = GENERATION.fullmatch(path.name)
    assert found
    return int(found[1])


class RunLayout:
    """Paths in the run folder `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"  # runs/saved_config.py
        self.facts = path / "run.json"  # runs/facts.py
        self.lock = path / ".lock"  # runs/folder.py
        self.requeues = path / ".requeue.jsonl"  # runs/requeue.py
        self.metrics = path / "metrics.jsonl"  # tracking/run_tracker.py
        self.best = path / "best"
        self.best_model = self.best / "model.safetensors"  # runs/checkpoint.py
        self.best_meta = self.best / "meta.json"  # runs/checkpoint.py
        self.best_predictions = self.best / "predictions-val.csv"  # training/checkpoint_writer.py
        self.last = path / "last"  # runs/checkpoint.py
        self.unsaved = self.last / UNSAVED  # runs/folder.py
        self.calibration = path / "calibration.json"  # runs/evaluations.py
        self.subspace = path / "refusal.safetensors"  # runs/evaluations.py
        self.set_aside = path / "set-aside.json"  # data/open.py
        self.not_finite = path / "not-finite.json"  # training/not_finite.py
        self.report = path / "report.html"  # report/write.py
        self.audit = path / "audit.json"  # the user, with `leafdist audit --json`
        self.export = path / "export"  # export/export.py
        self.wandb = path / "wandb"  # W&B
        self.wandb_id = path / "wandb-id.txt"  # runs/tracker.py
        self.wandb_sent = path / "wandb-sent.json"  # tracking/weights_biases.py
        self.tensorboard = path / "tensorboard"  # tracking/tensorboard.py

    def evaluation(self, name: str) -> Path:
        """The scores of an evaluation: of `test`, `test@field` or `test+tta`; runs/evaluations.py writes it."""
        return self.path / f"eval-{name}.json"

    def predictions(self, name: str) -> Path:
        """The answer on each photo; evaluation/tables.py writes it."""
        return self.path / f"predictions-{name}.csv"

    def probabilities(self, name: str) -> Path:
        """The probability of each class for each photo; evaluation/tables.py writes it."""
        return self.path / f"probabilities-{name}.csv"

    def outside(self, name: str) -> Path:
        """What refusing is worth on an evaluation's photos and on photos of no class; runs/evaluations.py writes it."""
        return self.path / f"outside-{name}.json"

    def swap(self, split: str) -> Path:
        """How much of the accuracy on a split is background; evaluation/swap_scores.py writes it."""
        return self.path / f"swap-{split}.json"

    def evaluated(self) -> list[str]:
        """Names of the evaluations that are there; one by leaf is of the answers of the plain one."""
        names = sorted(path.stem.removeprefix("eval-") for path in self.path.glob("eval-*.json"))
        return [name for name in names if not name.endswith(BY_LEAF)]


def split_of(name: str) -> str:
    """The split of an evaluation: `test` of `test@field+tta`."""
    return re.split("[@+]", name)[0]


def command_for(name: str, *runs: Path) -> str:
    """The command that makes an evaluation of this name, of all `runs`."""
    more = " --data ROOT" * ("@" in name) + " --tta" * name.endswith(FOUR_VIEWS)
    return command("python", "evaluate.py", *runs, "--split", split_of(name)) + more
