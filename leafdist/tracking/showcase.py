"""What W&B shows beside the curves: how the best checkpoint does, its worst mistakes, and itself."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leafdist.data.decode import Fit, decode
from leafdist.system import files
from leafdist.system.errors import UnreadablePhotoError
from leafdist.system.network import reason_of
from leafdist.tracking import wandb_client
from leafdist.tracking.findings import Findings

if TYPE_CHECKING:
    from leafdist.tracking.wandb_client import Run

SIDE = 224  # pixels of a photo in the gallery
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Showcase:
    """What is shown of the best checkpoint.

    name: of the photos that it answered; photos: the folder where they lie, absent: no pictures.
    """

    name: str = "val"
    tables: bool = False
    artifact: bool = False
    photos: Path | None = None
    fit: Fit = "stretch"


def show_best(run: "Run", run_dir: Path, step: int, showcase: Showcase, say: Say) -> None:
    """Of the best checkpoint: what it does on val, and itself."""
    best = run_dir / "best"
    if showcase.tables:
        with tolerant("tables", run_dir, say):
            show_findings(run, run_dir, best / "predictions-val.csv", step, showcase)
    if showcase.artifact:
        with tolerant("best checkpoint", run_dir, say):
            meta = files.read_json(best / "meta.json")
            config = meta.pop("config")
            aliases = ["best", run_dir.name.replace(":", "-")]
            paths = keep_for_upload(best, run_dir / "wandb" / f"model-{meta['sha256'][:12]}")
            wandb_client.log_model(run, paths, aliases, meta | {"model": config["model"]["name"]})


def show_findings(run: "Run", run_dir: Path, predictions: Path, step: int, showcase: Showcase) -> None:
    """Confusion, classes, reliability, and the most confident mistakes with their photos."""
    findings = Findings.read(predictions, files.read_json(run_dir / "best" / "meta.json")["classes"])
    with wandb_client.staging(run_dir):
        wandb_client.log_findings(run, showcase.name, step, findings)
        if pictures := list(gallery(findings, showcase)):
            wandb_client.log_gallery(run, f"{showcase.name}/mistakes", step, pictures)


def gallery(findings: Findings, showcase: Showcase) -> Iterator[tuple[Any, str]]:
    """Photos that are gone since, or live in a pack only, are left out."""
    if not showcase.photos:
        return
    for answer in findings.mistakes:
        with suppress(UnreadablePhotoError):
            text = f"{answer.label} taken for {answer.predicted} ({answer.confidence:.0%}): {answer.path}"
            yield decode(showcase.photos / answer.path, SIDE, showcase.fit), text


def keep_for_upload(best: Path, folder: Path) -> list[Path]:
    """Names of the checkpoint that stay when the next one replaces it; they cost no space until then."""
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
    """An extra that fails costs a line."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        say(f"warning: W&B lacks the {what} of {run_dir}: {reason_of(error)}")
