"""Building a network by its name."""

from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol

import torch
from torch import nn

from leafdist.config.networks import network
from leafdist.models.dropout import number_layers
from leafdist.models.weights import load_weights


class Build(Protocol):
    """What `Network.build` names: a class or function that makes a network for pictures of `side` pixels.

    Its random layers are BlockDropout. `freeze` is one of the row's stages, or "none": everything up to and including
    it has no gradient, and unless `frozen_batchnorm` is "train" its BatchNorm stays in eval mode under `train()`.
    """

    def __call__(
        self, num_classes: int, side: int, *, dropout: float | None, freeze: str, frozen_batchnorm: str
    ) -> nn.Module: ...


def build_model(
    name: str,
    num_classes: int,
    side: int,
    *,
    seed: int = 0,
    dropout: float | None = None,
    freeze: str = "none",
    frozen_batchnorm: str = "eval",
    weights: Path | None = None,
) -> nn.Module:
    """Build the network `name`, its weights drawn from `seed`, then load `weights`. Raises ValueError if unfit."""
    row = network(name)
    build: Build = resolve_name(row.build)
    torch.manual_seed(seed)
    model = build(num_classes, side, dropout=dropout, freeze=freeze, frozen_batchnorm=frozen_batchnorm)
    number_layers(model)
    if weights:
        load_weights(model, weights, row.head)
    return model
