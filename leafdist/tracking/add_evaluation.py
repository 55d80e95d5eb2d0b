"""What `evaluate.py` found goes to the run at W&B that trained."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leafdist.runs.record import RunRecord
from leafdist.tracking.showcase import Say, Showcase, show_findings, tolerant
from leafdist.tracking.weights_biases import start_wandb

OVER = ("finished", "interrupted", "failed", "dead")


def add_evaluation(run_dir: Path, name: str, say: Say = print) -> None:
    """Figures of `eval-<name>.json` to its summary, and tables, as `<name>/…`; offline as one more piece.

    Only where a training was tracked, and is over: until then that job speaks for it. Whatever fails costs a line.
    """
    with tolerant(f"evaluation on {name}", run_dir, say):
        record = RunRecord.open(run_dir)
        track, tracked = record.config.track, (run_dir / "wandb-id.txt").exists()
        if track.wandb == "off" or not tracked or record.state not in OVER:
            return
        about = {"name": record.name, "project": track.project, "entity": track.entity, "tags": list(track.tags)}
        run = start_wandb(run_dir, track.wandb, say, about)
        if not run:
            return
        result = record.evaluations[name]
        run.summary.update({f"{name}/{key}": value for key, value in numbers(result)})
        if track.tables:
            step = max((event["step"] for event in [*record.steps, *record.epochs]), default=0)
            photos = Path(result.get("elsewhere") or Path(result["root"], result["split"]))
            shown = Showcase(name=name, photos=photos, fit=record.config.data.fit)
            show_findings(run, run_dir, run_dir / f"predictions-{name}.csv", step, shown)
        run.finish(exit_code=int(record.state != "finished"))


def numbers(result: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures of `eval-<split>.json`, without those of single classes and crops."""
    healthy = {f"healthy_{name}": value for name, value in (result.get("healthy") or {}).items()}
    for name, value in (result | result["calibration"] | healthy | {"loss": result["loss"]}).items():
        if "interval" in name:
            yield from {f"{name}_low": value[0], f"{name}_high": value[1]}.items()
        elif isinstance(value, (int, float)):  # tta: yes or no
            yield name, value
