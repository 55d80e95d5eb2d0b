"""What W&B shows beside the curves: how the best checkpoint does, its worst mistakes, and itself."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leafdist.data.decode import Fit, decode
from leafdist.runs.facts import read_facts
from leafdist.runs.header import read_meta
from leafdist.runs.layout import RunLayout
from leafdist.system.errors import UnreadablePhotoError
from leafdist.system.network import reason_of
from leafdist.system.plain import to_plain
from leafdist.tracking import wandb_client
from leafdist.tracking.findings import Findings

if TYPE_CHECKING:
    from leafdist.tracking.wandb_client import Run

SIDE = 224  # pixels of a photo in the gallery
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Showcase:
    """What to show. name: the evaluation, such as val; photos: the folder of its photos, None: no pictures."""

    name: str = "val"
    tables: bool = False
    artifact: bool = False
    photos: Path | None = None
    fit: Fit = "stretch"


def show_best(run: "Run", run_dir: Path, step: int, showcase: Showcase, say: Say) -> None:
    """Show how the best checkpoint does on val, and upload it."""
    layout, meta = RunLayout(run_dir), read_meta(run_dir)
    if showcase.tables:
        with tolerant("tables", run_dir, say):
            show_findings(run, run_dir, layout.best_predictions, step, showcase)
    if showcase.artifact:
        with tolerant("best checkpoint", run_dir, say):
            assert meta, "a training that went well has a best checkpoint"
            aliases = ["best", run_dir.name.replace(":", "-")]
            paths = keep_for_upload(layout.best, layout.wandb / f"model-{meta.sha256[:12]}")
            about = {key: value for key, value in to_plain(meta).items() if key != "config"}
            wandb_client.log_model(run, paths, aliases, about | {"model": meta.config.model.name})


def show_findings(run: "Run", run_dir: Path, predictions: Path, step: int, showcase: Showcase) -> None:
    """Show the confusion of the classes, and the most confident mistakes with their photos."""
    findings = Findings.read(predictions, read_facts(run_dir).classes)
    with wandb_client.staging(run_dir):
        wandb_client.log_confusion(run, showcase.name, step, findings)
        if pictures := list(gallery(findings, showcase)):
            wandb_client.log_gallery(run, f"{showcase.name}/mistakes", step, pictures)


def gallery(findings: Findings, showcase: Showcase) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """Yield photos (h,w,3) and captions; photos that are gone, or exist in a pack only, are left out."""
    if not showcase.photos:
        return
    for answer in findings.mistakes:
        with suppress(UnreadablePhotoError):
            text = f"{answer.label} taken for {answer.predicted} ({answer.confidence:.0%}): {answer.path}"
            yield decode(showcase.photos / answer.path, SIDE, showcase.fit), text


def keep_for_upload(best: Path, folder: Path) -> list[Path]:
    """Link the checkpoint into `folder`, so that it outlives its successor; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder.resolve() / name for name in ("model.safetensors", "meta.json")]
    for path in paths:
        path.unlink(missing_ok=True)
        try:
            path.hardlink_to(best / path.name)
        except OSError:  # a file system without such links
            shutil.copyfile(best / path.name, path)
    return paths


@contextmanager
def tolerant(what: str, run_dir: Path, say: Say) -> Iterator[None]:
    """Turn a failure of what is shown into one line."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        say(f"warning: W&B lacks the {what} of {run_dir}: {reason_of(error)}")
