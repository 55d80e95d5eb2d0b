"""The network for other programs: ordinary layers, float32 or float16 inside, the same input and output."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from leafdist.data.augment import Augment
from leafdist.evaluation.refusal import Distance
from leafdist.models.before_head import WithMore
from leafdist.models.dropout import PlannedDropout
from leafdist.models.small_maps import SmallMapConv2d
from leafdist.runs.evaluations import Refusing


class Portable(nn.Module):
    """Takes normalised float32 (B,3,h,w), or with `augment` uint8 (B,H,W,3); gives float32 scores (B,classes).

    augment: the preprocessing of evaluation. half: weights and arithmetic are float16.
    """

    def __init__(self, model: nn.Module, augment: Augment | None = None, *, half: bool = False) -> None:
        super().__init__()
        self.network, self.augment, self.half_inside = plain(model), augment, half
        if half:
            self.network.half()
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of `images`."""
        if self.augment:
            images = self.augment(images)
        scores: Tensor = self.network(images.half() if self.half_inside else images)
        return scores.float()


class Refusable(nn.Module):
    """A Portable that also gives what refusing goes by: the calibrated confidence (B,) and the distance (B,)."""

    def __init__(self, portable: Portable, head: str, refusing: Refusing) -> None:
        super().__init__()
        self.portable, self.temperature = portable, refusing.temperature
        portable.network = WithMore(portable.network, head, Distance(refusing.subspace, torch.float32), 1)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores, confidence and distance of `images`."""
        both = self.portable(images)
        scores = both[:, :-1]
        return scores, (scores / self.temperature).softmax(1).amax(1), both[:, -1]


def plain(model: nn.Module) -> nn.Module:
    """Return a copy on the CPU, in eval mode, with PyTorch's own layers instead of ours."""
    copy = deepcopy(model).to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for module in copy.modules():
        if isinstance(module, SmallMapConv2d):
            module.__class__ = nn.Conv2d  # type: ignore[assignment]
        for name, child in module.named_children():
            if isinstance(child, PlannedDropout):
                setattr(module, name, nn.Identity())
    return copy.eval()  # type: ignore[no-any-return]
