"""torchvision's ResNet-50 with a new head, and stages that can be frozen for good."""

from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from leafdist.models.small_maps import use_small_maps

STAGES = ("stem", "layer1", "layer2", "layer3", "all")


class ResNet50(ResNet):  # type: ignore[misc]  # torchvision carries no types
    """ResNet-50 (He et al. 2016, torchvision's form): (B,3,side,side) -> logits (B, num_classes).

    `freeze` takes everything up to and including a stage out of training, the head excepted. Frozen BatchNorm stays
    in eval mode under `train()`, unless `frozen_batchnorm` is "train" (the protocol's: statistics go on moving).
    """

    def __init__(self, num_classes: int, freeze: str = "none", frozen_batchnorm: str = "eval") -> None:
        super().__init__(Bottleneck, [3, 4, 6, 3], num_classes=num_classes)
        use_small_maps(self)
        children = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]
        count = 0 if freeze == "none" else STAGES.index(freeze) + 2
        self.frozen = children[: 6 if freeze == "all" else count]
        self.frozen_batchnorm = frozen_batchnorm
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> "ResNet50":
        super().train(mode)
        if self.frozen_batchnorm == "eval":
            for name in self.frozen:
                self.get_submodule(name).eval()
        return self


def trains_batchnorm(model: nn.Module) -> bool:
    """True where a BatchNorm layer would use the statistics of the batch under `train()`."""
    model.train()
    return any(isinstance(module, nn.BatchNorm2d) and module.training for module in model.modules())
