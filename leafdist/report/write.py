"""`report.html` of a run folder: one file for people, made of what train.py and evaluate.py have written."""

from collections.abc import Callable
from pathlib import Path

from leafdist.runs.layout import RunLayout
from leafdist.system import files
from leafdist.system.console import command


def write(run: Path, other: Path | None = None, *, to: Path | None = None) -> Path:
    """Write the page of a run, or with `other` of both, into its folder or `to`; returns its path.

    What evaluate.py wrote to `to` is what the page of a run shows. Raises ValueError for a damaged run.
    """
    from leafdist.report.contents import Contents  # noqa: PLC0415 - with SciPy, 0.7 s that a training starts without
    from leafdist.report.page import single  # noqa: PLC0415
    from leafdist.report.two_runs import double  # noqa: PLC0415

    if other is None:
        results = to if to and RunLayout(to).evaluated() else run
        target, text = RunLayout(to or run).report, single(Contents(run, results))
    else:
        target, text = (to or run) / f"report-{other.resolve().name}.html", double((Contents(run), Contents(other)))
    files.write_text(target, text)
    return target


def attempt(run: Path, say: Callable[[str], None], to: Path | None = None) -> None:
    """Write the page after work that stands whatever becomes of its report; a failure is a warning."""
    try:
        say(f"report: {write(run, to=to)}")
    except Exception as error:  # noqa: BLE001 - a missing photo, a full disk: never the end of the work that it reports
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        again = command("leafdist", "report", run)
        say(f"warning: no report ({reason}). {again} tries again; add --to FOLDER to write it elsewhere")
