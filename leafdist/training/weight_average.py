"""The average of the weights over the optimizer steps (EMA): what is validated and kept as best with `train.ema`."""

from copy import deepcopy

import torch
from torch import Tensor, nn


def copy_network(model: nn.Module) -> nn.Module:
    """Copy `model`, for an average that begins with its weights and is not trained itself."""
    return deepcopy(model).eval().requires_grad_(requires_grad=False)


def decay_of(step: int, decay: float) -> float:
    """Return the decay in optimizer step `step` (from 0): less than `decay` at first, as in TensorFlow's EMA."""
    return min(decay, (1 + step) / (10 + step))


class WeightAverage:
    """Moves `average`, a copy of `model` on its device, towards `moving`: the weights of `model` and its statistics.

    Frozen parameters stay; `updated_network` copies all other buffers. No value is on the host: a step can be captured.
    """

    def __init__(self, average: nn.Module, model: nn.Module, moving: list[Tensor], decay: float) -> None:
        self._average, self.decay = average, decay
        buffers = list(zip(average.buffers(), model.buffers(), strict=True))
        pairs = [*zip(average.parameters(), model.parameters(), strict=True), *buffers]
        known = {id(value) for value in moving}
        self.ours = [ours for ours, theirs in pairs if id(theirs) in known]
        self.theirs = [theirs for _, theirs in pairs if id(theirs) in known]
        self.others = [pair for pair in buffers if id(pair[1]) not in known]
        narrowest = min(torch.finfo(value.dtype).bits for value in self.ours)
        assert narrowest >= 32, "a small share of a difference would vanish"
        self.share = torch.zeros((), device=self.ours[0].device, dtype=torch.float32)

    def seek_step(self, step: int) -> None:
        """Set the share of the weights of optimizer step `step`, for a captured step to read."""
        self.share.fill_(1 - decay_of(step, self.decay))

    @torch.no_grad()
    def follow(self, bad: Tensor) -> None:
        """Move the average by `share` of its distance to the weights, unless the step was refused: `bad` is then 1.

        By PyTorch's fused SGD, which changes nothing where `bad` is 1, even if the distance is not finite.
        """
        apart = torch._foreach_sub(self.ours, self.theirs)
        torch._fused_sgd_(
            self.ours,
            apart,
            [],
            lr=self.share,
            weight_decay=0,
            momentum=0,
            dampening=0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
            found_inf=bad,
        )

    def updated_network(self) -> nn.Module:
        """Return the network with the average; copies the other buffers, such as BatchNorm's counts, from the model."""
        for ours, theirs in self.others:
            ours.copy_(theirs)
        return self._average
