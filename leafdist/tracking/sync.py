"""`leafdist sync`: upload what W&B could not send while a run trained."""

import subprocess
import sys
from pathlib import Path

from leafdist.runs.layout import RunLayout
from leafdist.runs.tracker import wandb_id
from leafdist.system import console
from leafdist.tracking.wandb_client import offline_reason


def sync(runs: list[Path]) -> int:
    """Upload the pieces of each run, oldest first; return wandb's exit status, 0 if all went well.

    Raises ValueError if a run has nothing to upload, or if `wandb sync` would ask for a key or hang.
    """
    found = {run: pieces(run) for run in runs}
    if reason := offline_reason():
        raise ValueError(f"{reason}. Run this where there is a network; nothing was changed")
    status = 0
    for run, paths in found.items():
        command = ["wandb", "sync", "--include-online", "--id", wandb_id(run), *map(str, paths)]
        console.say(f"{run}: {console.command(*command)}")
        done = subprocess.run([sys.executable, "-m", *command], check=False, stdin=subprocess.DEVNULL)
        status = status or done.returncode
    return status


def pieces(run: Path) -> list[Path]:
    """Return one folder per start of the run, oldest first. Raises ValueError without any."""
    wandb = RunLayout(run).wandb
    kinds = ("run", "offline-run") if wandb.is_dir() else ()  # an id is drawn only for a run that was tracked
    ends = (wandb_id(run), f"{wandb_id(run)}-[0-9]*") if kinds else ()  # W&B numbers those that began in one second
    folders = [path for kind in kinds for end in ends for path in wandb.glob(f"{kind}-*-{end}")]
    if not folders:
        raise ValueError(f"{run} holds no W&B data. Name run folders such as runs/resnet50")
    return sorted(folders, key=lambda path: path.name.removeprefix("offline-"))
