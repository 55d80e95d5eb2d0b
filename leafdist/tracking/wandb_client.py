"""All that calls the wandb package: a silent run with our id, its charts and its artifact."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from leafdist.runs.layout import RunLayout
from leafdist.runs.tracker import wandb_id
from leafdist.system.network import reason_of, unreachable
from leafdist.tracking.findings import Findings

if TYPE_CHECKING:
    from wandb import Run as Run  # noqa: PLC0414  for those that hold one
    from wandb import Settings

UPLOAD_SECONDS = 120.0  # for a checkpoint; what takes longer is left to `leafdist sync`
CELLS = 10_000  # rows that W&B shows of a table


@dataclass(frozen=True)
class WandbRun:
    """What W&B is told about a run."""

    name: str
    project: str
    entity: str | None
    tags: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)


def offline_reason() -> str | None:
    """Return why W&B cannot be online, no key or no answer from its server, or None; never prompts."""
    # private: wandb.login also verifies the key over the network, and prints
    from wandb.errors import Error
    from wandb.sdk.lib import wbauth

    url = wandb_settings().base_url
    try:
        key = wbauth.authenticate_session(host=url, source="leafdist", prompt=False, update_session=False)
    except Error as error:  # a malformed key
        return reason_of(error)
    return unreachable(url) if key else f"no API key for {url}: set WANDB_API_KEY or run `wandb login`"


def wandb_settings() -> "Settings":
    """Return what W&B reads from its files and the environment. Raises ValueError for a variable that it refuses."""
    import wandb

    # private: wandb.setup() would start the helper process
    from wandb.sdk import wandb_setup

    for name in variables():
        try:
            wandb.Settings().update_from_env_vars({name: os.environ[name]})
        except Exception as error:
            details = getattr(error, "errors", None)
            reason = details()[0]["msg"] if details else error
            raise ValueError(f"{name} is not what W&B reads: {reason}. Correct or unset it") from error
    return wandb_setup.singleton().settings


def variables() -> list[str]:
    """The names of W&B's variables in the environment."""
    return sorted(name for name in os.environ if name.startswith("WANDB_"))


def init_wandb(run_dir: Path, mode: Literal["online", "offline"], about: WandbRun) -> "Run":
    """Start one piece of the run with our id, silent, with our own step as its axis, and system metrics."""
    import wandb

    settings = wandb.Settings(silent=True, console="off", save_code=False, disable_code=True, disable_git=True)
    settings.init_timeout, settings.finish_timeout, settings.finish_timeout_raises = 30, 20, True
    wandb.setup(settings=wandb.Settings(silent=True, mode=mode))  # or the login speaks before init is silent
    run = wandb.init(
        project=about.project,
        entity=about.entity,
        name=about.name,
        tags=about.tags,
        config=about.config or None,
        id=wandb_id(run_dir),
        resume="allow",
        reinit="create_new",
        dir=str(run_dir),
        mode=mode,
        settings=settings,
    )
    run.define_metric("step")  # W&B's own step counts calls and goes wrong after a resume
    run.define_metric("*", step_metric="step")
    run.define_metric("val/accuracy", step_metric="step", summary="max")
    run.define_metric("val/loss", step_metric="step", summary="min")
    return run


def stop_service() -> None:
    """Shut down a wandb that failed; its teardown raises, and may exit, when its helper process is dead."""
    import wandb

    with suppress(Exception, SystemExit):
        wandb.teardown()


def kill_service() -> None:
    """Kill a helper process that hangs: whoever waits for it gets an error."""
    # private: wandb.teardown would wait for it
    from wandb.sdk import wandb_setup

    helper = wandb_setup.singleton().assert_service()._proc
    if helper:  # ours, not that of a process around this one
        helper._process.kill()


def log_confusion(run: "Run", name: str, step: int, findings: Findings) -> None:
    """Log W&B's chart of a confusion matrix as `<name>/confusion`; of very many classes the cells above zero."""
    import wandb

    counts, classes = findings.confusion, findings.classes
    shown = np.argwhere(counts >= (counts.size > CELLS))[:CELLS]
    cells = [[classes[label], classes[answer], int(counts[label, answer])] for label, answer in shown]
    fields: list[str | int] = ["Actual", "Predicted", "nPredictions"]
    table = wandb.Table(fields, cells)
    titles = {"title": f"{name}: classes and answers"}
    chart = wandb.plot_table("wandb/confusion_matrix/v1", table, {str(field): str(field) for field in fields}, titles)
    run.log({"step": step, f"{name}/confusion": chart})


def log_gallery(run: "Run", key: str, step: int, pictures: Sequence[tuple[NDArray[np.uint8], str]]) -> None:
    """Log pictures (h,w,3) with their captions."""
    import wandb

    images = [wandb.Image(pixels, caption=text, file_type="jpg") for pixels, text in pictures]
    run.log({"step": step, key: images})


def log_model(run: "Run", paths: Sequence[Path], aliases: list[str], metadata: dict[str, Any]) -> None:
    """Log the files as an artifact `model-<id>`; they must not change until they are uploaded. Raises."""
    import wandb

    artifact = wandb.Artifact(f"model-{run.id}", "model", metadata=metadata)
    for path in paths:  # immutable, skip_cache: no copies below $HOME, which on a cluster has no room for them
        artifact.add_file(str(path), policy="immutable", skip_cache=True)
    logged = run.log_artifact(artifact, aliases=aliases)
    if not run.offline:
        logged.wait(timeout=int(UPLOAD_SECONDS))


@contextmanager
def staging(run_dir: Path) -> Iterator[None]:
    """Keep what waits for an upload in the run folder, where `leafdist sync` on another node finds it, not in $HOME."""
    # private: nothing public makes wandb's temporary folder again, which may have been swept away days after its import
    from wandb.sdk.data_types import _private

    Path(_private.MEDIA_TMP.name).mkdir(parents=True, exist_ok=True)
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(RunLayout(run_dir.resolve()).wandb / "data")
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]
