"""The run folder while a run trains: its lock, its configuration, its state, and whether it may be resumed."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from leafdist.config.changes import differences
from leafdist.config.schema import Config
from leafdist.data.photo_facts import DataFacts
from leafdist.runs.events import EndEvent
from leafdist.runs.facts import HeadFacts, RunFacts, RunResult, Start, read_facts, write_facts
from leafdist.runs.layout import GENERATION, RunLayout, generations
from leafdist.runs.saved_config import read_config, write_config
from leafdist.runs.tracker import NullTracker, Tracker, wandb_id
from leafdist.system import console, files, locks
from leafdist.system.arguments import installed
from leafdist.system.errors import DONE, INTERRUPTED, WRONG, PeerError
from leafdist.system.signals import Interrupted

LOCK_SECONDS = 5.0  # the job before may be about to leave
EXIT_CODES = {"finished": DONE, "interrupted": INTERRUPTED, "failed": WRONG}  # for W&B
PACKAGES: tuple[str, ...] = ("leafdist", "torch", "torchvision", "timm", "accelerate", "numpy", "scipy", "pillow")
PACKAGES += ("pillow-simd", "safetensors", "wandb")
_held = list[FileLock]()  # to the end of the process where a training failed: it may still write a checkpoint


class RunFolder:
    """`runs/<name>/` of a run with `config` on `photos`; `open` one to train in it."""

    def __init__(self, path: Path, config: Config, photos: DataFacts) -> None:
        self.path, self.config, self.photos = path, config, photos

    @classmethod
    def open(cls, path: Path, config: Config, photos: DataFacts, say: Callable[[str], None]) -> "RunFolder":
        """Check and lock the folder of a run on `photos`. Raises ValueError if it cannot be used."""
        folder = cls(path, config, photos)
        check_run(path, config, photos)
        lock_run(path, say)
        for line in check_run(path, config, photos):  # the job before may have changed it until now
            say(f"changed since the last start: {line}")
        return folder

    @property
    def facts(self) -> RunFacts:
        """What run.json says now."""
        return read_facts(self.path)

    def start(
        self, world: int, device: str, step: int, head: HeadFacts | None = None, weights: str | None = None
    ) -> None:
        """Save the configuration and record this start at optimizer step `step` on `world` processes.

        head, weights: how the head began, and the digest of the file of weights; a start at a later step keeps what
        run.json says.
        """
        layout, known = RunLayout(self.path), self.facts
        write_config(self.path, self.config)  # before anything else: check_run refuses a folder without
        layout.last.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers([platform.node(), *(before.host for before in known.starts if before.host)])
        if not known.starts:
            files.write_text(layout.unsaved, "")
        start = new_start(world, device, step)
        given = known.wandb_id if self.config.track.wandb == "off" else wandb_id(self.path)
        facts = replace(known, state="running", reason=None, ended=None, starts=[*known.starts, start], wandb_id=given)
        photos = self.photos
        facts = replace(facts, classes=photos.classes, data=photos.data, class_weights=photos.class_weights)
        facts = replace(facts, class_map=photos.class_map, masks=photos.masks, backgrounds=photos.backgrounds)
        if head and not step:
            console.say(head.text)
        if not step:
            facts = replace(facts, head=head, weights_sha256=weights)
        write_facts(self.path, replace(facts, passed_over=self.photos.passed_over))

    def _remove_leftovers(self, hosts: list[str]) -> None:
        """Remove what a process killed while writing left; what else begins with a dot is the user's."""
        ours = re.compile(
            rf"\.{GENERATION.pattern}\.tmp|{files.temporary_of('.+', '(?:' + '|'.join(map(re.escape, hosts)) + ')')}"
        )
        for path in [path for path in self.path.rglob(".*.tmp") if ours.fullmatch(path.name)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)  # gone with its folder

    def is_complete(self, why_over: Callable[[int], str | None]) -> bool:
        """Whether a run without checkpoints needs none, having finished; `why_over` is None for a step to go on from.

        Raises ValueError where it has trained and there is nothing to go on from: it would be trained anew, over its
        best checkpoint. A run that was killed before its first checkpoint has `last/.unsaved`, and starts over.
        """
        layout, known = RunLayout(self.path), self.facts
        if known.average:
            way = f"Set another run.name; model.weights={self.path} starts from it"
            raise ValueError(f"{self.path} was averaged from other runs, and cannot be trained further. {way}")
        trained = known.starts or layout.metrics.exists() or layout.best_model.exists()
        if not trained or layout.unsaved.exists() or generations(layout.last):
            return False
        if known.state == "finished" and why_over(known.steps or 0) and layout.best_model.exists():
            return True
        raise ValueError(
            f"{self.path} has trained ({known.state}), but {layout.last} has no checkpoint to go on from. Bring that "
            f"folder back, set another run.name, or remove {self.path} to train from the start"
        )

    @contextmanager
    def record_end(
        self, open_tracker: Callable[[], Tracker], *, active: bool
    ) -> Iterator[tuple[Tracker, Callable[[RunResult], None]]]:
        """Record how the run ends and close the tracker; yields the tracker, and a function that takes the result."""
        results = list[RunResult]()
        tracker: Tracker = NullTracker()
        state, reason, saved = "failed", None, False
        try:
            tracker = open_tracker()
            yield tracker, results.append
            state = "finished"
        except BaseException as error:
            state, reason = state_after(error), str(error) or type(error).__name__
            saved = isinstance(error, Interrupted)  # a rank that was lost leaves files that are still being written
            raise
        finally:
            result = results[-1] if results else None
            try:
                if active:
                    self.set_state(state, reason, result)
                tracker.log(EndEvent(state, **(vars(result) if result else {})))
                tracker.close(EXIT_CODES[state], result)
            except OSError as error:  # a full disk, most likely the reason too, which its raiser reports
                console.warn(f"the end could not be recorded in {self.path}: {error}")
                if state == "finished":
                    raise
            if saved:
                unlock_runs()

    def abandon(self, reason: str, lost: bool) -> None:
        """Record the end of a rank that hangs because another rank is `lost` or else at fault."""
        self.set_state("interrupted" if lost else "failed", reason)

    def set_state(self, state: str, reason: str | None = None, result: RunResult | None = None) -> None:
        """Record that the run ended: finished, interrupted or failed."""
        facts = replace(self.facts, **(vars(result) if result else {}))
        write_facts(self.path, replace(facts, state=state, reason=reason, ended=now()))


def check_run(path: Path, config: Config, photos: DataFacts | None = None) -> list[str]:
    """Return the changes of `config` to the run at `path` that are allowed. Raises ValueError listing the others.

    Without `photos` it looks at the configuration alone: before packing, which may take an hour.
    """
    if not RunLayout(path).config.exists():
        if path.exists() and any(not inside.name.startswith(".") for inside in path.iterdir()):
            raise ValueError(f"{path} is not empty and not a run folder. Set run.name to something else")
        return []
    if config.run.resume == "never":
        raise ValueError(f"{path} exists and run.resume=never. Set run.name to something else, or resume=auto")
    fixed, free = differences(read_config(path), config)
    known = read_facts(path)
    if known.starts and photos:
        behind = known.masks, known.backgrounds
        before = DataFacts(known.classes, known.data, {}, known.class_weights, known.class_map, *behind)
        fixed += before.changes(photos)
    if fixed:
        raise ValueError(
            f"{path} belongs to another run; these differ: {'; '.join(fixed)}. Set another run.name, or undo that"
        )
    return free


def lock_run(path: Path, say: Callable[[str], None]) -> None:
    """Lock a run folder until `unlock_runs`; the kernel frees a dead job's lock. Raises ValueError if in use."""
    unlock_runs()  # of this process itself
    path.mkdir(parents=True, exist_ok=True)
    try:
        _held.append(locks.hold(RunLayout(path).lock, LOCK_SECONDS, say))
    except Timeout:
        last = (read_facts(path).starts or [Start()])[-1]
        raise ValueError(
            f"{path} is in use by another job (host {last.host}, Slurm job {last.slurm_job_id}, "
            f"started {last.time}). Wait for its end, or set another run.name"
        ) from None


def unlock_runs() -> None:
    """Give back what `lock_run` locked: a notebook lives on after a training."""
    while _held:
        _held.pop().release()


def continued(config: Config) -> Config:
    """Return `config` with what `auto` meant to the run that it resumes: another node might choose differently."""
    path, train = Path(config.run.folder) / str(config.run.name), config.train
    if not RunLayout(path).config.exists():
        return config
    before = read_config(path).train
    if train.precision == "auto":
        train = replace(train, precision=before.precision)
    if train.graph == "auto" and before.graph != "always":
        train = replace(train, graph="never")
    return replace(config, train=train)


def state_after(error: BaseException) -> str:
    """Return "interrupted" if a rerun may succeed (told to stop, or a rank was lost), else "failed"."""
    lost = isinstance(error, PeerError) and error.lost
    return "interrupted" if lost or isinstance(error, Interrupted) else "failed"


def new_start(world: int, device: str, step: int) -> Start:
    """Return what run.json says of a start that happens now, of `world` processes, at optimizer step `step`."""
    return Start(
        time=now(),
        step=step,
        world_size=world,
        device=device,
        host=platform.node(),
        folder=str(Path.cwd()),
        slurm_job_id=os.environ.get("SLURM_JOB_ID"),
        git_commit=git_commit(),
        versions={"python": platform.python_version()}
        | {name: found for name in PACKAGES if (found := installed(name))},
    )


def now() -> str:
    """Return the time in ISO 8601, UTC, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_commit() -> str | None:
    """Return the commit of the code in use, with `+` if files differ from it; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
