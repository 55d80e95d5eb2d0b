"""The networks, one row each. A new one is a row here and a file in leafdist/models/ that builds it. No slow import."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Network:
    """What the rest of the code knows of a network; settings that are auto take their values from here.

    build: `module:callable`, as leafdist.models.build says. head: its last linear layer; last_map: the
    module whose output is the last feature map, a pixel of which stands for `stride` pixels of the picture.
    torchvision: the function of torchvision.models that has the same parameters. weights: URLs of pretrained ones.
    """

    name: str
    title: str
    description: str
    build: str
    head: str
    last_map: str
    stride: int
    rounds_up: bool = True  # a border of the picture below one stride still makes a pixel of the last map
    least_side: int = 1
    has_dropout: bool = False
    torchvision: str | None = None
    stages: tuple[str, ...] = ()  # can be frozen, each together with those before it
    weights: Mapping[str, str] = field(default_factory=dict)
    default_weights: str = "none"
    default_freeze: str = "none"  # of pretrained weights
    crop: int = 0
    flip: float = 0.0
    normalize: str = "none"

    def map_side(self, pixels: int) -> int:
        """Pixels of a side of the last feature map, for a picture of `pixels`."""
        return -(-pixels // self.stride) if self.rounds_up else pixels // self.stride


RESNET50 = Network(
    name="resnet50",
    title="ResNet-50",
    description="ResNet-50 (torchvision's form)",
    build="leafdist.models.resnet:ResNet50",
    head="fc",
    last_map="layer4",
    stride=32,
    torchvision="resnet50",
    stages=("stem", "layer1", "layer2", "layer3", "all"),
    weights={
        "IMAGENET1K_V1": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
        "IMAGENET1K_V2": "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
    },
    default_weights="IMAGENET1K_V2",
    default_freeze="layer1",
    crop=52,
    flip=0.5,
    normalize="imagenet",
)
BASELINE = Network(
    name="baseline",
    title="Baseline CNN",
    description="small CNN of three convolutions",
    build="leafdist.models.baseline:Baseline",
    head="head",
    last_map="features",
    stride=8,
    rounds_up=False,
    least_side=8,
    has_dropout=True,
)
NETWORKS = {row.name: row for row in (RESNET50, BASELINE)}


def network(name: str) -> Network:
    """Return the row of `name`. Raises ValueError naming the known ones."""
    if name not in NETWORKS:
        raise ValueError(f"model.name={name}: must be {' or '.join(NETWORKS)}")
    return NETWORKS[name]
