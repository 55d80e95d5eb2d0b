"""A run at Weights & Biases: offline by itself, one run after any number of starts, and what it shows at the end."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leafdist.system import files, signals
from leafdist.system.network import reason_of
from leafdist.tracking import wandb_client
from leafdist.tracking.charts import row_of, summary_of
from leafdist.tracking.showcase import Say, Showcase, show_best

if TYPE_CHECKING:
    from leafdist.tracking.wandb_client import Run

MODES = ("auto", "online", "offline", "off")
PRESETS = {"offline": "offline", "dryrun": "offline", "disabled": "off"}  # by WANDB_MODE or `wandb offline`
SLURM = ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "JOB_NAME", "JOB_PARTITION", "JOB_NODELIST", "RESTART_COUNT")


class WeightsAndBiases:
    """Sends what RunTracker writes. `about` is W&B's: name, config, project, entity, tags."""

    name = "W&B"

    def __init__(self, run_dir: Path, mode: str, about: dict[str, Any], showcase: Showcase, say: Say) -> None:
        if mode not in MODES:
            raise ValueError(f"track.wandb={mode!r} is not one of {', '.join(MODES)}")
        self._dir, self._mode, self._about, self._showcase, self._say = run_dir, mode, about, showcase, say
        self._sent = run_dir / "wandb-sent.json"
        self._run: Run | None = None

    def start(self, kept: list[dict[str, Any]], place: tuple[int, int]) -> None:
        """Rows since the last end that W&B saw are sent again: after a SIGKILL its own file may lack some, and values
        repeat equal.
        """
        self._last = {"epoch": place[0] - 1, "step": place[1]}
        with signals.blocked():  # or its helper process dies of the signal that asks us to stop
            self._run = start_wandb(self._dir, self._mode, self._say, self._about)
        sent = files.read_json(self._sent) if self._sent.exists() else {"epoch": -1, "step": 0}
        for event in kept:
            if (kind := event["event"]) in sent and event[kind] > sent[kind]:
                self.log(event)

    def log(self, event: dict[str, Any]) -> None:
        if (kind := event["event"]) in self._last:
            self._last[kind] = event[kind]
        if self._run and (row := row_of(event)):
            self._run.log(row)
        elif self._run and (aside := event.get("set_aside")):
            self._run.summary.update({f"set_aside/{split}": count for split, count in aside.items()})

    def close(self, exit_code: int, summary: dict[str, Any]) -> None:
        """After a training that went well, with what its best checkpoint shows."""
        if run := self._run:
            run.summary.update(summary_of(summary))
            if exit_code == 0:
                show_best(run, self._dir, self._last["step"], self._showcase, self._say)
            run.finish(exit_code=exit_code)
            self._run = None
            files.write_json(self._sent, self._last)

    def end(self) -> None:
        wandb_client.kill_service()

    def drop(self) -> None:
        self._run = None
        wandb_client.stop_service()


def start_wandb(run_dir: Path, asked: str, say: Say, about: dict[str, Any]) -> "Run | None":
    """Online where there is a key and an answer, else offline, with the command that uploads it later."""
    mode = PRESETS.get(wandb_client.wandb_settings().mode, "online") if asked == "auto" else asked
    if mode == "off":
        return None
    try:
        reason = wandb_client.offline_reason() if mode == "online" else "as asked"
        if not reason:
            return wandb_client.init_wandb(run_dir, "online", about)
    except Exception as error:  # noqa: BLE001  a malformed key, or a server that answers and refuses
        reason = reason_of(error)
        wandb_client.stop_service()  # it holds our id as in use
    run = wandb_client.init_wandb(run_dir, "offline", about)
    pieces = sorted(str(path) for path in (run_dir / "wandb").glob(f"offline-run-*-{run.id}"))
    say(f"W&B is offline ({reason}); to upload the run later: {shlex.join(['wandb', 'sync', *pieces])}")
    return run


def slurm_ids() -> dict[str, str]:
    """Of the job that this process is a part of: `{"job_id": "4711", …}`."""
    return {name.lower(): value for name in SLURM if (value := os.environ.get(f"SLURM_{name}"))}
