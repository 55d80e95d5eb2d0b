"""Building a network by its name.

The callable that a row's `build` names takes the arguments of ResNet50; that of timm some more. Its random layers are
PlannedDropout. Everything up to and including the stage `freeze` has no gradient, and its BatchNorm stays in eval mode
unless `frozen_batchnorm` is "train".
"""

from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name

import torch
from torch import nn

from leafdist.config.networks import network
from leafdist.models.dropout import number_layers
from leafdist.models.weights import load_weights


def build_model(
    name: str,
    num_classes: int,
    side: int,
    *,
    seed: int = 0,
    dropout: float | None = None,
    drop_path: float = 0.0,
    freeze: str = "none",
    frozen_batchnorm: str = "eval",
    weights: Path | None = None,
    rows: Sequence[int] | None = None,
) -> nn.Module:
    """Build the network `name`, its weights drawn from `seed`, then load `weights`.

    `rows`: the row of each class in their head, as `load_weights` has it. Raises ValueError if they are unfit.
    """
    row = network(name)
    torch.manual_seed(seed)
    of_timm = {"row": row, "drop_path": drop_path} if row.timm else {}
    model: nn.Module = resolve_name(row.build)(
        num_classes, side, dropout=dropout, freeze=freeze, frozen_batchnorm=frozen_batchnorm, **of_timm
    )
    number_layers(model)
    if weights:
        load_weights(model, weights, row.head, rows)
    return model
