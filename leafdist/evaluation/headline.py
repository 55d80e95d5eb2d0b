"""What evaluate.py prints: the headline figures of runs, and what these can mean."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leafdist.system import console

FIGURES = ("95 % interval", "macro F1", "top 3", "loss", "ECE", "correct")


def show(results: Mapping[Path, dict[str, Any]], split: str) -> None:
    """A row a run, then what the figures mean, once where it holds for all."""
    console.table(
        ["run", f"{split} accuracy", *FIGURES], [[str(run), *row_of(found)] for run, found in results.items()]
    )
    told = {run: remarks(found) for run, found in results.items()}
    for remark in dict.fromkeys(line for lines in told.values() for line in lines):
        whose = [str(run) for run, lines in told.items() if remark in lines]
        console.say(remark if len(whose) == len(told) else f"{', '.join(whose)}: {remark}")


def row_of(result: dict[str, Any]) -> list[str]:
    """The headline figures."""
    low, high = result.get("interval_by_leaf", result["interval"])
    calibration = result["calibration"]
    ece = calibration.get("ece_calibrated", calibration["ece"])
    counts = f"{result['correct']} of {result['images']}"
    counts += f", {result['unreadable']} unreadable ones counted as wrong" if result["unreadable"] else ""
    shares = (f"{value:.4f}" for value in (result["macro_f1"], result["top3_accuracy"], result["loss"], ece))
    return [f"{result['accuracy']:.4f}", f"{low:.4f}-{high:.4f}", *shares, counts]


def remarks(result: dict[str, Any]) -> list[str]:
    """What the figures mean."""
    fitted = result["calibration"]["temperature"]
    views = " from single views" if result["tta"] else ""
    found = [
        f"ECE: {f'at temperature {fitted:.3f}, fitted on val{views}' if fitted else 'uncalibrated, val is not at hand'}"
    ]
    found += ["--tta: means over four views, which help a run that was trained with flips and harm others"] * result[
        "tta"
    ]
    if "elsewhere" in result:
        unknown = ", ".join(f"{name} ({photos})" for name, photos in result["unknown"].items())
        absent = ", ".join(result["absent"])
        found += [f"other photos than the run's: {result['elsewhere']}"]
        found += [f"left out, of classes that the run does not know: {unknown}"] if unknown else []
        found += [f"classes of the run without a photo: {absent}"] if absent else []
    return [*found, f"leaves apart from those of training: {result['leaf_disjoint']}"]
