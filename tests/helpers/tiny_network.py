"""A third network: its row and its module, which is all that a new one takes."""

from torch import Tensor, nn

from leafdist.config.networks import Network
from leafdist.models.dropout import PlannedDropout
from leafdist.models.freezing import KeepsFrozen

TINY = Network(
    name="tiny",
    title="Tiny CNN",
    description="tiny CNN of one convolution",
    build="tests.helpers.tiny_network:Tiny",
    head="score",
    last_map="maps",
    stride=4,
    least_side=4,
    has_dropout=True,
    stages=("stem",),
    crop=30,
    flip=0.5,
)


class Tiny(KeepsFrozen):
    def __init__(
        self, num_classes: int, side: int, *, dropout: float | None, freeze: str, frozen_batchnorm: str
    ) -> None:
        super().__init__()
        convolution = nn.Conv2d(3, 8, 4, stride=4, padding=1)
        self.maps = nn.Sequential(convolution, nn.BatchNorm2d(8), nn.ReLU())
        self.drop = PlannedDropout(0.25 if dropout is None else dropout)
        self.score = nn.Linear(8, num_classes)
        convolution.requires_grad_(freeze == "none")

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.score(self.drop(self.maps(x).mean((2, 3))))
        return pooled
