"""torchvision's ResNet-50 with a new head and stages that can be frozen."""

import re

from torchvision.models.resnet import Bottleneck, ResNet

from leafdist.models.freezing import KeepsFrozen
from leafdist.models.small_maps import use_small_maps

FROZEN = {"none": 0, "stem": 2, "layer1": 3, "layer2": 4, "layer3": 5, "all": 6}  # how many of PARTS
PARTS = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
BLOCK = re.compile(r"layer\d\.\d")


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

    def layers(self) -> list[list[str]]:
        """Return the names of the parameters of the stem, of each of 16 blocks, and of the head."""
        layers: dict[str, list[str]] = {}
        for name, _ in self.named_parameters():
            block = BLOCK.match(name)
            layers.setdefault(block[0] if block else "fc" if name.startswith("fc.") else "stem", []).append(name)
        return list(layers.values())
