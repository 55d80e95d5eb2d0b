"""A run folder around a network that was not trained: as train.py leaves it, in a moment."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, ModelConfig, TrainConfig, to_dict
from leafdist.models.build import build_model
from leafdist.runs.checkpoint import load_best, save_best, tensors_of
from leafdist.runs.evaluations import Subspace, write_calibration
from leafdist.runs.facts import CheckpointMeta, Preprocessing
from leafdist.runs.results import Calibration, Refusal
from leafdist.system import files

HEADS = {512: 0.5, 2048: 0.004}  # deviation by features: classes far from equally likely, and far from certain


def untrained_run(path: Path, model: str, classes: tuple[str, ...], **data: Any) -> Path:
    """Weights are drawn, so that answers differ between photos; `data`: settings of that section."""
    network_config = ModelConfig(name=model, weights="none")
    given = Config(model=network_config, train=TrainConfig(precision="no"))
    config = resolve(replace(given, data=replace(given.data, **data)))
    network = build_model(model, len(classes), config.data.side)
    spread(network)
    meta = CheckpointMeta(list(classes), Preprocessing.from_config(config.data), 1, 0.5, 1.0, config, sha256="")
    save_best(path / "best", tensors_of(network), meta)
    (path / "config.yaml").write_text(yaml.safe_dump(to_dict(config)))
    files.write_json(path / "run.json", {"state": "finished", "starts": [], "data": {}, "classes": list(classes)})
    return path


def make_refusing(run: Path, temperature: float) -> None:
    """Calibrate a baseline, with limits of refusal that no answer is beyond."""
    checkpoint, directions = load_best(run)[1].sha256, np.linalg.qr(np.random.default_rng(0).normal(size=(512, 3)))[0]
    subspace = Subspace(np.full(512, 0.02, np.float32), np.ascontiguousarray(directions.T, np.float32))
    limits = Refusal(0.9, 0.1, 0.8, 0.95, 2.0, 0.0)
    write_calibration(run, Calibration(temperature, "val", 60, 1.0, 0.9, checkpoint, limits), subspace)


def spread(network: nn.Module) -> None:
    """BatchNorm that does something, and a head with opinions."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.bias.data):
                assert values is not None
                values.normal_(0, 0.1, generator=generator)
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    head.weight.data.normal_(0, HEADS.get(head.in_features, 0.1), generator=generator)
