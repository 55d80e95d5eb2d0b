"""Networks that know nothing of ranks."""

from pathlib import Path

import torch
from torch import nn

from leafdist.models.baseline import Baseline
from leafdist.models.resnet import ResNet50
from leafdist.models.weights import load_weights

HEADS = {"baseline": "head", "resnet50": "fc"}


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
    """The network `name` for pictures of `side` pixels, its random weights drawn from `seed`, then `weights` loaded."""
    torch.manual_seed(seed)
    model: nn.Module
    if name == "baseline":
        model = Baseline(num_classes, side, dropout)
    else:
        model = ResNet50(num_classes, freeze, frozen_batchnorm)
    if weights:
        load_weights(model, weights, HEADS[name])
    return model
