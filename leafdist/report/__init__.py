"""`report.html` of a run folder: one file for people, made of what train.py and evaluate.py have written."""

from pathlib import Path

from leafdist import files
from leafdist.report.facts import Facts
from leafdist.report.page import single
from leafdist.runtime import Runtime


def write(run: Path) -> Path:
    """Raises ValueError where the folder is no run or something in it is damaged."""
    target = run / "report.html"
    files.write_text(target, single(Facts(run)))
    return target


def attempt(run: Path, runtime: Runtime) -> None:
    """`write`, by rank 0, after work that stands whatever becomes of its report."""
    if not runtime.is_main:
        return
    try:
        runtime.say(f"report: {write(run)}")
    except Exception as error:  # noqa: BLE001  a missing photo, a full disk: never the end of what it tells of
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        runtime.say(f"warning: no report ({reason}). leafdist report {run} tries again")
