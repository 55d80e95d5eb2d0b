"""The small CNN of the protocol."""

import torch.nn.functional as F
from torch import Tensor, nn

from leafdist.models.dropout import BlockDropout, number_layers


class Baseline(nn.Module):
    """Three times convolution, ReLU, pooling, dropout; then two linear layers: (B,3,side,side) -> log-probabilities.

    `dropout` replaces the protocol's rates of 0.25 after a convolution and 0.5 before the head.
    """

    def __init__(self, num_classes: int, side: int = 64, dropout: float | None = None) -> None:
        super().__init__()
        early, late = (0.25, 0.5) if dropout is None else (dropout, dropout)
        stages: list[nn.Module] = []
        for inputs, outputs in ((3, 32), (32, 64), (64, 64)):
            convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
            # the protocol's ReLU comes before its pooling: the same values and gradients, from a quarter of the entries
            stages += [convolution, nn.MaxPool2d(2), nn.ReLU(), BlockDropout(early)]
        self.features = nn.Sequential(*stages)
        self.hidden = nn.Linear(64 * (side // 8) ** 2, 512)
        self.dropout = BlockDropout(late)
        self.head = nn.Linear(512, num_classes)
        number_layers(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x).flatten(1)
        x = self.dropout(F.relu(self.hidden(x)))
        return F.log_softmax(self.head(x), dim=1)
