"""The optimizer, the learning rate as a function of the step, and the watch over steps that are not finite."""

import math
from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from leafdist.config.schema import OptimConfig

SGD_MOMENTUM = 0.9


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Build it for the trainable parameters; fused, so that `guard_update` can turn an update off on the device."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.name == "sgd":
        sgd = torch.optim.SGD(
            parameters, config.lr, momentum=SGD_MOMENTUM, weight_decay=config.weight_decay, fused=True
        )
        for parameter in parameters:  # else a first step that is refused leaves it uninitialised
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return sgd
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(parameters, config.lr, weight_decay=config.weight_decay, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step; a tensor stays where it is, for a captured step to read."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def learning_rate(config: OptimConfig, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the rate of optimizer step `step` (from 0), the same for any number of processes.

    `step`: gamma ** (epoch // step_size), StepLR's rule; `cosine`: half a cosine to 0 (Loshchilov and Hutter 2017);
    both after a linear warm-up of `warmup_epochs`.
    """
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


class NotFiniteError(FloatingPointError):
    """The gradient of `step` (from 0) is not finite; that step was refused."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"the gradient is not finite at step {step + 1}")


class FiniteWatch:
    """Learns one step late, from an asynchronous copy, whether a step was finite, so that the host never waits.

    `patience`: bad steps in a row that end the run; above 1 where gradient scaling tries a lower scale after each.
    """

    def __init__(self, patience: int = 1) -> None:
        self.patience, self.bad_steps = patience, 0
        self.pending: deque[tuple[Tensor, torch.cuda.Event | None, int]] = deque()

    def push(self, bad: Tensor, step: int) -> None:
        """Judge the step before, then start to copy the flag of this one to the host."""
        self.judge()
        if bad.is_cuda:
            flag = torch.empty_like(bad, device="cpu", pin_memory=True).copy_(bad, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self.pending.append((flag, event, step))
        else:
            self.pending.append((bad, None, step))

    def judge(self) -> None:
        """Raises NotFiniteError after `patience` steps in a row that were not finite."""
        while self.pending:
            flag, event, step = self.pending.popleft()
            if event:
                event.synchronize()
            self.bad_steps = self.bad_steps + 1 if flag.item() else 0
            if self.bad_steps >= self.patience:
                raise NotFiniteError(step)
