"""torchvision's ResNet-50 with a new head and stages that can be frozen."""

from torchvision.models.resnet import Bottleneck, ResNet

from leafdist.models.batchnorm import KeepsFrozen
from leafdist.models.small_maps import use_small_maps

FROZEN = {"none": 0, "stem": 2, "layer1": 3, "layer2": 4, "layer3": 5, "all": 6}  # how many of PARTS
PARTS = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")


class ResNet50(KeepsFrozen, ResNet):  # type: ignore[misc]  # torchvision carries no types
    """ResNet-50 (He et al. 2016, torchvision's form): (B,3,side,side) -> logits (B,num_classes)."""

    def __init__(
        self, num_classes: int, side: int, *, dropout: float | None, freeze: str, frozen_batchnorm: str
    ) -> None:
        assert dropout is None, "ResNet-50 has no dropout"
        super().__init__(Bottleneck, [3, 4, 6, 3], num_classes=num_classes)
        use_small_maps(self)
        self.frozen = PARTS[: FROZEN[freeze]]
        self.frozen_batchnorm = frozen_batchnorm
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(requires_grad=False)
