"""Frozen parts of a network: they stay in eval mode while the rest trains."""

from typing import Self

from torch import nn


class KeepsFrozen(nn.Module):
    """Mixed into a network: `frozen` names the modules whose BatchNorm stays in eval mode."""

    frozen: tuple[str, ...] = ()
    frozen_batchnorm = "eval"

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but leave the frozen part in eval mode unless `frozen_batchnorm` is "train"."""
        super().train(mode)
        if self.frozen_batchnorm == "eval":
            for name in self.frozen:
                self.get_submodule(name).eval()
        return self
