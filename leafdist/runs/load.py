"""Opening a run: the network of its best checkpoint, ready to answer."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from leafdist.config.networks import Network, network
from leafdist.config.schema import Config
from leafdist.data.cache import is_usable
from leafdist.data.folds import fold_numbers
from leafdist.models.build import build_model
from leafdist.models.weights import check_state
from leafdist.runs.checkpoint import load_best
from leafdist.runs.facts import CheckpointMeta
from leafdist.runs.layout import RunLayout


@dataclass(frozen=True)
class LoadedRun:
    """The best checkpoint of a run: `model` in eval mode on its device; `meta` is the header of its file."""

    path: Path
    config: Config
    model: nn.Module
    classes: tuple[str, ...]
    meta: CheckpointMeta

    @property
    def network(self) -> Network:
        """The row of the network in the table of networks."""
        return network(self.config.model.name)


def load_run(run: Path, device: torch.device | str = "cpu", root: str | None = None) -> LoadedRun:
    """Load the best checkpoint of `run`, whose photos now lie in `root` where given. Raises ValueError."""
    tensors, meta = load_best(run)
    config = meta.config
    fold = config.data.fold
    if root and Path(root).exists() and not fold_numbers(Path(root)):
        fold = None  # other photos, which are not in folds
    cache = config.data.cache
    if cache and not (os.access(cache, os.W_OK | os.X_OK) or is_usable(Path(cache))):
        cache = None  # of the machine that trained, or of its user
    root = root or config.data.root  # a single pass over a folder is not worth a copy
    config = replace(config, data=replace(config.data, root=root, fold=fold, cache=cache, stage=Path(root).is_file()))
    classes = tuple(meta.classes)
    model = build_model(config.model.name, len(classes), config.data.side)
    check_state(tensors, model.state_dict(), RunLayout(run).best_model)
    model.load_state_dict(tensors)
    layout = torch.channels_last if config.train.channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    return LoadedRun(run, config, model.eval(), classes, meta)
