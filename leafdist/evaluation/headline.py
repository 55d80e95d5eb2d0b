"""What evaluate.py prints: the headline figures of runs, and what they mean."""

from collections.abc import Mapping

from leafdist.runs.results import Evaluation
from leafdist.system import console

FIGURES = ("95 % interval", "macro F1", "top 3", "loss", "ECE", "correct")


def show(evaluations: Mapping[str, Evaluation], split: str) -> None:
    """Print one row per run, and per further root of it, then the remarks, once where one holds for all runs."""
    rows = [[run, *row_of(found)] for run, found in evaluations.items()]
    console.table(["run", f"{split} accuracy", *FIGURES], rows)
    runs_by_remark: dict[str, list[str]] = {}
    for run, found in evaluations.items():
        for remark in remarks(found):
            runs_by_remark.setdefault(remark, []).append(run)
    for remark, runs in runs_by_remark.items():
        console.say(remark if len(runs) == len(evaluations) else f"{', '.join(runs)}: {remark}")


def row_of(evaluation: Evaluation) -> list[str]:
    """The headline figures as texts."""
    (low, high), calibration_error = evaluation.bounds, evaluation.calibration_error
    assert calibration_error is not None
    counts = f"{evaluation.correct} of {evaluation.images}"
    if evaluation.unreadable:
        counts += f"; {console.counted(evaluation.unreadable, 'unreadable photo')} counted as wrong"
    figures = (evaluation.macro_f1, evaluation.top3_accuracy, evaluation.loss, calibration_error)
    return [f"{evaluation.accuracy:.4f}", f"{low:.4f}-{high:.4f}", *(f"{value:.4f}" for value in figures), counts]


def remarks(evaluation: Evaluation) -> list[str]:
    """What the figures mean, one line each."""
    found = ["ECE: uncalibrated, val is not at hand"]
    if evaluation.calibration and evaluation.calibration.temperature:
        views = " from single views" if evaluation.tta else ""
        found = [f"ECE: at temperature {evaluation.calibration.temperature:.3f}, fitted on val{views}"]
    if evaluation.tta:
        found.append("--tta: means over four views, which help a run that was trained with flips and harm others")
    if evaluation.elsewhere:
        found.append(f"other photos than those of data.root: {evaluation.elsewhere}")
    if evaluation.unknown:
        unknown = ", ".join(f"{name} ({photos})" for name, photos in evaluation.unknown.items())
        found.append(f"left out, of classes that the run does not know: {unknown}")
    if evaluation.absent:
        found.append(f"classes of the run without a photo: {', '.join(evaluation.absent)}")
    if evaluation.leaf_disjoint.startswith("by") and not evaluation.interval_by_leaf:
        found.append("the interval counts photos: too narrow where a leaf has several. --groups FILE counts leaves")
    return [*found, f"leaves apart from those of training: {evaluation.leaf_disjoint}"]
