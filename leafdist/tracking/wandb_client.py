"""The one place that knows the wandb package: a silent run with our id, its charts and its artifact."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from leafdist.runs.tracker import wandb_id
from leafdist.system.network import unreachable
from leafdist.tracking.findings import Findings

if TYPE_CHECKING:
    from wandb import Run as Run  # noqa: PLC0414  for those that hold one
    from wandb import Settings

UPLOAD_SECONDS = 120.0  # for a checkpoint; what takes longer is left to `leafdist sync`
CELLS = 10_000  # rows that W&B shows of a table


def offline_reason() -> str | None:
    """Why W&B cannot be online: no key, or no answer from its server. Asks nobody at the keyboard."""
    from wandb.sdk.lib import wbauth

    url = wandb_settings().base_url
    key = wbauth.authenticate_session(host=url, source="leafdist", prompt=False, update_session=False)
    return unreachable(url) if key else f"no API key for {url}: set WANDB_API_KEY or run `wandb login`"


def wandb_settings() -> "Settings":
    """From its files and the environment; wandb.setup() would start the helper process for it."""
    from wandb.sdk import wandb_setup

    return wandb_setup.singleton().settings


def init_wandb(run_dir: Path, mode: Literal["online", "offline"], about: dict[str, Any]) -> "Run":
    """One piece of the run with our id, silent, with our own step as its axis, and system metrics."""
    import wandb

    settings = wandb.Settings(silent=True, console="off", save_code=False, disable_code=True, disable_git=True)
    settings.init_timeout, settings.finish_timeout, settings.finish_timeout_raises = 30, 20, True
    wandb.setup(settings=wandb.Settings(silent=True, mode=mode))  # or the login speaks before init is silent
    about = {"id": wandb_id(run_dir), "resume": "allow", "reinit": "create_new", **about}
    run = wandb.init(dir=str(run_dir), mode=mode, settings=settings, **about)
    run.define_metric("step")  # W&B's own step counts calls and goes wrong after a resume
    run.define_metric("*", step_metric="step")
    run.define_metric("val/accuracy", step_metric="step", summary="max")
    run.define_metric("val/loss", step_metric="step", summary="min")
    return run


def stop_service() -> None:
    """Let go of a wandb that failed; its teardown raises, and may exit, when its helper process is dead."""
    import wandb

    with suppress(Exception, SystemExit):
        wandb.teardown()


def kill_service() -> None:
    """End a helper process that hangs: whoever waits for it gets an error."""
    from wandb.sdk import wandb_setup

    helper = wandb_setup.singleton().assert_service()._proc
    if helper:  # ours, not that of a process around this one
        helper._process.kill()


def log_findings(run: "Run", split: str, step: int, findings: Findings) -> None:
    """Tables and charts under `<split>/`, as one row at `step`."""
    import wandb

    columns = ["images", "correct", "accuracy", "precision", "f1"]
    rows = [[name, *(row[column] for column in columns)] for name, row in findings.per_class.items()]
    classes = wandb.Table(["class", *columns], rows)
    reliable = wandb.Table([*findings.bins[0]], [[*row.values()] for row in findings.bins])
    title = f"{split}: how often right, by confidence"
    charts = {
        "classes": classes,
        "confusion": confusion_chart(split, findings),
        "reliability": wandb.plot.line(reliable, "confidence", "accuracy", title=title),
    }
    run.log({"step": step, **{f"{split}/{name}": chart for name, chart in charts.items()}})


def confusion_chart(split: str, findings: Findings) -> Any:
    """W&B's own chart of a matrix; of very many classes the cells that are not zero."""
    import wandb

    counts, names = findings.confusion, findings.classes
    places = np.argwhere(counts >= (counts.size > CELLS))
    cells = [[names[label], names[answer], int(counts[label, answer])] for label, answer in places[:CELLS]]
    fields: list[str | int] = ["Actual", "Predicted", "nPredictions"]
    table = wandb.Table(fields, cells)
    titles = {"title": f"{split}: classes and answers"}
    return wandb.plot_table("wandb/confusion_matrix/v1", table, {str(name): str(name) for name in fields}, titles)


def log_gallery(run: "Run", key: str, step: int, pictures: Sequence[tuple[NDArray[np.uint8], str]]) -> None:
    """Pictures (h,w,3) with what is written below them."""
    import wandb

    images = [wandb.Image(pixels, caption=text, file_type="jpg") for pixels, text in pictures]
    run.log({"step": step, key: images})


def log_model(run: "Run", paths: Sequence[Path], aliases: list[str], metadata: dict[str, Any]) -> None:
    """The files as an artifact `model-<id>`. They must stay as they are until they are uploaded. Raises."""
    import wandb

    artifact = wandb.Artifact(f"model-{run.id}", "model", metadata=metadata)
    for path in paths:  # immutable, skip_cache: no copies below $HOME, which on a cluster has no room for them
        artifact.add_file(str(path), policy="immutable", skip_cache=True)
    logged = run.log_artifact(artifact, aliases=aliases)
    if not run.offline:
        logged.wait(timeout=int(UPLOAD_SECONDS))


@contextmanager
def staging(run_dir: Path) -> Iterator[None]:
    """What waits for an upload lies in the run folder, where `leafdist sync` on another node finds it, not in $HOME.

    wandb's own temporary folder may have been swept away since its import, days ago.
    """
    from wandb.sdk.data_types import _private

    Path(_private.MEDIA_TMP.name).mkdir(parents=True, exist_ok=True)
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(run_dir.resolve() / "wandb" / "data")
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]
