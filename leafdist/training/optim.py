"""The optimizer, the learning rate as a function of the step, and the guard of an update."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from leafdist.config.schema import OptimConfig, TrainConfig
from leafdist.training.rates import Group

SGD_MOMENTUM = 0.9


def build_optimizer(groups: list[Group], config: OptimConfig) -> torch.optim.Optimizer:
    """Build the optimizer; fused, so that `guard_update` can turn an update off on the device."""
    parameters = [{"params": group.parameters, "factor": group.factor, "name": group.name} for group in groups]
    if config.name == "sgd":
        sgd = torch.optim.SGD(
            parameters, config.lr, momentum=SGD_MOMENTUM, weight_decay=config.weight_decay, fused=True
        )
        for group in groups:
            for parameter in group.parameters:  # else a first step that is refused leaves it uninitialised
                sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return sgd
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(parameters, config.lr, weight_decay=config.weight_decay, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set all rates of the next step, given the head's; tensors change in place, for a captured step to read."""
    groups = optimizer.param_groups
    own = [rate * group["factor"] for group in groups]
    tensors = [group["lr"] for group in groups if isinstance(group["lr"], Tensor)]
    if len(tensors) > 1:  # two launches, however many groups there are
        torch._foreach_zero_(tensors)
        torch._foreach_add_(tensors, own)
    elif tensors:
        tensors[0].fill_(own[0])
    else:
        for group, value in zip(groups, own, strict=True):
            group["lr"] = value


def learning_rate(config: OptimConfig, train: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Return the head's rate in optimizer step `step` (from 0), the same for any number of processes.

    `step`: gamma ** (epoch // step_size), StepLR's rule; `cosine`: half a cosine to 0 (Loshchilov and Hutter 2017);
    both after a linear warm-up of `warmup_epochs`. All of it begins after the epochs of the head alone.
    """
    epochs, step = train.epochs - train.head_epochs, step - train.head_epochs * steps_per_epoch
    if step < 0:
        return config.lr
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "step":
        return config.lr * config.gamma ** (step // steps_per_epoch // config.step_size)
    if config.schedule == "cosine":
        done = (step - warmup) / max(1, epochs * steps_per_epoch - warmup)
        return config.lr * (1 + math.cos(math.pi * done)) / 2
    return config.lr


def gradient_norm(parameters: Iterable[nn.Parameter], clip_norm: float | None) -> Tensor:
    """Return the norm of the reduced gradient, the same on every rank, and clip it to `clip_norm` if given."""
    trained = [parameter for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in trained if parameter.grad is not None])
    if clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(trained, clip_norm, norm)
    return norm


def guard_update(optimizer: torch.optim.Optimizer, norm: Tensor) -> Tensor:
    """Turn the coming update off, on the device, if the gradient is not finite; returns 1.0 then, else 0.0.

    Fused optimizers read `found_inf`, which is meant for GradScaler.
    """
    optimizer.found_inf = torch.logical_not(torch.isfinite(norm)).float()  # type: ignore[attr-defined]
    return optimizer.found_inf  # type: ignore[attr-defined, no-any-return]
