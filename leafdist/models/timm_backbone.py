"""Networks of timm: their random layers planned, their stages frozen, and refused where they draw by themselves."""

from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from leafdist.config.networks import Network
from leafdist.models.batchnorm import BatchNorm
from leafdist.models.depthwise import use_fp32_depthwise
from leafdist.models.dropout import PlannedDropout, PlannedDropPath, dropout_layers, seek_step
from leafdist.models.freezing import KeepsFrozen
from leafdist.models.timm_import import timm
from leafdist.models.timm_row import STAGES, groups

NO_STEP = 2**62  # of any training


class TimmNetwork(KeepsFrozen):
    """Mixed into the class of a network of timm, so that parameters keep timm's names."""

    def forward_features(self, *images: Any, **options: Any) -> Tensor:
        """What timm computes before pooling, shown to whoever hooks `last_map`."""
        return self.last_map(super().forward_features(*images, **options))  # type: ignore[misc,no-any-return,operator]

    def layers(self) -> list[list[str]]:
        """Return the names of the parameters by timm's layers, the last of which holds the head."""
        return groups(self, coarse=False)


class DroppedLinear(nn.Linear):
    """A head that drops some of its features first."""

    def forward(self, features: Tensor) -> Tensor:
        """Features (B,F) -> scores (B,C)."""
        return super().forward(self.drop(features))  # type: ignore[operator]


def build(
    count: int, side: int, *, row: Network, dropout: float | None, drop_path: float, freeze: str, frozen_batchnorm: str
) -> nn.Module:
    """Build the network of `row`: (B,3,side,side) -> logits (B,count). Raises ValueError where it cannot be trained."""
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    try:
        model: Any = timm.create_model(str(row.timm), num_classes=count, **options)
    except TypeError:
        if not drop_path:
            raise
        model = nn.Identity()  # it has no such option
    if drop_path and not any(isinstance(module, timm.layers.drop.DropPath) for module in model.modules()):
        raise ValueError(f"model.drop_path={drop_path}: {row.name} has no blocks to skip; set it to 0")
    plan_draws(model, row.head, dropout)
    use_fp32_depthwise(model)
    model.last_map = nn.Identity()
    model.__class__ = type(type(model).__name__, (TimmNetwork, type(model)), {})
    model.frozen_batchnorm, model.frozen = frozen_batchnorm, freeze_stages(model, freeze, row.head)
    if not next(model.parameters()).is_meta:
        try_out(model, side, row.name)
    return model  # type: ignore[no-any-return]


def plan_draws(model: nn.Module, head: str, dropout: float | None) -> None:
    """Replace the layers that draw. `dropout` is the rate of all of them, or of one before the head if there are none.

    What a fused attention would read the rate of is left: its kernel draws by itself.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout and child.p > 0 and not getattr(parent, "fused_attn", False):
                setattr(parent, name, PlannedDropout(child.p if dropout is None else dropout))
            elif isinstance(child, timm.layers.drop.DropPath) and child.drop_prob and child.scale_by_keep:
                setattr(parent, name, PlannedDropPath(child.drop_prob))
    if dropout and all(isinstance(layer, PlannedDropPath) for layer in dropout_layers(model)):
        last = model.get_submodule(head)
        last.__class__ = DroppedLinear
        last.drop = PlannedDropout(dropout)


def freeze_stages(model: nn.Module, freeze: str, head: str) -> tuple[str, ...]:
    """Take the gradient from everything up to the stage `freeze`; return the modules that are frozen as a whole."""
    body = [name for name, _ in model.named_parameters() if not name.startswith(f"{head}.")]
    stem, *blocks, _ = groups(model)
    known = {"none": [], "all": [body]}  # ResNet-50 has four groups; the quarters of 7 are 2, 4 and 6 of them
    stages = known[freeze] if freeze in known else [stem, *blocks[: ceil(len(blocks) * STAGES.index(freeze) / 4)]]
    fixed = {name for stage in stages for name in stage}
    for name in fixed:
        model.get_parameter(name).requires_grad = False
    own = {name: list(module.parameters()) for name, module in model.named_modules() if name}
    return tuple(name for name in own if own[name] and not any(one.requires_grad for one in own[name]))


def try_out(model: nn.Module, side: int, name: str) -> None:
    """Run two rows in training mode, and leave no trace. Raises ValueError, naming the layer, if one draws by itself.

    Also where one keeps statistics that are not BatchNorm's, and where `side` does not fit.
    """
    state = torch.get_rng_state()
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    names = {module: key or "the network" for key, module in model.named_modules()}

    def check(module: nn.Module, *_: object) -> None:
        if not torch.equal(torch.get_rng_state(), state):
            what = f"{names[module]} ({type(module).__name__}) draws random numbers by itself in training"
            raise ValueError(f"model.name={name}: {what}, so that no run could be repeated. Choose another network")

    seek_step(dropout_layers(model), 0, NO_STEP, torch.device("cpu"))
    model.train()
    try:
        with torch.no_grad(), nn.modules.module.register_module_forward_hook(check):
            model(torch.zeros(2, 3, side, side))
    except (RuntimeError, AssertionError) as error:
        fault = f"model.name={name}: it does not take {side} pixels ({str(error).splitlines()[0]}). Change data.crop"
        raise ValueError(fault) from error
    counted = {id(value) for module in model.modules() if isinstance(module, BatchNorm) for value in module.buffers()}
    for key, value in model.named_buffers():
        if id(value) not in counted and not torch.equal(value, buffers[key]):
            raise ValueError(
                f"model.name={name}: {key} changes in training and is no BatchNorm's. Choose another network"
            )
        value.copy_(buffers[key])
