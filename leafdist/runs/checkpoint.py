"""Checkpoints: tensors in safetensors, the rest in JSON, intact or absent.

`last/step-<n>/` holds what resuming needs; its manifest, with the checksums, is written last and the folder is renamed
into place. `best/model.safetensors` is one file that carries its own description and checksum, so that replacing it is
one rename; `best/meta.json` repeats the description for people and scripts.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from leafdist.runs.facts import CheckpointMeta
from leafdist.runs.header import FORMAT, damaged, header_of, parse_header
from leafdist.runs.host_copies import HostCopies, Tensors
from leafdist.runs.layout import GENERATION, UNSAVED, UNVALIDATED, RunLayout, generations, recency
from leafdist.system import files

KEEP = 2  # generations of last/
AVERAGE = "ema.safetensors"
DAMAGED = ".damaged"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Snapshot:
    """Copies of model, optimizer and perhaps the average of the weights, which are written while training continues.

    state: the rest of the checkpoint, as JSON.
    """

    copies: HostCopies
    state: Mapping[str, object]

    @classmethod
    def of(
        cls,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        state: Mapping[str, object],
        average: nn.Module | None = None,
    ) -> "Snapshot":
        """Start to copy `model`, `optimizer` and `average` off the device. Does not wait for a GPU."""
        more = [] if average is None else [average.state_dict()]
        return cls(HostCopies(model.state_dict(), optimizer_tensors(optimizer), *more), state)

    @property
    def model(self) -> Tensors:
        """Parameters and buffers, once they have arrived."""
        return self.copies.tensors[0]

    @property
    def optimizer(self) -> Tensors:
        """What `optimizer_tensors` gives, once it has arrived."""
        return self.copies.tensors[1]

    @property
    def average(self) -> Tensors | None:
        """Tensors of the network with the average of the weights, where there is one, once they have arrived."""
        return self.copies.tensors[2] if len(self.copies.tensors) > 2 else None


def save_last(folder: Path, step: int, snapshot: Snapshot, *, validated: bool = True) -> None:
    """Write `folder/step-<n>`, keep two generations, and remove those of later steps, which were skipped.

    A step that ends an epoch may be saved before and after the validation: under two names, so that one always exists.
    """
    target = folder / f"step-{step:09d}{'' if validated else UNVALIDATED}"
    temporary = folder / f".{target.name}.tmp"
    try:
        _fill(temporary, snapshot)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)  # what a full disk needs most
        raise
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    files.flush(folder)
    (folder / UNSAVED).unlink(missing_ok=True)
    kept = [path for path in generations(folder) if recency(path) <= recency(target)][:KEEP]
    for old in {*generations(folder), *filter(_is_put_aside, folder.iterdir())} - set(kept):
        shutil.rmtree(old, ignore_errors=True)  # NFS keeps a file that somebody reads


def _fill(temporary: Path, snapshot: Snapshot) -> None:
    """Write the files, the manifest last, once all others are on the disk."""
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_tensors(snapshot.model, temporary / "model.safetensors")
    save_tensors(snapshot.optimizer, temporary / "optimizer.safetensors")
    if snapshot.average:
        save_tensors(snapshot.average, temporary / AVERAGE)
    files.write_json(temporary / "state.json", snapshot.state)
    sums = {path.name: files.sha256(path) for path in sorted(temporary.iterdir())}
    for name in sums:
        files.flush(temporary / name)
    files.write_json(temporary / "manifest.json", {"format": FORMAT, "sha256": sums})


def save_tensors(tensors: dict[str, Tensor], path: Path, facts: dict[str, str] | None = None) -> None:
    """Write a new safetensors file, with the mode of any new file: safetensors makes it private."""
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path, facts)
    path.chmod(mode)


def _is_put_aside(path: Path) -> bool:
    name = path.name.removeprefix(".").removesuffix(DAMAGED)
    return path.name == f".{name}{DAMAGED}" and bool(GENERATION.fullmatch(name))


def newest(folder: Path, say: Say) -> Path | None:
    """The newest checkpoint that verifies; damaged ones are named and put aside. None if there is none at all.

    Raises ValueError if all are damaged: starting over would replace what is left of the run.
    """
    faults: dict[Path, str] = {}
    for path in generations(folder):
        fault = damage(path)
        if fault is None:
            for bad in faults:  # it must not count as one of those that stay
                bad.rename(bad.with_name(f".{bad.name}{DAMAGED}"))
            return path
        faults[path] = fault
        say(f"warning: {path} is damaged ({fault}) and skipped")
    if generations(folder):
        way = f"Remove {folder.parent} to train from the start, or set another run.name"
        raise ValueError(f"{folder}: no checkpoint is intact. {way}")
    return None


def damage(path: Path) -> str | None:
    """Return what is wrong with a checkpoint folder, or None."""
    if not (path / "manifest.json").exists():
        return "no manifest.json"
    try:
        manifest = files.read_json(path / "manifest.json")
        if manifest["format"] != FORMAT:
            return f"format {manifest['format']}, this version reads {FORMAT}"
        for name, expected in manifest["sha256"].items():
            if files.sha256(path / name) != expected:
                return f"{name} does not match its checksum"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "manifest.json cannot be read"
    except OSError as error:
        return str(error)
    return None


def load_model(path: Path, model: nn.Module, file: str = "model.safetensors") -> None:
    """Load the parameters and buffers of `path` into `model`; of `file` AVERAGE, the average of the weights."""
    model.load_state_dict(load_file(path / file))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return momenta and step counts by `<number of the parameter>.<name>`."""
    state = optimizer.state_dict()["state"]
    return {f"{at}.{name}": value for at, entry in state.items() for name, value in entry.items() if value is not None}


def load_optimizer(path: Path, optimizer: torch.optim.Optimizer) -> None:
    """Load what `optimizer_tensors` gave; rates and other settings stay those of the configuration."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in load_file(path / "optimizer.safetensors").items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, entry in optimizer.state.items():
        for name, value in entry.items():
            # fused kernels pair entries by memory, so strides must agree too; and nothing may keep the file mapped
            same = value.shape == parameter.shape
            entry[name] = torch.empty_like(parameter).copy_(value) if same else value.clone()


def save_best(folder: Path, tensors: dict[str, Tensor], meta: CheckpointMeta) -> None:
    """Replace the best checkpoint in one rename; the digest of the tensors is filled in here."""
    header = header_of(replace(meta, sha256=_digest(tensors)))
    with files.atomic_path(folder / "model.safetensors") as temporary:
        save_tensors(tensors, temporary, {"leafdist": json.dumps(header)})
    files.write_json(folder / "meta.json", header)


def find_best(run: Path) -> Path:
    """Return the path of the best checkpoint. Raises ValueError if it is missing."""
    path = RunLayout(run).best_model
    if not path.is_file():
        raise ValueError(f"{run} has no best checkpoint ({path}): train.py writes it after the first epoch")
    return path


def load_best(run: Path) -> tuple[dict[str, Tensor], CheckpointMeta]:
    """Load tensors and header of a run's best checkpoint. Raises ValueError if it is missing or damaged."""
    path = find_best(run)
    try:
        with safe_open(path, "pt") as file:
            meta = parse_header(file.metadata(), path)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError) as error:
        raise damaged(path, error) from error
    if _digest(tensors) != meta.sha256:
        raise ValueError(f"{path} is damaged: its tensors do not match their checksum")
    return tensors, meta


def tensors_of(model: nn.Module) -> Tensors:
    """Return copies of parameters and buffers, on the CPU and contiguous."""
    return HostCopies(model.state_dict()).tensors[0]


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(key.encode())
        digest.update(tensors[key].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
