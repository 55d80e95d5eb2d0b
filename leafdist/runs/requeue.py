"""Whether a SLURM job is worth another start: asked by slurm/launch.sh, answered from the run folder.

python -m leafdist.runs.requeue start|end|folder ARGUMENTS-OF-TRAIN.PY

Launchers lose exit statuses and a killed process has none, so the answer comes from run.json and the checkpoints.
`start` notes how far the run is and stops a job that was requeued twice without progress; `end` says whether to
requeue. Status 0: yes, 1: no, with the reason. `folder` prints which folder the run has.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leafdist.config.parse import parse_config
from leafdist.runs.facts import read_facts
from leafdist.runs.layout import RunLayout, generations, step_of
from leafdist.system import console, files, streams
from leafdist.system.plain import from_plain, to_plain

REQUEUES = 2  # without progress, before the job is given up
WORTH = ("interrupted", "running")  # "running" after the end: killed without a word


@dataclass(frozen=True)
class Note:
    """A start of a SLURM job: the newest checkpoint's step and how many starts run.json counted then."""

    job: str
    step: int
    starts: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer `start`, `end` or `folder`; return the exit status."""
    streams.outlive()
    action, *rest = sys.argv[1:] if arguments is None else arguments
    config = parse_config(rest)
    folder = Path(config.run.folder) / str(config.run.name)
    if action == "folder":
        console.output(str(folder))
        return 0
    try:
        if action == "start":
            yes, reason = start(folder)
        elif config.run.resume == "never":
            yes, reason = False, "run.resume=never: this run is not resumed"
        else:
            yes, reason = end(folder, signalled=bool(os.environ.get("SIGNALLED")))
    except (OSError, ValueError) as error:
        yes, reason = False, str(error)
    console.say(f"leafdist: {reason}")
    return 0 if yes else 1


def start(folder: Path) -> tuple[bool, str]:
    """Record the step. False if the last two starts of this job were at the same one: no training or, of a run that
    is finished, no evaluation gets anywhere.
    """
    job, step, facts = os.environ.get("SLURM_JOB_ID", ""), newest_step(folder), read_facts(folder)
    notes = [*read_notes(folder), Note(job, step, len(facts.starts))]
    lines = "".join(json.dumps(to_plain(note)) + "\n" for note in notes)
    files.write_text(RunLayout(folder).requeues, lines)
    steps = [note.step for note in notes if note.job == job]
    if len(steps) > REQUEUES and set(steps[-REQUEUES - 1 :]) == {step}:
        evaluates = facts.state == "finished"
        way = "evaluate it in a job with a longer --time" if evaluates else "submit it again"
        where = "finished and not evaluated" if evaluates else f"at step {step}"
        said = f"{folder}: job {job} was requeued {REQUEUES} times and is still {where}"
        return False, f"{said}. Given up: read the log, then {way}"
    return True, f"{folder} is at step {step}, start {len(steps)} of job {job}"


def end(folder: Path, *, signalled: bool) -> tuple[bool, str]:
    """Return True if training was interrupted or killed, or if a signal came before it began."""
    facts, notes = read_facts(folder), read_notes(folder)
    if len(facts.starts) <= (notes[-1].starts if notes else 0):
        return signalled, f"{folder} had not begun to train, {'a signal came first' if signalled else 'see the log'}"
    if facts.state in WORTH:
        state = "interrupted" if facts.state == "interrupted" else "killed"
        return True, f"{folder} was {state} at step {newest_step(folder)}"
    if facts.state == "finished":
        return False, f"{folder} is finished"
    return False, f"{folder} is {facts.state} ({facts.reason or 'no reason given'})"


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint; 0 without one."""
    return max(map(step_of, generations(RunLayout(folder).last)), default=0)


def read_notes(folder: Path) -> list[Note]:
    """Read the starts that were noted."""
    path = RunLayout(folder).requeues
    return [from_plain(Note, values, path) for values in files.read_json_lines(path)]


if __name__ == "__main__":
    sys.exit(main())
