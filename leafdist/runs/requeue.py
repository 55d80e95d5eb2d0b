"""Whether a SLURM job is worth another start: asked by slurm/launch.sh, answered from the run folder.

python -m leafdist.runs.requeue start|end ARGUMENTS-OF-TRAIN.PY

Launchers lose exit statuses and a killed process has none, so the answer comes from run.json and the checkpoints.
`start` notes how far the run is and stops a job that was requeued twice without getting further; `end` says whether to
requeue. Status 0: yes, 1: no, with the reason.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leafdist.config.parse import parse_config
from leafdist.system import files

REQUEUES = 2  # without progress, before it is given up
WORTH = ("interrupted", "running")  # "running" after the end: killed without a word


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the status."""
    action, *rest = sys.argv[1:] if arguments is None else arguments
    config = parse_config(rest)
    folder = Path(config.run.folder) / str(config.run.name)
    try:
        if action == "start":
            yes, reason = start(folder)
        elif config.run.resume == "never":
            yes, reason = False, "run.resume=never: this run does not go on"
        else:
            yes, reason = end(folder, signalled=bool(os.environ.get("SIGNALLED")))
    except (OSError, ValueError) as error:
        yes, reason = False, str(error)
    print(f"leafdist: {reason}", flush=True)
    return 0 if yes else 1


def start(folder: Path) -> tuple[bool, str]:
    """Note where the run stands; no where this job stood here already at its last two starts."""
    job, step = os.environ.get("SLURM_JOB_ID", ""), newest_step(folder)
    starts = len(record(folder).get("starts", []))
    notes = [*read_notes(folder), {"job": job, "step": step, "starts": starts}]
    folder.mkdir(parents=True, exist_ok=True)
    files.write_text(folder / ".requeue.jsonl", "".join(json.dumps(note) + "\n" for note in notes))
    steps = [note["step"] for note in notes if note["job"] == job]
    if len(steps) > REQUEUES and set(steps[-REQUEUES - 1 :]) == {step}:
        return False, (
            f"{folder}: job {job} was requeued {REQUEUES} times and is still at step {step}. Given up: read the log, "
            "then submit it again"
        )
    return True, f"{folder} stands at step {step}, start {len(steps)} of job {job}"


def end(folder: Path, *, signalled: bool) -> tuple[bool, str]:
    """Yes where training was interrupted or killed, and where a signal came before it had begun."""
    now, notes = record(folder), read_notes(folder)
    state, reason = now.get("state", "new"), now.get("reason") or "no reason given"
    began = len(now.get("starts", [])) > (notes[-1]["starts"] if notes else 0)
    if not began:
        return signalled, f"{folder} had not begun to train, {'a signal came first' if signalled else 'see the log'}"
    if state in WORTH:
        return True, f"{folder} is {state if state == 'interrupted' else 'killed'} at step {newest_step(folder)}"
    return False, f"{folder} is {state} ({reason})" if state != "finished" else f"{folder} is finished"


def newest_step(folder: Path) -> int:
    """Of the checkpoints; 0 where there is none."""
    return max((int(path.name.split("-")[1]) for path in (folder / "last").glob("step-*")), default=0)


def record(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    return dict(files.read_json(path)) if path.exists() else {}


def read_notes(folder: Path) -> list[dict[str, Any]]:
    path = folder / ".requeue.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
