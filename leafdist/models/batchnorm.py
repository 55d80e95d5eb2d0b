"""Running statistics of BatchNorm: averaged between processes, taken back when a step is refused, left where frozen."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from leafdist.models.sync_batchnorm import SyncBatchNorm2d

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def trains_batchnorm(model: nn.Module) -> bool:
    """Tell whether a BatchNorm layer would use the statistics of the batch under `train()`."""
    return bool(RunningStatistics(model).layers)


def sees_one_value(model: nn.Module, side: int) -> bool:
    """Tell whether one photo of `side` pixels leaves a trainable BatchNorm one value per channel: no variance."""
    found = list[bool]()

    def look(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
        found.append(inputs[0][0, 0].numel() == 1)

    hooks = [layer.register_forward_hook(look) for layer in RunningStatistics(model).layers]
    model.eval()  # the same shapes, and no statistics that move
    with torch.inference_mode():
        model(torch.zeros(1, 3, side, side, device=next(model.parameters()).device))
    for hook in hooks:
        hook.remove()
    model.train()
    return any(found)


class RunningStatistics:
    """The running statistics of the layers of `model` that use those of the batch under `train()`.

    The lists are made once, not in every step: layers and their buffers stay what they are while a model trains.
    """

    def __init__(self, model: nn.Module) -> None:
        model.train()
        self.layers = [module for module in model.modules() if isinstance(module, BatchNorm) and module.training]
        self.synced = [layer for layer in self.layers if isinstance(layer, SyncBatchNorm2d)]
        self.buffers = _buffers(self.layers)
        self.apart = _buffers([layer for layer in self.layers if layer not in self.synced])  # of this process's rows

    def average(self, weight: float) -> None:
        """Average over the processes what each has of its own rows, weighted by `weight`."""
        if self.apart and dist.is_initialized():
            flat = torch.cat(self.apart) * weight
            dist.all_reduce(flat)
            _write(self.apart, flat)

    @contextmanager
    def stand_in(self) -> Iterator[None]:
        """Keep what runs inside, stand-in rows of a process without photos, out of the statistics."""
        for layer in self.layers:
            layer.train(layer in self.synced)
        for synced in self.synced:
            synced.counted = False
        yield
        for synced in self.synced:
            synced.counted = True
        for layer in self.layers:
            layer.train()

    def snapshot(self) -> Tensor | None:
        """Copy the statistics as one flat tensor, for `restore`; None where there are none."""
        return torch.cat(self.buffers) if self.buffers else None

    def restore(self, before: Tensor | None, bad: Tensor) -> None:
        """Put the statistics back to `before` if `bad` is 1, without asking the device which it is."""
        if before is not None:
            _write(self.buffers, torch.where(bad.bool(), before, torch.cat(self.buffers)))


def _buffers(layers: list[BatchNorm]) -> list[Tensor]:
    return [value for layer in layers for value in (layer.running_mean, layer.running_var) if value is not None]


def _write(buffers: list[Tensor], flat: Tensor) -> None:
    torch._foreach_copy_(buffers, list(flat.split([len(buffer) for buffer in buffers])))
