"""metrics.jsonl, always, and Weights & Biases: from rank 0, offline by itself, and never the end of a training."""

import json
import shlex
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal, Protocol

from leafdist import files, signals
from leafdist.config import Config

if TYPE_CHECKING:
    from wandb import Run, Settings

MODES = ("auto", "online", "offline", "off")
PRESETS = {"offline": "offline", "dryrun": "offline", "disabled": "off"}  # by WANDB_MODE or `wandb offline`
PROBE_SECONDS = 3.0
# Names in W&B that differ from `train/<key>`: an epoch's mean must not share a chart with single steps.
WANDB_NAMES = {"step": "step", "epoch": "epoch", "val_loss": "val/loss", "val_accuracy": "val/accuracy"}
WANDB_NAMES |= {"train_loss": "train/epoch_loss", "train_accuracy": "train/epoch_accuracy"}


class Tracker(Protocol):
    def log(self, event: dict[str, Any]) -> None: ...

    def close(self, exit_code: int, summary: dict[str, Any]) -> None: ...


class NullTracker:  # for the ranks that do not speak
    def log(self, event: dict[str, Any]) -> None: ...

    def close(self, exit_code: int, summary: dict[str, Any]) -> None: ...


class RunTracker:
    """Rank 0's tracker. `place` is epoch and step that the checkpoint holds; later events are cut away."""

    def __init__(
        self,
        run_dir: Path,
        name: str,
        config: dict[str, Any],
        *,
        mode: str = "auto",
        project: str = "leafdist",
        entity: str | None = None,
        tags: Sequence[str] = (),
        place: tuple[int, int] = (0, 0),
        say: Callable[[str], None] = print,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"track.wandb={mode!r} is not one of {', '.join(MODES)}")
        run_dir.mkdir(parents=True, exist_ok=True)
        path = run_dir / "metrics.jsonl"
        self._kept = cut_back(path, *place) if path.exists() else []
        self._sent = run_dir / "wandb-sent.json"
        self._file = path.open("a", encoding="utf-8")
        self._say = say
        self._run: Run | None = None
        self._last = {"epoch": place[0] - 1, "step": place[1]}
        with self._harmless():
            about = {"name": name, "config": config, "project": project, "entity": entity, "tags": list(tags)}
            with signals.blocked():  # or its helper process dies of the signal that asks us to stop
                self._run = start_wandb(run_dir, mode, say, about)
            self._send_again()

    def log(self, event: dict[str, Any]) -> None:
        valid = json.loads(json.dumps(event), parse_constant=lambda _: None)  # JSON has no NaN and no infinity
        self._file.write(json.dumps(valid) + "\n")
        self._file.flush()
        if (kind := event["event"]) in self._last:
            self._last[kind] = event[kind]
        with self._harmless():
            self._send(event)

    def close(self, exit_code: int, summary: dict[str, Any]) -> None:
        """`summary` goes to W&B's: `best_epoch` as `best/epoch`."""
        self._file.close()
        if run := self._run:
            with self._harmless():
                run.summary.update({key.replace("best_", "best/", 1): value for key, value in summary.items()})
                run.finish(exit_code=exit_code)
                self._run = None
                files.write_json(self._sent, self._last)

    def _send(self, event: dict[str, Any]) -> None:
        if self._run and event["event"] in ("step", "epoch"):
            row = {WANDB_NAMES.get(key, f"train/{key}"): value for key, value in event.items() if key != "event"}
            self._run.log(row)

    def _send_again(self) -> None:
        """Rows since the last end that W&B saw: after a SIGKILL its own file may lack some. Values repeat equal."""
        sent = files.read_json(self._sent) if self._sent.exists() else {"epoch": -1, "step": 0}
        for event in self._kept:
            if (kind := event["event"]) in sent and event[kind] > sent[kind]:
                self._send(event)

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  whatever a guest breaks, the work goes on
            self._run = None
            self._say(f"warning: W&B is off for the rest of this job, metrics.jsonl goes on: {reason_of(error)}")
            stop_service()


def open_tracker(config: Config, run_dir: Path, *, active: bool, place: tuple[int, int] = (0, 0)) -> Tracker:
    if not active:
        return NullTracker()
    track = config.track
    about: dict[str, Any] = {"project": track.project, "entity": track.entity, "tags": track.tags}
    return RunTracker(run_dir, run_dir.name, asdict(config), mode=track.wandb, place=place, **about)


def cut_back(path: Path, epoch: int, step: int) -> list[dict[str, Any]]:
    """Drop what will be written again: steps after `step`, `epoch` and later ones, and a line that a kill has torn.

    Returns the events that stand.
    """
    standing = [event for event in files.read_json_lines(path) if _stands(event, epoch, step)]
    files.write_text(path, "".join(f"{json.dumps(event)}\n" for event in standing))
    return standing


def _stands(event: dict[str, Any], epoch: int, step: int) -> bool:
    if event.get("event") == "epoch":
        return bool(event["epoch"] < epoch)
    return event.get("event") != "step" or bool(event["step"] <= step)


def wandb_id(run_dir: Path) -> str:
    """The id of the run in W&B, ours from the start, so that a job that comes back continues the same run."""
    path = run_dir / "wandb-id.txt"
    if not path.exists():
        files.write_text(path, token_hex(8) + "\n")
    return path.read_text(encoding="utf-8").strip()


def start_wandb(run_dir: Path, asked: str, say: Callable[[str], None], about: dict[str, Any]) -> "Run | None":
    """Online where there is a key and an answer, else offline, with the command that uploads it later."""
    mode = PRESETS.get(wandb_settings().mode, "online") if asked == "auto" else asked
    if mode == "off":
        return None
    try:
        reason = offline_reason() if mode == "online" else "as asked"
        if not reason:
            return init_wandb(run_dir, "online", about)
    except Exception as error:  # noqa: BLE001  a malformed key, or a server that answers and refuses
        reason = reason_of(error)
        stop_service()  # it holds our id as in use
    run = init_wandb(run_dir, "offline", about)
    pieces = sorted(str(path) for path in (run_dir / "wandb").glob(f"offline-run-*-{run.id}"))
    say(f"W&B is offline ({reason}); to upload the run later: {shlex.join(['wandb', 'sync', *pieces])}")
    return run


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
    """One piece of the run with our id, silent, with our own step as its axis."""
    import wandb

    settings = wandb.Settings(silent=True, console="off", save_code=False, disable_code=True, disable_git=True)
    settings.init_timeout, settings.finish_timeout, settings.finish_timeout_raises = 30, 20, True
    wandb.setup(settings=wandb.Settings(silent=True, mode=mode))  # or the login speaks before init is silent
    about = {"id": wandb_id(run_dir), "resume": "allow", "reinit": "create_new", **about}
    run = wandb.init(dir=str(run_dir), mode=mode, settings=settings, **about)
    run.define_metric("step")  # W&B's own step counts calls and goes wrong after a resume
    run.define_metric("*", step_metric="step")
    return run


def stop_service() -> None:
    """Let go of a wandb that failed; its teardown raises, and may exit, when its helper process is dead."""
    import wandb

    with suppress(Exception, SystemExit):
        wandb.teardown()


def unreachable(url: str) -> str | None:
    """Why `url` does not answer over HTTP, proxies honoured, within 3 seconds in all; None if it answers."""
    answer: list[str | None] = []
    # A thread, since no timeout of a socket bounds the lookup of a name.
    thread = threading.Thread(target=lambda: answer.append(_probe(url)), daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answer[0] if answer else f"{url} gave no answer within {PROBE_SECONDS:g} s"


def _probe(url: str) -> str | None:
    try:
        urllib.request.build_opener().open(url, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()
        return f"{url} answered {error.code}" if error.code == 407 or error.code >= 500 else None
    except (OSError, HTTPException, ValueError) as error:
        # W&B has certificates of its own: one that Python does not trust is an answer.
        untrusted = isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError)
        return None if untrusted else f"{url}: {reason_of(error)}"
    return None


def reason_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
