"""What comes from elsewhere: W&B, ImageNet weights, a free port, the time."""

import hashlib
import socket
from datetime import UTC, datetime
from pathlib import Path

from leafdist.config.schema import Config
from leafdist.doctor.diagnosis import Finding, error, note, ok, warning
from leafdist.doctor.launch import ALONE, Place

USUAL_PORT = 29500  # of accelerate launch and torchrun
SKEW = 2.0  # seconds
PACKAGE = Path(__file__).parents[1]


def check_wandb(config: Config) -> Finding:
    """Asks nobody at the keyboard."""
    from leafdist.tracking.wandb_client import offline_reason

    asked = config.track.wandb
    if asked in ("off", "offline"):
        return ok("wandb", f"track.wandb={asked}: nothing is sent")
    reason = offline_reason()
    if reason is None:
        return ok("wandb", "there is a key, and the server answers")
    text, way = f"offline: {reason}", "Runs are kept; `leafdist sync RUN` uploads them later. track.wandb=off is silent"
    return (warning if asked == "online" else note)("wandb", text, way)


def check_weights(config: Config) -> Finding:
    """In the cache, whole; or to be had."""
    import torch
    from torchvision.models import ResNet50_Weights

    from leafdist.system.network import unreachable

    name = config.model.weights
    if name == "none" or Path(name).is_file():
        return ok("weights", f"model.weights={name}")
    if name not in ResNet50_Weights.__members__:
        known = ", ".join(ResNet50_Weights.__members__)
        return error("weights", f"model.weights={name}: no such file", f"Name a file, none, or one of {known}")
    url = ResNet50_Weights[name].url
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not path.exists():
        if reason := unreachable(url):
            text = f"{name} is not in the cache and cannot be downloaded ({reason})"
            return error("weights", text, f"Put {url} at {path}, name a file of your own, or model.weights=none")
        return note("weights", f"{name} is not in the cache; the first training downloads it to {path}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(path.stem.rsplit("-", 1)[-1]):
        return error("weights", f"{path} is damaged: its checksum is another", "Delete it, and it is downloaded again")
    return ok("weights", f"{name} is in the cache")


def check_port(place: Place, port: int = USUAL_PORT) -> Finding:
    """Of the next launch from here; a launch that is under way has its own already."""
    if place.started_by != ALONE:
        return ok("port", f"{place.address}:{place.port} connects the processes")
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("", port))
        except OSError as fault:
            text = f"{port}, which accelerate launch takes, is not free ({fault.strerror})"
            return warning("port", text, "Pass --main_process_port 0, or another one")
    return ok("port", f"{port} is free for accelerate launch")


def check_date(now: float, package: Path = PACKAGE) -> Finding:
    """The time is not before what was written on this machine."""
    newest = max(path.stat().st_mtime for path in package.rglob("*.py"))
    if now < newest - 60:
        text = f"it is {_date(now)} here, before leafdist was installed ({_date(newest)})"
        return error("clock", text, "Set the clock: certificates, W&B and file times go wrong with it")
    return ok("clock", "the time is later than that of the package")


def check_skew(offset: float, trip: float, first: str) -> Finding:
    """Seconds that this clock is ahead of that of node `first`, as told by a question that took `trip` seconds."""
    if abs(offset) > SKEW + trip:
        text = f"this clock is {{offset:+.0f}} s from that of {first}"
        return warning("clock", text, "Let the administrator mend NTP: caches and logs rely on times", offset=offset)
    return ok("clock", f"agrees with that of {first} within {{apart:.3f}} s", apart=abs(offset) + trip / 2)


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
