"""A run at Weights & Biases: offline by itself, one run after any number of starts, and what it shows at the end."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from leafdist.runs.events import EpochEvent, Event, StartEvent, StepEvent
from leafdist.runs.facts import RunResult
from leafdist.runs.layout import RunLayout
from leafdist.system import console, files, plain, signals
from leafdist.system.network import reason_of
from leafdist.tracking import wandb_client
from leafdist.tracking.charts import row_of, summary_of
from leafdist.tracking.showcase import Say, Showcase, show_best
from leafdist.tracking.wandb_client import WandbRun

if TYPE_CHECKING:
    from leafdist.tracking.wandb_client import Run

PRESETS = {"offline": "offline", "dryrun": "offline", "disabled": "off"}  # by WANDB_MODE or `wandb offline`
SLURM = ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "JOB_NAME", "JOB_PARTITION", "JOB_NODELIST", "RESTART_COUNT")


@dataclass(frozen=True)
class Sent:
    """wandb-sent.json: the last epoch and step that W&B saw when the run was closed."""

    epoch: int = -1
    step: int = 0

    def has(self, event: Event) -> bool:
        """Return whether W&B saw this event, or does not chart it."""
        if isinstance(event, StepEvent):
            return event.step <= self.step
        return not isinstance(event, EpochEvent) or event.epoch <= self.epoch

    def after(self, event: Event) -> "Sent":
        """Return what is sent once this event is."""
        if isinstance(event, StepEvent):
            return replace(self, step=event.step)
        return replace(self, epoch=event.epoch) if isinstance(event, EpochEvent) else self


class WeightsAndBiases:
    """Sends to W&B what RunTracker writes."""

    name = "W&B"

    def __init__(self, run_dir: Path, mode: str, about: WandbRun, showcase: Showcase, say: Say = print) -> None:
        self._dir, self._mode, self._about, self._showcase, self._say = run_dir, mode, about, showcase, say
        self._file = RunLayout(run_dir).wandb_sent
        self._last = Sent()
        self._run: Run | None = None

    def start(self, kept: list[Event], position: tuple[int, int]) -> None:
        """Send again what W&B may lack: after a SIGKILL its own file may end early. Repeated values are equal."""
        self._last = Sent(position[0] - 1, position[1])
        with signals.blocked():  # or its helper process dies of the signal that asks us to stop
            self._run = start_wandb(self._dir, self._mode, self._say, self._about)
        sent = plain.read(Sent, self._file) if self._file.exists() else Sent()
        for event in kept:
            if not sent.has(event):
                self.log(event)

    def log(self, event: Event) -> None:
        """Send the numbers of a step or epoch, and of a start how many photos were set aside."""
        self._last = self._last.after(event)
        if self._run and (row := row_of(event)):
            self._run.log(row)
        elif self._run and isinstance(event, StartEvent) and event.set_aside:
            self._run.summary.update({f"set_aside/{split}": count for split, count in event.set_aside.items()})

    def close(self, exit_code: int, result: RunResult | None) -> None:
        """Send the result and, after a training that went well, what its best checkpoint shows."""
        if run := self._run:
            run.summary.update(summary_of(result))
            if exit_code == 0:
                show_best(run, self._dir, self._last.step, self._showcase, self._say)
            run.finish(exit_code=exit_code)
            self._run = None
            files.write_json(self._file, plain.to_plain(self._last))

    def end(self) -> None:
        """Kill W&B's helper process."""
        wandb_client.kill_service()

    def drop(self) -> None:
        """Release what an error left open."""
        self._run = None
        wandb_client.stop_service()


def start_wandb(run_dir: Path, asked: str, say: Say, about: WandbRun) -> "Run | None":
    """Start online if there are a key and an answer, else offline, with the command that uploads it; None if off."""
    if asked == "off":
        return None
    preset = wandb_client.wandb_settings().mode
    mode = PRESETS.get(preset, "online") if asked == "auto" else asked
    if mode == "off":
        return None
    try:
        reason = wandb_client.offline_reason() if mode == "online" else "as asked"
        if not reason:
            return wandb_client.init_wandb(run_dir, "online", about)
    except Exception as error:  # noqa: BLE001  a malformed key, or a server that answers and refuses
        reason = reason_of(error)
        wandb_client.stop_service()  # it holds our id as in use
    try:
        run = wandb_client.init_wandb(run_dir, "offline", about)
    except Exception as error:
        names = ", ".join(wandb_client.variables())
        raise RuntimeError(f"{reason_of(error)} Variables that W&B reads: {names or 'none'}") from error
    say(f"W&B is offline ({reason}); to upload the run later: {console.command('leafdist', 'sync', run_dir)}")
    return run


def slurm_ids() -> dict[str, str]:
    """Return the ids of this process's Slurm job, such as `{"job_id": "4711"}`; empty outside of one."""
    return {name.lower(): value for name in SLURM if (value := os.environ.get(f"SLURM_{name}"))}
