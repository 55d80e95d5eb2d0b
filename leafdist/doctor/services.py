"""What comes from elsewhere: W&B and ImageNet weights."""

from pathlib import Path

from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.doctor.diagnosis import Finding, error, note, ok, warning
from leafdist.models.weights import cached, checksum
from leafdist.runs.layout import RunLayout
from leafdist.system import files
from leafdist.system.network import unreachable


def check_wandb(config: Config) -> Finding:
    """Whether runs will be online; nobody is asked to log in."""
    from leafdist.tracking.wandb_client import offline_reason, wandb_settings
    from leafdist.tracking.weights_biases import PRESETS

    asked = config.track.wandb
    if asked in ("off", "offline"):
        return ok("wandb", f"track.wandb={asked}: nothing is sent")
    try:
        if asked == "auto" and (preset := PRESETS.get(wandb_settings().mode)):
            return ok("wandb", f"{preset}, as WANDB_MODE or wandb's settings say")
        reason = offline_reason()
    except ValueError as fault:
        return warning("wandb", f"off: {fault}", "track.wandb=off leaves W&B out")
    if reason is None:
        return ok("wandb", "there is a key, and the server answers")
    way = "Runs are kept; `leafdist sync RUN` uploads them later. track.wandb=off leaves W&B out"
    return (warning if asked == "online" else note)("wandb", f"offline: {reason}", way)


def check_weights(config: Config) -> Finding:
    """Whether the weights to start from are in the cache, intact, or can be downloaded."""
    name = config.model.weights
    if name == "none" or Path(name).is_file() or RunLayout(Path(name)).best_model.is_file():
        return ok("weights", f"model.weights={name}")
    weights = network(config.model.name).weights
    if name not in weights:
        known = ", ".join(weights)
        return error("weights", f"model.weights={name}: no such file", f"Name a file, none, or one of {known}")
    path = cached(url := weights[name])
    if not path.exists():
        if reason := unreachable(url):
            text = f"{name} is not in the cache and cannot be downloaded ({reason})"
            return error("weights", text, f"Put {url} at {path}, name a file of your own, or model.weights=none")
        return note("weights", f"{name} is not in the cache; the first training downloads it to {path}")
    if not files.sha256(path).startswith(checksum(path) or ""):
        return error("weights", f"{path} is damaged: its checksum is wrong", "Delete it, and it is downloaded again")
    return ok("weights", f"{name} is in the cache")
