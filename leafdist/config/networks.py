"""The networks, one row each. A new one is a row here and a file in leafdist/models/ that builds it. No slow import.

A network of timm has no row here: leafdist/models/timm_row.py makes it, for which it imports torch and timm.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from pkgutil import resolve_name

from leafdist.system import environment

TIMM = "timm/"  # begins the names of timm's networks
MEANS = {  # by the value of data.normalize: mean and deviation of red, green, blue
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}


@dataclass(frozen=True, kw_only=True)
class Network:
    """What the rest of the code knows of a network; settings that are auto take their values from here.

    build: `module:callable`, as leafdist.models.build says. head: its last linear layer; last_map: the
    module whose output is the last feature map, a pixel of which stands for `stride` pixels of the picture.
    "": it has none. torchvision: the function of torchvision.models that has the same parameters; timm: the name of
    the network in timm. weights: URLs or files of pretrained ones. crop_share: share of the side of the resized photo
    that is cropped; 0: the crop is `crop` whatever `resize` is.
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
    fixed_side: int | None = None
    has_dropout: bool = False
    torchvision: str | None = None
    timm: str | None = None
    stages: tuple[str, ...] = ()  # can be frozen, each together with those before it
    weights: Mapping[str, str] = field(default_factory=dict)
    default_weights: str = "none"
    default_freeze: str = "none"  # of pretrained weights
    resize: int = 64
    crop: int = 0
    crop_share: float = 0.0
    flip: float = 0.0
    normalize: str = "none"
    interpolation: str = "bilinear"

    def map_side(self, pixels: int) -> int:
        """Pixels of a side of the last feature map, for a picture of `pixels`."""
        return -(-pixels // self.stride) if self.rounds_up else pixels // self.stride

    def sizes(self, resize: int | str, crop: int | str) -> dict[str, int]:
        """What `data.resize` and `data.crop` are, each of which may be auto and then follows the other."""
        share = self.crop_share
        if crop == "auto":
            free = share and not self.fixed_side and resize not in ("auto", self.resize)
            crop = round(int(resize) * share) if free else self.crop
        if resize == "auto":
            resize = self.resize if not share else floor(int(crop) / share) if crop else self.crop
        return {"resize": int(resize), "crop": int(crop)}


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
    if name.startswith(TIMM):
        if "torch" not in sys.modules:
            environment.settle_and_import()
        made: Network = resolve_name("leafdist.models.timm_row:row")(name)
        return made
    if name not in NETWORKS:
        raise ValueError(f"model.name={name}: must be {' or '.join(NETWORKS)} or {TIMM}<name of a network of timm>")
    return NETWORKS[name]
