"""What of a network is not trained: whole stages, and everything before the head while that is trained alone."""

from typing import Self

from torch import nn


class KeepsFrozen(nn.Module):
    """Base of all networks: the modules that `frozen` names stay in eval mode unless `frozen_batchnorm` is "train"."""

    frozen: tuple[str, ...] = ()
    frozen_batchnorm = "eval"

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what is not frozen."""
        super().train(mode)
        if self.frozen_batchnorm == "eval":
            for name in self.frozen:
                self.get_submodule(name).eval()
        return self

    def layers(self) -> list[list[str]]:
        """Return the names of the parameters by depth, from the first layer to the head; none where it has no order."""
        return []


class HeadOnly:
    """Leaves nothing but `head` trainable, and everything before it in eval mode, until `thaw`."""

    def __init__(self, model: KeepsFrozen, head: str) -> None:
        self.model, self.before = model, (model.frozen, model.frozen_batchnorm)
        self.parameters = [
            value for name, value in model.named_parameters() if value.requires_grad and not in_head(name, head)
        ]
        # neither what contains the head nor what is in it
        before = [name for name, _ in model.named_modules() if not in_head(head, name) and not in_head(name, head)]
        self._set(tuple(before), "eval")
        for parameter in self.parameters:
            parameter.requires_grad = False

    def thaw(self) -> None:
        """Train again what was trained before."""
        self._set(*self.before)
        for parameter in self.parameters:
            parameter.requires_grad = True

    def _set(self, frozen: tuple[str, ...], batchnorm: str) -> None:
        self.model.frozen, self.model.frozen_batchnorm = frozen, batchnorm


def in_head(name: str, head: str) -> bool:
    """Return whether the module or parameter `name` is `head` or within it; "" is the whole network."""
    return not head or name == head or name.startswith(f"{head}.")
