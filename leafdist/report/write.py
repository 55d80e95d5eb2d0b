"""`report.html` of a run folder: one file for people, made of what train.py and evaluate.py have written."""

from pathlib import Path

from leafdist.distributed.runtime import Runtime
from leafdist.system import files


def write(run: Path, other: Path | None = None) -> Path:
    """With `other`, a page of both, beside that of `run`. Raises ValueError where one is no run or is damaged."""
    from leafdist.report.contents import Facts  # noqa: PLC0415 - with SciPy, 0.7 s that a training starts without
    from leafdist.report.page import single  # noqa: PLC0415
    from leafdist.report.two_runs import double  # noqa: PLC0415

    if other is None:
        target, text = run / "report.html", single(Facts(run))
    else:
        target, text = run / f"report-{other.resolve().name}.html", double((Facts(run), Facts(other)))
    files.write_text(target, text)
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
