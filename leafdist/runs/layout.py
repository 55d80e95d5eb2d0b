"""Where each file of a run folder lies. Nothing else spells these names."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunLayout:
    """Paths in the run folder `path`; behind each, who writes it."""

    path: Path

    @property
    def config(self) -> Path:  # runs/folder.py
        return self.path / "config.yaml"

    @property
    def facts(self) -> Path:  # runs/folder.py
        return self.path / "run.json"

    @property
    def lock(self) -> Path:  # runs/folder.py
        return self.path / ".lock"

    @property
    def requeues(self) -> Path:  # runs/requeue.py
        return self.path / ".requeue.jsonl"

    @property
    def metrics(self) -> Path:  # tracking/run_tracker.py
        return self.path / "metrics.jsonl"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def best_model(self) -> Path:  # runs/checkpoint.py
        return self.best / "model.safetensors"

    @property
    def best_meta(self) -> Path:  # runs/checkpoint.py
        return self.best / "meta.json"

    @property
    def best_predictions(self) -> Path:  # training/trainer.py
        return self.best / "predictions-val.csv"

    @property
    def last(self) -> Path:  # runs/checkpoint.py
        return self.path / "last"

    @property
    def calibration(self) -> Path:  # evaluation/calibration.py
        return self.path / "calibration.json"

    def evaluation(self, name: str) -> Path:  # evaluation/assess.py
        return self.path / f"eval-{name}.json"

    def predictions(self, name: str) -> Path:  # evaluation/tables.py
        return self.path / f"predictions-{name}.csv"

    def probabilities(self, name: str) -> Path:  # evaluation/tables.py
        return self.path / f"probabilities-{name}.csv"

    def evaluated(self) -> list[str]:
        """Names of the evaluations that are there: `test`, `val`, `test@field`."""
        return sorted(path.stem.removeprefix("eval-") for path in self.path.glob("eval-*.json"))

    @property
    def set_aside(self) -> Path:  # data/open.py
        return self.path / "set-aside.json"

    @property
    def not_finite(self) -> Path:  # training/trainer.py
        return self.path / "not-finite.json"

    @property
    def report(self) -> Path:  # report/write.py
        return self.path / "report.html"

    @property
    def audit(self) -> Path:  # the user, with `leafdist audit --json`
        return self.path / "audit.json"

    @property
    def export(self) -> Path:  # export/export.py
        return self.path / "export"

    @property
    def wandb(self) -> Path:  # W&B
        return self.path / "wandb"

    @property
    def wandb_id(self) -> Path:  # runs/tracker.py
        return self.path / "wandb-id.txt"

    @property
    def wandb_sent(self) -> Path:  # tracking/weights_biases.py
        return self.path / "wandb-sent.json"

    @property
    def tensorboard(self) -> Path:  # tracking/tensorboard.py
        return self.path / "tensorboard"
