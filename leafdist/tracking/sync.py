"""`leafdist sync`: upload what W&B could not send while a run trained."""

import subprocess
import sys
from pathlib import Path

from leafdist.runs.tracker import wandb_id
from leafdist.tracking.wandb_client import offline_reason


def sync(runs: list[Path]) -> int:
    """Upload the pieces of each run, oldest first, as one run; returns wandb's exit status, 0 where all went well.

    Raises ValueError where a run has nothing to upload, or where `wandb sync` would ask for a key or hang.
    """
    found = {run: pieces(run) for run in runs}
    if reason := offline_reason():
        raise ValueError(f"{reason}. Run this where there is a network; nothing was changed")
    status = 0
    for run, paths in found.items():
        command = ["wandb", "sync", "--include-online", "--id", wandb_id(run), *map(str, paths)]
        print(f"{run}: {' '.join(command)}", flush=True)
        done = subprocess.run([sys.executable, "-m", *command], check=False, stdin=subprocess.DEVNULL)
        status = status or done.returncode
    return status


def pieces(run: Path) -> list[Path]:
    """One folder a start of the run, in the order of time."""
    if not (run / "wandb").is_dir():
        raise ValueError(f"{run} holds no W&B data. Name run folders such as runs/resnet50")
    folders = [path for kind in ("run", "offline-run") for path in (run / "wandb").glob(f"{kind}-*-{wandb_id(run)}")]
    if not folders:
        raise ValueError(f"{run} holds no W&B data. Name run folders such as runs/resnet50")
    return sorted(folders, key=lambda path: path.name.removeprefix("offline-"))
