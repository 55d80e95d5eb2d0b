"""Networks of timm: their random layers planned, their stages frozen, and refused where they draw by themselves."""

from typing import Any

import torch
from torch import Tensor, nn

from leafdist.config.networks import TIMM
from leafdist.models.batchnorm import BatchNorm
from leafdist.models.dropout import PlannedDropout, PlannedDropPath, dropout_layers, seek_step
from leafdist.models.frozen import KeepsFrozen
from leafdist.models.timm_import import DropPath, timm
from leafdist.models.timm_row import STAGES, stages


NO_STEP = 2**62  # of any training


class TimmNetwork(KeepsFrozen):
    """Mixed into the class of a network of timm, so that parameters keep timm's names."""

    last_map: nn.Module

    def forward_features(self, *images: Any, **options: Any) -> Tensor:
        """What timm computes before pooling, shown to whoever hooks `last_map`."""
        shown: Tensor = self.last_map(super().forward_features(*images, **options))  # type: ignore[misc]
        return shown


class DroppedLinear(nn.Linear):
    """A head that drops some of its features first."""

    drop: nn.Module

    def forward(self, features: Tensor) -> Tensor:
        """Features (B,F) -> scores (B,C)."""
        return super().forward(self.drop(features))


def build(
    num_classes: int,
    side: int,
    *,
    backbone: str,
    head: str,
    dropout: float | None,
    drop_path: float,
    freeze: str,
    frozen_batchnorm: str,
) -> nn.Module:
    """timm's `backbone`: (B,3,side,side) -> logits (B,num_classes). Raises ValueError where it cannot be trained."""
    name = f"model.name={TIMM}{backbone}"
    try:
        options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
        model: Any = timm.create_model(backbone, num_classes=num_classes, **options)
    except TypeError:
        model = None
    if drop_path and not (model and any(isinstance(module, DropPath) for module in model.modules())):
        raise ValueError(f"model.drop_path={drop_path}: {TIMM}{backbone} has no blocks to skip; set it to 0")
    plan_draws(model, head, dropout)
    model.last_map = nn.Identity()
    model.__class__ = type(type(model).__name__, (TimmNetwork, type(model)), {})
    model.frozen_batchnorm = frozen_batchnorm
    model.frozen = freeze_stages(model, freeze, head)
    if not next(model.parameters()).is_meta:
        try_out(model, side, name)
    return model  # type: ignore[no-any-return]


def plan_draws(model: nn.Module, head: str, dropout: float | None) -> None:
    """Replace the layers that draw. `dropout` is the rate of all of them, or of one before the head if there are none.

    What a fused attention would read the rate of is left: its kernel draws by itself.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout and child.p > 0 and not getattr(parent, "fused_attn", False):
                setattr(parent, name, PlannedDropout(child.p if dropout is None else dropout))
            elif isinstance(child, DropPath) and child.drop_prob and child.scale_by_keep:
                setattr(parent, name, PlannedDropPath(child.drop_prob))
    if dropout and all(isinstance(layer, PlannedDropPath) for layer in dropout_layers(model)):
        last = model.get_submodule(head)
        last.__class__ = DroppedLinear
        last.drop = PlannedDropout(dropout)


def freeze_stages(model: nn.Module, freeze: str, head: str) -> tuple[str, ...]:
    """Take the gradient from everything up to the stage `freeze`; return the modules that are frozen as a whole."""
    if freeze == "none":
        return ()
    parameters = dict(model.named_parameters())
    groups = stages(model)[: STAGES.index(freeze) + 1] if freeze in STAGES else []
    names = [name for group in groups for name in group]
    if freeze == "all":
        names = [name for name in parameters if not name.startswith(f"{head}.")]
    for name in names:
        parameters[name].requires_grad = False
    found = [(name, list(module.parameters())) for name, module in model.named_modules() if name]
    return tuple(name for name, own in found if own and not any(one.requires_grad for one in own))


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
            raise ValueError(f"{name}: {what}, so that no run could be repeated. Choose another network")

    seek_step(dropout_layers(model), 0, NO_STEP, torch.device("cpu"))
    model.train()
    try:
        with torch.no_grad(), nn.modules.module.register_module_forward_hook(check):
            model(torch.zeros(2, 3, side, side))
    except (RuntimeError, AssertionError) as error:
        fault = f"{name}: it does not take {side} pixels ({str(error).splitlines()[0]}). Change data.crop"
        raise ValueError(fault) from error
    averaged = {
        f"{key}.{own}" for key, module in model.named_modules() if isinstance(module, BatchNorm)
        for own, _ in module.named_buffers(recurse=False)
    }  # fmt: skip
    for key, value in model.named_buffers():
        if key not in averaged and not torch.equal(value, buffers[key]):
            raise ValueError(f"{name}: {key} changes in training and is no BatchNorm's. Choose another network")
        value.copy_(buffers[key])
