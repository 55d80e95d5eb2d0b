"""The run folder: what the run is, in which state, and whether it may go on."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import yaml
from filelock import FileLock, Timeout

from leafdist.config.schema import Config, differences, from_dict, to_dict
from leafdist.data.photo_facts import DataFacts
from leafdist.distributed.watchdog import PeerError
from leafdist.runs.facts import RunFacts, RunResult
from leafdist.runs.tracker import Tracker, wandb_id
from leafdist.system import files, locks
from leafdist.system.errors import DONE, INTERRUPTED, WRONG
from leafdist.system.plain import from_plain, to_plain
from leafdist.system.signals import Interrupted

LOCK_SECONDS = 5.0  # the job before may be about to leave
EXIT_CODES = {"finished": DONE, "interrupted": INTERRUPTED, "failed": WRONG}  # for W&B
PACKAGES = ("leafdist", "torch", "torchvision", "accelerate", "numpy", "pillow", "safetensors", "wandb")


class RunFolder:
    """`runs/<name>/`: config.yaml, run.json and what others write there. Used by rank 0 only."""

    _held: ClassVar[list[FileLock]] = []  # to the end of the process: a checkpoint may still be on its way

    def __init__(self, path: Path, config: Config, about: DataFacts) -> None:
        self.path, self.config, self.about = path, config, about

    @classmethod
    def open(cls, path: Path, config: Config, facts: DataFacts, say: Callable[[str], None]) -> "RunFolder":
        """Check, lock, and check what the job before left. Raises ValueError."""
        folder = cls(path, config, facts)
        folder.check(lambda line: None)
        folder.lock(say)
        folder.check(say)
        return folder

    @property
    def facts(self) -> RunFacts:
        """What run.json says now."""
        return from_plain(RunFacts, self.record, self.path / "run.json")

    @property
    def record(self) -> dict[str, Any]:
        path = self.path / "run.json"
        return dict(files.read_json(path)) if path.exists() else {"state": "new", "starts": []}

    def lock(self, say: Callable[[str], None]) -> None:
        """For as long as this process lives; a lock file that a dead job left is not locked. Raises ValueError."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._held.append(locks.hold(self.path / ".lock", LOCK_SECONDS, say))
        except Timeout:
            last = (self.record["starts"] or [{}])[-1]
            raise ValueError(
                f"{self.path} is in use by another job (host {last.get('host')}, Slurm job {last.get('slurm_job_id')}, "
                f"started {last.get('time')}). Wait for its end, or set another run.name"
            ) from None

    def check(self, say: Callable[[str], None]) -> None:
        """Whether this configuration on these photos may go on here. Raises ValueError that lists what differs."""
        config, facts = self.config, to_plain(self.about)
        if not (self.path / "config.yaml").exists():
            if self.path.exists() and any(not path.name.startswith(".") for path in self.path.iterdir()):
                raise ValueError(f"{self.path} is not empty and not a run folder. Set run.name to something else")
            return
        if config.run.resume == "never":
            raise ValueError(f"{self.path} exists and run.resume=never. Set run.name to something else, or resume=auto")
        fixed, free = differences(read_config(self.path), config)
        record = self.record
        fixed += [f"{key}: {record[key]} -> {value}" for key, value in facts.items() if record.get(key, value) != value]
        if fixed:
            lines = "\n  ".join(fixed)
            raise ValueError(
                f"{self.path} belongs to another run; these differ:\n  {lines}\nSet another run.name, or undo that"
            )
        for line in free:
            say(f"changed since the last start: {line}")

    def start(self, world: int, device: str, step: int) -> None:
        """Save the resolved configuration and record this start."""
        config, facts = self.config, to_plain(self.about)
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.rglob(".*.tmp"):  # of a kill while writing
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        text = yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)
        files.write_text(self.path / "config.yaml", text)
        record = self.record
        start = {
            "time": now(),
            "step": step,
            "world_size": world,
            "device": device,
            "host": platform.node(),
            "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
            "git_commit": git_commit(),
            "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        }
        ids = {} if config.track.wandb == "off" else {"wandb_id": wandb_id(self.path)}
        record |= {**facts, **ids, "state": "running", "starts": [*record["starts"], start]}
        files.write_json(self.path / "run.json", record)

    @contextmanager
    def ending(self, tracker: Tracker, *, active: bool) -> Iterator[Callable[[RunResult], None]]:
        """Close the tracker and record how the run ended; yields what takes its results."""
        result: dict[str, Any] = {}
        state, reason = "failed", None
        try:
            yield lambda found: result.update(to_plain(found))
            state = "finished"
        except BaseException as error:
            state, reason = state_after(error), str(error) or type(error).__name__
            raise
        finally:
            try:
                if active:
                    self.set_state(state, reason=reason, **result)
                tracker.log({"event": "end", "state": state, **result})
                tracker.close(EXIT_CODES[state], result)
            except OSError as error:  # a full disk, most likely the reason too: that one is told by whoever raised it
                print(f"warning: the end could not be recorded in {self.path}: {error}", file=sys.stderr, flush=True)
                if state == "finished":
                    raise

    def abandon(self, reason: str, lost: bool) -> None:
        """The last that a rank does which hangs because of another one, which is `lost` or else at fault."""
        self.set_state("interrupted" if lost else "failed", reason=reason)

    def set_state(self, state: str, **facts: Any) -> None:
        """One of running, finished, interrupted, failed."""
        files.write_json(self.path / "run.json", {**self.record, **facts, "state": state, "ended": now()})


def continued(config: Config) -> Config:
    """With `train.precision=auto` as the run that is there settled it: another node may have another answer."""
    path = Path(config.run.folder) / str(config.run.name)
    if config.train.precision != "auto" or not (path / "config.yaml").exists():
        return config
    return replace(config, train=replace(config.train, precision=read_config(path).train.precision))


def state_after(error: BaseException) -> str:
    """`interrupted` is worth continuing: told to stop, or a rank was lost. All else would fail again: `failed`."""
    lost = isinstance(error, PeerError) and error.lost
    return "interrupted" if lost or isinstance(error, Interrupted) else "failed"


def read_config(run: Path) -> Config:
    """Raises ValueError where the folder is no run or its configuration is damaged."""
    path = run / "config.yaml"
    if not path.is_file():
        raise ValueError(f"{run} is not a run folder: it has no config.yaml")
    try:
        return from_dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_commit() -> str | None:
    """Commit of the code in use, `+` behind it where files differ; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
