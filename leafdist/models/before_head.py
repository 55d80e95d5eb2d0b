"""What the head of a network is given: its features, beside its logits."""

from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn


class BeforeHead(nn.Module):
    """The network up to its head: (B,3,h,w) -> features (B,F), in any number of threads at once."""

    def __init__(self, model: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.model, self.seen = model, dict[int, Tensor]()
        self.hook = head.register_forward_pre_hook(self._keep)

    def forward(self, images: Tensor) -> Tensor:
        """Run the network, and return what its head was given."""
        return self.both(images)[1]

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B,C) and features (B,F)."""
        logits = self.model(images)
        return logits, self.seen.pop(get_ident())

    def _keep(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.seen[get_ident()] = inputs[0]


class WithMore(nn.Module):
    """A network whose logits are followed by what `more` makes of its features: (B,3,h,w) -> float32 (B,C+columns)."""

    def __init__(self, model: nn.Module, head: str, more: nn.Module, columns: int) -> None:
        super().__init__()
        self.before, self.more, self.columns = BeforeHead(model, model.get_submodule(head)), more, columns

    def forward(self, images: Tensor) -> Tensor:
        """Run the network once."""
        logits, features = self.before.both(images)
        return torch.cat([logits.float(), self.more(features).float()], 1)
