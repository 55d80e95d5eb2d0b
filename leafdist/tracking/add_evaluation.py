"""What `evaluate.py` found goes to the run at W&B that trained."""

from collections.abc import Iterator
from pathlib import Path

from leafdist.runs.events import EpochEvent, StepEvent
from leafdist.runs.layout import split_of
from leafdist.runs.record import RunRecord
from leafdist.runs.results import Evaluation
from leafdist.system.plain import to_plain
from leafdist.tracking.showcase import Say, Showcase, show_findings, tolerant
from leafdist.tracking.wandb_client import WandbRun
from leafdist.tracking.weights_biases import start_wandb

OVER = ("finished", "interrupted", "failed", "dead")


def add_evaluation(run_dir: Path, name: str, say: Say = print) -> None:
    """Send the figures of `eval-<name>.json`, confusion and mistakes to W&B as `<name>/…`; offline as one more piece.

    Only if the training was tracked and is over: until then its job reports to W&B. A failure costs one line.
    """
    with tolerant(f"evaluation on {name}", run_dir, say):
        record = RunRecord.open(run_dir)
        track, tracked = record.config.track, record.layout.wandb_id.exists()
        if track.wandb == "off" or not tracked or name not in record.evaluations or record.state not in OVER:
            return
        about = WandbRun(record.name, track.project, track.entity, tuple(track.tags))
        run = start_wandb(run_dir, track.wandb, say, about)
        if not run:
            return
        found = record.evaluations[name]
        run.summary.update({f"{name}/{key}": value for key, value in numbers(found)})
        if track.tables:
            step = max((event.step for event in record.events if isinstance(event, (StepEvent, EpochEvent))), default=0)
            photos = Path(found.elsewhere) if found.elsewhere else Path(found.root or "", split_of(found.split))
            shown = Showcase(name=name, photos=photos, fit=record.config.data.fit)
            show_findings(run, run_dir, record.layout.predictions(name), step, shown)
        run.finish(exit_code=int(record.state != "finished"))


def numbers(found: Evaluation) -> Iterator[tuple[str, float]]:
    """Yield the figures of an evaluation, without those of single classes and crops."""
    values = to_plain(found)
    healthy = {f"healthy_{name}": value for name, value in (values["healthy"] or {}).items()}
    for name, value in (values | (values["calibration"] or {}) | healthy | {"loss": found.loss}).items():
        if "interval" in name and value:
            yield from {f"{name}_low": value[0], f"{name}_high": value[1]}.items()
        elif isinstance(value, (int, float)):  # tta: yes or no
            yield name, value
